"""Read and check the whole configuration; every mistake is reported at once, before anything is read from a source."""

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rcm_lakehouse.config import connections as nouns
from rcm_lakehouse.config import contracts as contract_nouns
from rcm_lakehouse.config import settings as setting_nouns
from rcm_lakehouse.config.checks_connections import check_connection
from rcm_lakehouse.config.checks_contracts import check_contracts
from rcm_lakehouse.config.checks_models import check_models, read_model
from rcm_lakehouse.config.checks_settings import check_folders, check_settings, owner_of
from rcm_lakehouse.config.checks_worklist import check_loads, check_table_options, read_work_list
from rcm_lakehouse.config.connections import ApiConnection, Connection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.feeds import read_feeds
from rcm_lakehouse.config.monitors import read_monitors
from rcm_lakehouse.config.problems import Problem, did_you_mean, raise_problems
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.validated import validated
from rcm_lakehouse.config.yaml_lines import Document, read_yaml

AnyConnection = JdbcConnection | FilesConnection | ApiConnection
_CONNECTION: TypeAdapter[AnyConnection] = TypeAdapter(Connection)
_SETTINGS = (
    setting_nouns.LakehouseSettings,
    setting_nouns.LayerSchemas,
    setting_nouns.QualitySettings,
    setting_nouns.RetrySettings,
    setting_nouns.GoldSettings,
)
_CONNECTIONS = (
    nouns.JdbcConnection,
    nouns.JdbcTableOptions,
    nouns.FilesConnection,
    nouns.FileTableOptions,
    nouns.ApiConnection,
    nouns.ApiTableOptions,
)
_CONTRACTS = (contract_nouns.Contract, contract_nouns.Column, contract_nouns.Rule, contract_nouns.SourceMapping)


def load_project(home: Path, environment: str = "local", *, load_config: Path | None = None, cleaner_names: frozenset[str] | None = None) -> Project:
    """The frozen configuration of a project folder.

    `load_config` replaces `<home>/load_config.csv`; `cleaner_names` are the cleaners a contract may name (None: not checked).
    Raises one ConfigError that lists every mistake with file, line, what was expected and the nearest name.
    """
    problems: list[Problem] = []
    work_list = load_config or home / "load_config.csv"
    settings, _ = _settings(home, environment, problems)
    connections, contracts, models = _connections(home, problems), _contracts(home, problems), _models(home, problems)
    loads = read_work_list(work_list, problems)
    found = {name: contract for name, (contract, _) in contracts.found.items()}
    check_contracts(contracts.found, contracts.broken, cleaner_names, problems)
    check_models(models.found, models.broken, contracts.found, contracts.broken, problems)
    unread = connections.broken if connections.document is not None else frozenset(row.database for row in loads)
    broken = {"broken_connections": unread, "broken_contracts": contracts.broken}
    check_loads(work_list.name, loads, connections.found, found, problems, **broken)
    if connections.document is not None:
        check_folders(connections.document, home, settings, connections.found, problems)
    if connections.document is not None and not contracts.broken:
        check_table_options(connections.document, connections.found, loads, found, problems)
    monitors = read_monitors(home, found, {*models.found, *models.broken}, loads, contracts.broken, problems)
    mapped = {table for contract in found.values() for mapping in contract.sources for table in mapping.tables}
    feeds = read_feeds(home, loads, connections.found, mapped, problems)
    raise_problems(problems)
    assert settings is not None
    return Project(
        home=home,
        settings=settings,
        loads=tuple(loads),
        connections=connections.found,
        contracts=found,
        models=models.found,
        config_hash=_hash(home, work_list),
        monitors=monitors,
        feeds=feeds,
    )


def load_settings(home: Path, environment: str = "local") -> LakehouseSettings:
    """One environment of `conf/lakehouse.yml` alone, for readers that need no work list, contracts or models.

    Raises one ConfigError that lists every mistake of that file.
    """
    problems: list[Problem] = []
    settings, _ = _settings(home, environment, problems)
    raise_problems(problems)
    assert settings is not None
    return settings


