"""Secrets by reference: `env:NAME`, `file:path`, `databricks:scope/key`. A value is fetched at use and kept nowhere."""

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from rcm_lakehouse.config.errors import ConfigError

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[\w./@+=-]+|databricks:[\w.@-]+/[\w.@-]+")
FORMS = "env:NAME, file:path or databricks:scope/key"
# Container platforms mount secrets here; every other file is named from the project's folder.
MOUNTED = "/run/secrets/"
_SCHEMES = ("env", "file", "databricks")
_MAX_BYTES = 65_536


def is_reference(text: str) -> bool:
    """True for a well-formed secret reference.

    A file lies below the project's folder, or below /run/secrets; its path has no `..`.
    """
    if not REFERENCE.fullmatch(text):
        return False
    scheme, _, place = text.partition(":")
    return scheme != "file" or (".." not in place.split("/") and (not place.startswith("/") or place.startswith(MOUNTED)))


def looks_like_reference(text: str) -> bool:
    """True for a text that begins as a reference does, in any case, well-formed or not."""
    return text.partition(":")[0].strip().lower() in _SCHEMES and ":" in text


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


def resolve_all(references: Mapping[str, str | None], *, home: Path) -> dict[str, str]:
    """The values behind several references, by name; None is left out.

    Raises ConfigError that names every reference with nothing behind it.
    """
    found: dict[str, str] = {}
    problems: list[str] = []
    for name, reference in references.items():
        try:
            found |= {} if reference is None else {name: resolve(reference, home=home)}
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError(" ".join(problems))
    return found


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"secret env:{name}: the environment variable {name} is not set. Set it before the run; nothing of this load was read.")
    return value


def _from_file(place: str, home: Path) -> str:
    path = home / place
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > _MAX_BYTES):
            raise _nothing(f"file:{place}", "it is no file that holds one secret")
        return path.read_text(encoding="utf-8").strip("\r\n")
    except OSError as error:
        raise _nothing(f"file:{place}", f"the file cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _nothing(f"file:{place}", "the file is not UTF-8") from None


def _from_databricks(place: str) -> str:
    scope, _, key = place.partition("/")
    try:
        secrets = importlib.import_module("databricks.sdk.runtime").dbutils.secrets
    except (ImportError, AttributeError):
        raise ConfigError(f"secret databricks:{place}: there is no dbutils here. Use env: or file: outside Databricks.") from None
    if scope not in {item.name for item in secrets.listScopes()}:
        raise _nothing(f"databricks:{place}", f"there is no scope '{scope}' that this account may read")
    if key not in {item.key for item in secrets.list(scope)}:
        raise _nothing(f"databricks:{place}", f"there is no key '{key}' in scope '{scope}'")
    return str(secrets.get(scope=scope, key=key))


def _nothing(reference: str, reason: str) -> ConfigError:
    return ConfigError(f"secret {reference}: {reason}. Nothing of this load was read.")
