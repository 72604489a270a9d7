"""`python -m rcm_lakehouse.lake.clear`: remove what earlier demo runs loaded, for day 1 makes new databases.

Only below `lakehouse/`, and only when the work list loads nothing but the demo: a lakehouse with other data is never touched.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.connections import ApiConnection, FilesConnection, JdbcConnection
from rcm_lakehouse.config.errors import ConfigError, RcmError
from rcm_lakehouse.config.load import load_project
from rcm_lakehouse.lake.lock import HOLDER_FILE, LOCK_FILE, lakehouse_lock

ROOT = "lakehouse"
DEMO = f"{ROOT}/demo"
LAYERS = ("bronze", "silver", "quarantine", "gold", "audit")
_KEPT = ("demo", LOCK_FILE, HOLDER_FILE)


def clear_demo(home: Path) -> list[str]:
    """Remove everything below `lakehouse/` but the demo's own sources; the names of what was removed.

    Raises ConfigError when the lakehouse is not the demo's alone, LockHeldError when a run is at work; nothing was removed.
    """
    root = home / ROOT
    if not any((root / layer).is_dir() for layer in LAYERS):
        return []
    _check_is_demo(home, root)
    with lakehouse_lock(str(root), "clear", "demo"):
        found = sorted(path for path in root.iterdir() if path.name not in _KEPT)
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return [path.name for path in found]


def _check_is_demo(home: Path, root: Path) -> None:
    project = load_project(home)
    foreign = sorted({row.database for row in project.active_loads if not _is_demo(project.connections[row.database])})
    if foreign or not (home / DEMO).is_dir():
        reason = f"load_config.csv loads {', '.join(foreign)}" if foreign else f"there is no {DEMO}"
        raise ConfigError(
            f"{root} holds tables that may not be the demo's alone: {reason}. Nothing was removed. Move the folder away, or run the demo in another checkout."
        )


def _is_demo(connection: JdbcConnection | FilesConnection | ApiConnection) -> bool:
    if isinstance(connection, JdbcConnection):
        return connection.dialect == "h2" and (connection.database or "").startswith(f"{DEMO}/")
    return isinstance(connection, ApiConnection) or connection.path.startswith(f"{DEMO}/")


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
