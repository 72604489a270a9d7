"""Tables by name in sessions that are not ours: a notebook's or script's plain `SparkSession.builder.getOrCreate()`.

Spark's catalog lives in memory, so each process has to tell it the tables. `make install` has Python import this module at every start
of the environment (`rcm_lakehouse_names.pth`); it therefore imports nothing that Python has not loaded already, and waits for pyspark.
`RCM_NAMES=off` in the environment switches it off.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE = "pyspark.sql.session"
SWITCH = "RCM_NAMES"

_seen: set[str] = set()
_paused = 0


class _AfterImport:
    """A finder that finds nothing itself: it has the module loaded as always, and then adds to it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the other finders find, with our addition after loading; None for every other module."""
        if name != MODULE:
            return None
        uninstall()
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """The module's own loader, and our addition behind it. A zip file has one loader for all its modules, so it is not changed itself."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def create_module(self, spec: Any) -> Any:
        """As the own loader makes it."""
        return self.own.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Load, leave no trace of ourselves in the module, then add."""
        module.__spec__.loader = module.__loader__ = self.own
        self.own.exec_module(module)
        _add_to(module)


class paused:  # noqa: N801  (reads as a statement: `with paused():`)
    """While it is entered, sessions are left alone for good: our own runs name the tables they touch, when they touch them."""

    def __enter__(self) -> None:
        global _paused
        _paused += 1

    def __exit__(self, *_: object) -> None:
        global _paused
        _paused -= 1


def install() -> None:
    """Act on every session that this process makes from now on."""
    if MODULE in sys.modules:
        _add_to(sys.modules[MODULE])
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


def uninstall() -> None:
    """Stop waiting for pyspark; what was added to it already stays."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _AfterImport)]


def _add_to(module: Any) -> None:
    builder = getattr(getattr(module, "SparkSession", None), "Builder", None)
    make = getattr(builder, "getOrCreate", None)
    if builder is None or make is None or hasattr(make, "names_tables"):
        return

    def make_and_name(self: Any) -> Any:
        session = make(self)
        _name_tables(session)
        return session

    make_and_name.__doc__ = make.__doc__
    make_and_name.__name__ = make.__name__
    make_and_name.__qualname__ = make.__qualname__
    make_and_name.names_tables = True  # type: ignore[attr-defined]
    builder.getOrCreate = make_and_name


def _name_tables(session: Any) -> None:
    if session.__class__.__module__ != MODULE:
        return
    application = session.sparkContext.applicationId
    if application in _seen:
        return
    _seen.add(application)
    if not _paused and os.environ.get(SWITCH, "").lower() != "off":
        from rcm_lakehouse.lake.names import name_for_readers

        name_for_readers(session)


install()
