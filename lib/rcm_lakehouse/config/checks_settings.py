"""Settings are untrusted input: roots become paths and SQL texts, catalog and schemas become SQL names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rcm_lakehouse.config.connections import FilesConnection
from rcm_lakehouse.config.places import holds_tables, wrong_folder
from rcm_lakehouse.config.problems import Problem
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.validated import Sound

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}\Z")
_SCHEMA = re.compile(r"[A-Za-z0-9_]{1,128}\Z")
_URI = re.compile(r"(abfss?|s3a?|gs|hdfs|dbfs)://[\w.@-]+(/[\w.@=+-]+)+/?\Z", re.ASCII)
_LOCAL = re.compile(r"[\w.@=+,~ /-]{1,400}\Z")

def check_settings(sound: Sound[LakehouseSettings], home: Path, problems: list[Problem]) -> None:
    """Note everything about one environment that its types alone cannot refuse.

    What is wrong in `default` is told of `default`, so that every environment says the same.
    """
    settings, part = sound.value, sound.part

    def note(text: str, *path: str) -> None:
        problems.append(Problem(part.file, part.line(*path), f"{part.block(*path)}: {text}"))

    wrong = wrong_root(home, settings.root)
    if wrong:
        note(f"root {wrong}", "root")
    if settings.catalog is not None and not _NAME.match(settings.catalog):
        note("catalog is no plain name: letters, digits, underscore and hyphen.", "catalog")
    used: dict[str, str] = {}
    for layer, schema in settings.schemas.model_dump().items():
        if sound.lost.at("schemas", layer):
            continue
        if not _SCHEMA.match(schema):
            note(f"the schema of {layer} is no plain name: letters, digits and underscore.", "schemas", layer)
        elif schema.lower() in used:
            note(f"{layer} and {used[schema.lower()]} have the same schema; each layer needs its own.", "schemas", layer)
        used.setdefault(schema.lower(), layer)
    waits = settings.retry
    if waits.max_wait_seconds < waits.first_wait_seconds and not any(sound.lost.at("retry", key) for key in ("max_wait_seconds", "first_wait_seconds")):
        note("max_wait_seconds is less than first_wait_seconds.", "retry", "max_wait_seconds")


def wrong_root(home: Path, root: str) -> str | None:
    """What is wrong with a lakehouse's root, in words; None when nothing is."""
    if "://" in root:
        sound = _URI.match(root) and ".." not in root.split("/")
        return None if sound else "is no storage address: abfss, s3, s3a, gs, hdfs or dbfs, container and folder, no '..'."
    if not _LOCAL.match(root):
        return "is no plain folder: quotes, semicolons, wildcards and control marks are not allowed."
    return wrong_folder(home, root)


def check_folders(home: Path, settings: Sound[LakehouseSettings] | None, connections: Mapping[str, Sound[Any]], problems: list[Problem]) -> None:
    """Note landing and archive folders in which files would be taken from the program, from the system or from the tables."""
    root = None if settings is None or settings.lost.at("root") else settings.value.root
    for name, sound in connections.items():
        connection, part = sound.value, sound.part
        if not isinstance(connection, FilesConnection) or sound.lost.at("path"):
            continue
        for key, text in (("path", connection.path), ("archive", connection.archive)):
            wrong = None if text is None else wrong_folder(home, text)
            if text is not None and wrong is None and root is not None and holds_tables(home, root, text):
                wrong = "takes in the lakehouse's own tables."
            if wrong:
                problems.append(Problem(part.file, part.line(key), f"{name}: {key} {wrong}"))
        if connection.archive is not None and _would_be_read_again(home, connection.path, connection.archive):
            problems.append(Problem(part.file, part.line("archive"), f"{name}: archive lies in path, where its files would be met again."))


def _would_be_read_again(home: Path, path: str, archive: str) -> bool:
    landing, place = (home / path).resolve(), (home / archive).resolve()
    return place == landing or (place.is_relative_to(landing) and "_archive" not in place.relative_to(landing).parts)
