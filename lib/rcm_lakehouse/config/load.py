"""Read and check the whole configuration; every mistake is reported at once, before anything is read from a source."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rcm_lakehouse.config.checks_connections import check_connection
from rcm_lakehouse.config.checks_contracts import check_contracts
from rcm_lakehouse.config.checks_models import check_models, read_model
from rcm_lakehouse.config.checks_worklist import check_loads, read_work_list
from rcm_lakehouse.config.connections import ApiConnection, Connection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.problems import Problem, did_you_mean, raise_problems
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.yaml_lines import Document, read_yaml

AnyConnection = JdbcConnection | FilesConnection | ApiConnection
_CONNECTION: TypeAdapter[AnyConnection] = TypeAdapter(Connection)


def load_project(
    home: Path, environment: str = "local", *, load_config: Path | None = None, cleaner_names: frozenset[str] | None = None
) -> Project:
    """The frozen configuration of a project folder.

    `load_config` replaces `<home>/load_config.csv`; `cleaner_names` are the cleaners a contract may name (None: not checked).
    Raises one ConfigError that lists every mistake with file, line, what was expected and the nearest name.
    """
    problems: list[Problem] = []
    work_list = load_config or home / "load_config.csv"
    settings = _settings(home, environment, problems)
    connections = _connections(home, problems)
    contracts = _contracts(home, problems)
    models = _models(home, problems)
    loads = read_work_list(work_list, problems)
    check_contracts(contracts, cleaner_names, problems)
    check_models(models, contracts, problems)
    check_loads(work_list.name, loads, connections, {name: contract for name, (contract, _) in contracts.items()}, problems)
    raise_problems(problems)
    assert settings is not None
    return Project(
        home=home,
        settings=settings,
        loads=tuple(loads),
        connections=connections,
        contracts={name: contract for name, (contract, _) in contracts.items()},
        models=models,
        config_hash=_hash(home, work_list),
    )


def load_settings(home: Path, environment: str = "local") -> LakehouseSettings:
    """One environment of `conf/lakehouse.yml` alone, for readers that need no work list, contracts or models.

    Raises one ConfigError that lists every mistake of that file.
    """
    problems: list[Problem] = []
    settings = _settings(home, environment, problems)
    raise_problems(problems)
    assert settings is not None
    return settings


def _hash(home: Path, work_list: Path) -> str:
    digest = hashlib.sha256()
    for path in [work_list, *sorted(path for path in (home / "conf").rglob("*") if path.suffix in (".yml", ".sql"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _settings(home: Path, environment: str, problems: list[Problem]) -> LakehouseSettings | None:
    document = read_yaml(home, "conf/lakehouse.yml", problems)
    if document is None:
        return None
    blocks = [name for name in document.values if name != "default"]
    if environment not in blocks:
        hint = did_you_mean(environment, blocks)
        problems.append(Problem(document.file, 0, f"there is no environment '{environment}'; there are {', '.join(blocks)}.{hint}"))
        return None
    merged = _merged(document.values.get("default") or {}, document.values[environment] or {})
    settings: LakehouseSettings | None = _checked(
        document, (environment,), problems, lambda: LakehouseSettings(environment=environment, **merged)
    )
    return settings


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value for key, value in over.items()}
    return {**base, **both}


def _connections(home: Path, problems: list[Problem]) -> dict[str, AnyConnection]:
    document = read_yaml(home, "conf/connections.yml", problems)
    found: dict[str, AnyConnection] = {}
    for name, block in (document.values if document else {}).items():
        assert document is not None
        connection = _checked(document, (name,), problems, lambda block=block: _CONNECTION.validate_python(block))  # type: ignore[misc]
        if connection is not None:
            found[str(name)] = connection
            check_connection(document, str(name), connection, problems)
    return found


def _contracts(home: Path, problems: list[Problem]) -> dict[str, tuple[Contract, Document]]:
    found: dict[str, tuple[Contract, Document]] = {}
    for path in sorted((home / "conf" / "cdm").glob("*.yml")):
        document = read_yaml(home, f"conf/cdm/{path.name}", problems)
        if document is None:
            continue
        contract = _checked(document, (), problems, lambda values=document.values: Contract(**values))  # type: ignore[misc]
        if contract is not None:
            if contract.entity != path.stem:
                problems.append(Problem(document.file, document.line("entity"), f"entity '{contract.entity}' is not the file's name '{path.stem}'."))
            found[contract.entity] = (contract, document)
    return found


def _models(home: Path, problems: list[Problem]) -> dict[str, GoldModel]:
    found = (read_model(home, path, problems) for path in sorted((home / "conf" / "gold").glob("*.sql")))
    return {model.name: model for model in found if model is not None}


def _checked(document: Document, prefix: tuple[object, ...], problems: list[Problem], build: Callable[[], Any]) -> Any:
    try:
        return build()
    except ValidationError as error:
        for found in error.errors(include_input=False, include_url=False, include_context=False):
            tags = ("jdbc", "files", "api")
            place = tuple(part for part in found["loc"] if part not in tags)
            where = (*prefix, *place)
            named = ".".join(str(part) for part in place) or "the block"
            problems.append(Problem(document.file, document.line(*where), f"{named}: {_in_words(found, document)}"))
    except TypeError as error:
        problems.append(Problem(document.file, document.line(*prefix), f"the block is no mapping of keys to values ({type(error).__name__})."))
    return None


def _in_words(found: Any, document: Document) -> str:
    kind = found["type"]
    if kind == "extra_forbidden":
        key = str(found["loc"][-1])
        return f"this key is not known.{did_you_mean(key, document.known_keys)}"
    if kind == "missing":
        return "this key is required and missing."
    return f"{found['msg']}."