@dataclass
class _Read:
    """What was read of a kind of file, by name; `broken` names what stands there but could not be read."""

    found: dict[str, Any] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    document: Document | None = None


def _hash(home: Path, work_list: Path) -> str:
    digest = hashlib.sha256()
    for path in [work_list, *sorted(path for path in (home / "conf").rglob("*") if path.suffix in (".yml", ".sql"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _settings(home: Path, environment: str, problems: list[Problem]) -> tuple[LakehouseSettings | None, Document | None]:
    """The wanted environment; every block of the file is checked, the others too."""
    document = read_yaml(home, "conf/lakehouse.yml", problems)
    if document is None:
        return None, None
    wrong = [name for name, block in document.values.items() if not isinstance(block, dict | None)]
    problems += [Problem(document.file, document.line(name), f"{name}: expected keys with values.") for name in wrong]
    blocks = [name for name in document.values if name != "default"]
    found = {name: _environment(document, home, name, problems) for name in blocks if not {name, "default"} & {*wrong}}
    if environment not in blocks:
        hint = did_you_mean(environment, blocks)
        problems.append(Problem(document.file, 0, f"there is no environment '{environment}'; there are {', '.join(blocks) or 'none'}.{hint}"))
    return found.get(environment), document


def _environment(document: Document, home: Path, name: str, problems: list[Problem]) -> LakehouseSettings | None:
    merged = _merged(document.values.get("default") or {}, document.values[name] or {})
    if "environment" in merged:
        owner = owner_of(document, name, "environment")
        problems.append(Problem(document.file, document.line(owner, "environment"), f"{owner}.environment: this key is the block's own name."))
        return None
    settings: LakehouseSettings | None = validated(
        document,
        (name,),
        problems,
        lambda: LakehouseSettings(environment=name, **merged),
        _SETTINGS,
        owner=lambda *place: owner_of(document, name, *place),
    )
    if settings is not None:
        check_settings(document, home, settings, problems)
    return settings


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value for key, value in over.items()}
    return {**base, **both}


def _connections(home: Path, problems: list[Problem]) -> _Read:
    document = read_yaml(home, "conf/connections.yml", problems)
    if document is None:
        return _Read()
    found: dict[str, AnyConnection] = {}
    for name, block in document.values.items():
        build = partial(_CONNECTION.validate_python, block)
        connection: AnyConnection | None = validated(document, (name,), problems, build, _CONNECTIONS)
        if connection is not None:
            found[name] = connection
            check_connection(document, name, connection, problems)
    return _Read(found, frozenset(document.values) - frozenset(found), document)


def _contracts(home: Path, problems: list[Problem]) -> _Read:
    found: dict[str, tuple[Contract, Document]] = {}
    paths = sorted((home / "conf" / "cdm").glob("*.yml"))
    if not paths:
        problems.append(Problem("conf/cdm", 0, "there is no contract; expected one file an entity, like conf/cdm/patient.yml."))
    for path in paths:
        document = read_yaml(home, f"conf/cdm/{path.name}", problems)
        if document is None:
            continue
        contract: Contract | None = validated(document, (), problems, partial(Contract.model_validate, document.values), _CONTRACTS)
        if contract is not None:
            if contract.entity != path.stem:
                problems.append(Problem(document.file, document.line("entity"), f"entity '{contract.entity}' is not the file's name '{path.stem}'."))
            found[contract.entity] = (contract, document)
    return _Read(found, frozenset(path.stem for path in paths) - frozenset(found))


def _models(home: Path, problems: list[Problem]) -> _Read:
    paths = sorted((home / "conf" / "gold").glob("*.sql"))
    found = {model.name: model for path in paths if (model := read_model(home, path, problems)) is not None}
    return _Read(found, frozenset(path.stem for path in paths) - frozenset(found))
