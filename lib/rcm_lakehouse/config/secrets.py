"""Secrets by reference: `env:NAME`, `file:path`, `databricks:scope/key`. A value is fetched at use and kept nowhere."""

import importlib
import os
import re
from pathlib import Path

from rcm_lakehouse.config.errors import ConfigError

REFERENCE = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\s]+|databricks:[\w.@-]+/[\w.@-]+)$")


def is_reference(text: str) -> bool:
    """True for a well-formed secret reference."""
    return bool(REFERENCE.match(text))


def resolve(reference: str, *, home: Path) -> str:
    """The value behind a reference; a text that is no reference (a user name) is returned as it is.

    Raises ConfigError that names the reference, never a value, when there is nothing behind it.
    """
    if not is_reference(reference):
        return reference
    scheme, _, place = reference.partition(":")
    if scheme == "env":
        return _from_environment(place)
    return _from_file(place, home) if scheme == "file" else _from_databricks(place)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"secret env:{name}: the environment variable {name} is not set. Set it before the run; nothing of this load was read.")
    return value


def _from_file(place: str, home: Path) -> str:
    try:
        return (home / place).read_text(encoding="utf-8").strip("\r\n")
    except OSError as error:
        raise ConfigError(f"secret file:{place}: the file cannot be read ({error.strerror}). Nothing of this load was read.") from None


def _from_databricks(place: str) -> str:
    scope, _, key = place.partition("/")
    try:
        utilities = importlib.import_module("databricks.sdk.runtime").dbutils
    except (ImportError, AttributeError):
        raise ConfigError(f"secret databricks:{place}: there is no dbutils here. Use env: or file: outside Databricks.") from None
    return str(utilities.secrets.get(scope=scope, key=key))
