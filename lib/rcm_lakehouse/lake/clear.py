"""`python -m rcm_lakehouse.lake.clear`: remove what earlier demo runs loaded, for day 1 makes new databases.

Only below `lakehouse/`, and only when both the work list and every bronze table there are the demo's: whatever else the configuration loads
or ever loaded, running, paused or taken out of the work list, is neither removed nor read.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from rcm_lakehouse.config.connections import LOOPBACK, ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.errors import ConfigError, RcmError
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.config.places import LAYER_FOLDERS
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.lock import lakehouse_lock
from rcm_lakehouse.lake.names import tables_on_disk

ROOT = "lakehouse"
DEMO = f"{ROOT}/demo"
_LOADED = (*LAYER_FOLDERS, "_scratch", "_warehouse")
_ELSEWHERE = "Nothing was made or removed. Run the demo in another checkout"


def clear_demo(home: Path) -> list[str]:
    """Remove the tables below `lakehouse/`, and nothing beside them; the names of what was removed.

    Raises ConfigError when the work list loads anything but the demo or the lakehouse holds anything else, also where there is nothing to
    remove yet; LockHeldError when a run is at work. Nothing was removed then.
    """
    root = home / ROOT
    _check_is_demo(load_project(home, os.environ.get("RCM_ENV", "local")), root)
    found = [root / name for name in _LOADED if (root / name).exists() or (root / name).is_symlink()]
    if not found:
        return []
    with lakehouse_lock(str(root), "clear", "demo"):
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return sorted(path.name for path in found)


def _check_is_demo(project: Project, root: Path) -> None:
    home, settings = project.home, project.settings
    if settings.catalog or "://" in settings.root or (home / settings.root).resolve() != root.resolve():
        raise ConfigError(f"The demo loads into {ROOT}/ alone, and conf/lakehouse.yml sets root: {settings.root}. {_ELSEWHERE}, or with RCM_ENV unset.")
    foreign = sorted({row.database for row in project.active_loads if not _is_demo(project.connections.get(row.database))})
    if foreign:
        raise ConfigError(f"load_config.csv loads {', '.join(foreign)}, which the demo did not make. {_ELSEWHERE}, or set is_active to 0 in those rows.")
    if not any((root / layer).is_dir() for layer in LAYER_FOLDERS):
        return
    if not (home / DEMO).is_dir():
        raise ConfigError(f"{root} holds tables that may not be the demo's: there is no {DEMO}. {_ELSEWHERE}, or move the folder away.")
    own = {row.bronze_path for row in project.loads if _is_demo(project.connections.get(row.database))}
    others = [table.path for table in tables_on_disk(root) if table.layer == "bronze" and table.path not in own]
    if others:
        raise ConfigError(
            f"{root} holds tables that are not the demo's: no row of load_config.csv loads {', '.join(others)} from the demo's sources. "
            f"{_ELSEWHERE}, or move the folder {ROOT}/ away."
        )


def _is_demo(connection: JdbcConnection | FilesConnection | ApiConnection | None) -> bool:
    if isinstance(connection, JdbcConnection):
        return connection.dialect == "h2" and (connection.database or "").startswith(f"{DEMO}/")
    if isinstance(connection, FilesConnection):
        return connection.path.startswith(f"{DEMO}/")
    # The demo's services are on this machine; what a real one said cannot be fetched again.
    return isinstance(connection, ApiConnection) and urlsplit(connection.base_url).hostname in LOOPBACK


def main(arguments: Sequence[str] | None = None) -> int:
    """Clear and say so; exit code 0, or that of the error."""
    options = argparse.ArgumentParser(prog="python -m rcm_lakehouse.lake.clear", description=(__doc__ or "").partition(": ")[2])
    options.add_argument("--home", type=Path, default=Path.cwd(), help="project folder (default: here)")
    given = options.parse_args(arguments)
    try:
        removed = clear_demo(given.home.resolve())
    except RcmError as error:
        Console(stderr=True, emoji=False).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    if removed:
        Console(emoji=False).print(f"Removed what an earlier demo loaded, below {ROOT}/: {', '.join(removed)}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
