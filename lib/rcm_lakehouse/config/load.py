"""Read and check the whole configuration; every mistake is reported at once, before anything is read from a source."""

import hashlib
from pathlib import Path

from rcm_lakehouse.config.checks_contracts import check_contracts
from rcm_lakehouse.config.checks_loads import check_loads, check_table_options
from rcm_lakehouse.config.checks_models import ReadModel, check_models, read_model
from rcm_lakehouse.config.checks_settings import check_folders
from rcm_lakehouse.config.checks_worklist import read_work_list
from rcm_lakehouse.config.feeds import read_feeds
from rcm_lakehouse.config.monitors import read_monitors
from rcm_lakehouse.config.problems import Problem, raise_problems
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.config.readers import read_connections, read_contracts, read_settings
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.texts import files_of


def load_project(home: Path, environment: str = "local", *, load_config: Path | None = None, cleaner_names: frozenset[str] | None = None) -> Project:
    """The frozen configuration of a project folder.

    `load_config` replaces `<home>/load_config.csv`; `cleaner_names` are the cleaners a contract may name (None: not checked).
    Raises one ConfigError that lists every mistake with file, line, what was expected and the nearest name.
    """
    problems: list[Problem] = []
    path = load_config or home / "load_config.csv"
    settings = read_settings(home, environment, problems)
    connections, contracts, work_list = read_connections(home, problems), read_contracts(home, problems), read_work_list(path, problems)
    models, unread = _models(home, problems)
    check_contracts(contracts, cleaner_names, problems)
    tables = check_models(models, unread, contracts, problems)
    check_loads(path.name, work_list, connections, contracts, problems)
    check_folders(home, settings, connections.sound, problems)
    check_table_options(work_list, connections, contracts, problems)
    monitors = read_monitors(home, contracts, {*models, *unread}, tables, work_list, problems)
    feeds = read_feeds(home, work_list, connections.values, contracts, problems)
    raise_problems(problems)
    assert settings is not None
    return Project(
        home=home,
        settings=settings.value,
        loads=work_list.loads,
        connections=connections.values,
        contracts=contracts.values,
        models={name: model.header.value for name, model in models.items() if model.header is not None},
        config_hash=_hash(home, path),
        monitors=monitors,
        feeds=feeds,
    )


def load_settings(home: Path, environment: str = "local") -> LakehouseSettings:
    """One environment of `conf/lakehouse.yml` alone, for readers that need no work list, contracts or models.

    Raises one ConfigError that lists every mistake of that file.
    """
    problems: list[Problem] = []
    settings = read_settings(home, environment, problems)
    raise_problems(problems)
    assert settings is not None
    return settings.value


def _hash(home: Path, work_list: Path) -> str:
    digest = hashlib.sha256()
    files = (path for path in (home / "conf").rglob("*") if path.suffix in (".yml", ".sql") and not path.name.startswith(".") and path.is_file())
    for path in [work_list, *sorted(files)]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _models(home: Path, problems: list[Problem]) -> tuple[dict[str, ReadModel], frozenset[str]]:
    """The models by name, as far as each is sound, and the names of files that have no text or no name of a model's."""
    paths, misnamed = files_of(home, "conf/gold", ".sql", problems)
    read = {path.stem: read_model(home, path, problems) for path in paths}
    found = {name: model for name, model in read.items() if model is not None}
    return found, (misnamed | frozenset(read)) - frozenset(found)
