"""`python -m rcm_lakehouse.lake.sql_shell`: the start file of Spark's own SQL shell, by which `spark-sql` knows the tables by name.

That shell runs no Python, so the installed `conf/spark/spark-env.sh` asks for this file whenever it starts; it reads the file as Hive's shell
would, from the folder in HIVE_CONF_DIR. Made anew at each start, it names what is there then.
"""

import argparse
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rcm_lakehouse.config.errors import ConfigError, RcmError
from rcm_lakehouse.config.load import load_settings
from rcm_lakehouse.config.places import LAYER_FOLDERS
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.log_check import has_begun
from rcm_lakehouse.lake.names import rows_view_sql, tables_on_disk
from rcm_lakehouse.lake.table import Table, register_sql

START_FILE = ".hiverc"


def start_statements(settings: LakehouseSettings, home: Path) -> list[str]:
    """The statements that make every table and quarantine view of the lakehouse known, one a line, without the semicolon.

    A table whose log cannot be read is left out, with a line on stderr. Raises ConfigError on a catalog or in storage, where names are none of
    the shell's, and when there is no table yet.
    """
    if settings.catalog or "://" in settings.root:
        raise ConfigError("only a lakehouse on local disks is known by name without a catalog.")
    root = (home / settings.root).resolve()
    there = {table.label: table for table in tables_on_disk(root) if _is_sound(root, table)}
    if not there:
        raise ConfigError(f"there is none below {root} yet. The first run makes them.")
    schemas = [f"CREATE SCHEMA IF NOT EXISTS `{getattr(settings.schemas, layer)}`" for layer in LAYER_FOLDERS]
    tables = [register_sql(settings, table, str(root / table.path)) for table in there.values()]
    views = [
        rows_view_sql(settings, table, has_silver={f"silver.{table.name}", f"silver.{table.name}_tombstones"} <= there.keys())
        for table in there.values()
        if table.layer == "quarantine"
    ]
    return [*schemas, *tables, *(" ".join(view.split()) for view in views)]


def _is_sound(root: Path, table: Table) -> bool:
    try:
        return has_begun(root / table.path, table.label)
    except RcmError as error:
        _tell(f"{table.label} is not known by name: {error}")
        return False


def write_start_file(statements: Sequence[str], folder: Path) -> Path:
    """Write the start file into a folder below this one, whole or not at all, and return that: each list of names has its own.

    So shells of several projects and environments that start at once do not take each other's. Where this user may not write, it lies in a
    folder of the user's own among the temporary files.
    """
    text = "".join(f"{statement};\n" for statement in statements)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    try:
        return _written(folder / name, text)
    except OSError:
        return _written(_private() / name, text)


def _written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{START_FILE}.{os.getpid()}"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / START_FILE)
    return folder


def _private() -> Path:
    """A folder of this user's alone; a new one when somebody else made that of the usual name."""
    usual = Path(tempfile.gettempdir()) / f"rcm-names-{os.getuid()}"
    usual.mkdir(mode=0o700, exist_ok=True)
    found = usual.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return usual if is_own else Path(tempfile.mkdtemp(prefix="rcm-names-"))


def _tell(words: str) -> None:
    sys.stderr.write(f"{' '.join(words.split())[:400]}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the start file and print its folder; exit code 1, with one line on stderr, when the shell has to do without."""
    options = argparse.ArgumentParser(prog="python -m rcm_lakehouse.lake.sql_shell", description=(__doc__ or "").partition(": ")[2].split(",")[0])
    options.add_argument("--home", type=Path, default=Path.cwd(), help="project folder (default: here); RCM_HOME names another")
    options.add_argument("--folder", type=Path, required=True, help="folder for the start file")
    given = options.parse_args(arguments)
    home = Path(os.environ.get("RCM_HOME") or given.home)
    try:
        settings = load_settings(home, os.environ.get("RCM_ENV", "local"))
        statements = start_statements(settings, home)
        sys.stdout.write(f"{write_start_file(statements, given.folder)}\n")
        _tell(f"{len(statements)} statements make the lakehouse's schemas, tables and views known by name (RCM_NAMES=off: none):")
    except (RcmError, OSError) as error:
        reason = str(error) if isinstance(error, RcmError) else f"{type(error).__name__} ({error.strerror})"
        _tell(f"The tables of the lakehouse in {home} are not known by name in this session: {reason}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
