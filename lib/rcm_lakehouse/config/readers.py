"""Settings, connections and contracts read from their files: what is sound of them, with every mistake that stands in one block alone."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rcm_lakehouse.config.checks_connections import check_connection
from rcm_lakehouse.config.checks_contracts import NO_ENTITY, is_entity
from rcm_lakehouse.config.checks_settings import check_settings
from rcm_lakehouse.config.connections import CONNECTIONS, AnyConnection
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.parts import Part
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest
from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.config.texts import files_of
from rcm_lakehouse.config.validated import Sound, validated
from rcm_lakehouse.config.yaml_lines import Document, read_yaml

_TYPES = ", ".join(CONNECTIONS)
# Keys that only one type of connection has, for one whose own `type` cannot be read.
_TELLING = {"dialect": "jdbc", "path": "files", "base_url": "api", "kind": "api"}
# In place of required keys, so that the rest can be judged; whoever judges asks first whether they were lost.
_CONNECTION_STAND_INS = {"dialect": "mariadb", "time_zone": "UTC", "path": "landing", "kind": "who_icd", "base_url": "https://localhost/"}


@dataclass(frozen=True)
class Connections:
    """The connections by name, as far as each is sound; `unread` names those that nothing can be said of.

    `is_read`: the file could be read, and no block in it may be another one under a wrong name.
    """

    sound: dict[str, Sound[Any]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    is_read: bool = False

    @property
    def values(self) -> dict[str, AnyConnection]:
        """The connections without what was left out of them."""
        return {name: sound.value for name, sound in self.sound.items()}

    def may_have(self, name: str) -> bool:
        """True when there is a connection of this name, or may be one once the file can be read."""
        return name in self.sound or name in self.unread or not self.is_read


def read_settings(home: Path, environment: str, problems: list[Problem]) -> Sound[LakehouseSettings] | None:
    """The wanted environment; every block of the file is checked, the others too, and what they share once."""
    document = read_yaml(home, "conf/lakehouse.yml", problems)
    if document is None:
        return None
    wrong = [name for name, block in document.values.items() if not isinstance(block, dict | None) and name not in document.blocks_twice]
    problems += [Problem(document.file, document.line(name), f"{name}: expected keys with values.") for name in wrong]
    blocks = [name for name in document.values if name != "default"]
    unread = {*wrong, *document.blocks_twice}
    found = {name: _environment(document, home, name, problems) for name in blocks if name not in unread}
    if environment not in blocks and not document.blocks_twice:
        hint = did_you_mean(environment, blocks)
        problems.append(Problem(document.file, 0, f"there is no environment '{environment}'; there are {', '.join(blocks) or 'none'}.{hint}"))
    return found.get(environment)


def _environment(document: Document, home: Path, name: str, problems: list[Problem]) -> Sound[LakehouseSettings] | None:
    part = _merged(document, name)
    if "environment" in part.values:
        text = f"{part.name('environment')}: this key is the block's own name."
        problems.append(Problem(part.file, part.line("environment"), text))
        part, _ = part.changed(drop=[("environment",)])
    settings = validated(part, LakehouseSettings, problems, given={"environment": name})
    if settings is not None:
        check_settings(settings, home, problems)
    return settings


def _merged(document: Document, name: str) -> Part:
    """An environment's block laid over `default`, key by key; each key keeps the place in which it stands."""
    own = document.part(name)
    if not isinstance(document.values.get("default"), dict) or "default" in document.blocks_twice:
        return Part(own.file, own.values or {}, own.places, own.twice)
    default = document.part("default")
    places = dict(default.places)
    values = _laid_over(default.values, own.values or {})
    for path in filter(None, own.places):
        # Lists and texts of the environment replace those of `default` with all that stands in them.
        if not isinstance(_at(own.values, path), dict):
            places = {where: place for where, place in places.items() if where[: len(path)] != path}
    # Of what the environment gives itself `default` says nothing.
    twice = own.twice | {where for where in default.twice if where not in own.places}
    return Part(own.file, values, {**places, **own.places}, twice)


def _laid_over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: _laid_over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value for key, value in over.items()}
    return {**base, **both}


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[int(key)] if isinstance(values, list) else values[key]
    return values


def read_connections(home: Path, problems: list[Problem]) -> Connections:
    """Every block of conf/connections.yml."""
    document = read_yaml(home, "conf/connections.yml", problems)
    if document is None:
        return Connections()
    found: dict[str, Sound[Any]] = {}
    for name in (name for name in document.values if name not in document.blocks_twice):
        part, model = _typed(document.part(name), problems)
        given = None if model is None else {"type": part.values["type"]}
        connection = None if model is None else validated(part, model, problems, given=given, stand_ins=_CONNECTION_STAND_INS)
        if connection is not None:
            found[name] = connection
            check_connection(name, connection, problems)
    return Connections(found, frozenset(document.values) - frozenset(found), is_read=not document.blocks_twice)


def _typed(part: Part, problems: list[Problem]) -> tuple[Part, type[AnyConnection] | None]:
    """A connection's values with a type that exists, and its model; a type that cannot be read is taken from its nearest, or from its keys."""

    def note(text: str, *path: str) -> None:
        problems.append(Problem(part.file, part.line(*path), text))

    if not isinstance(part.values, dict):
        note(f"{part.name()}: expected keys with values.")
        return part, None
    is_twice = ("type",) in part.twice
    kind = None if is_twice else part.values.get("type")
    if isinstance(kind, str) and kind in CONNECTIONS:
        return part, CONNECTIONS[kind]
    told = {_TELLING[key] for key in part.values if key in _TELLING}
    meant: str | None = None
    if "type" in part.values and not is_twice:
        note(f"{part.name()}: type is not one of {_TYPES}.{did_you_mean(str(kind), CONNECTIONS)}", "type")
        meant = nearest(str(kind), CONNECTIONS)
    elif not is_twice:
        known = {key for model in CONNECTIONS.values() for key in model.model_fields}
        odd = next((key for key in part.values if key not in known and nearest(key, ["type"])), None)
        if odd is not None:
            note(f"{part.name(odd)}: this key is not known. Did you mean 'type'?", odd)
            part, _ = part.changed(rename={(odd,): "type"})
            return _typed(part, problems)
        if not any(len(place) == 1 for place in part.twice):
            note(f"{part.name()}: the key 'type' is required and missing; it is one of {_TYPES}.")
    meant = meant or (next(iter(told)) if len(told) == 1 else None)
    if meant is None:
        return part, None
    return Part(part.file, {**part.values, "type": meant}, part.places, part.twice), CONNECTIONS[meant]


def read_contracts(home: Path, problems: list[Problem]) -> Contracts:
    """Every contract below conf/cdm by the name of its file; one that calls itself otherwise is judged as what its file says."""
    found: dict[str, Sound[Contract]] = {}
    paths, misnamed = files_of(home, "conf/cdm", ".yml", problems)
    if not paths and not misnamed:
        problems.append(Problem("conf/cdm", 0, "there is no contract; expected one file an entity, like conf/cdm/patient.yml."))
    for path in paths:
        document = read_yaml(home, f"conf/cdm/{path.name}", problems)
        if document is None:
            continue
        stand_ins = {"entity": path.stem, "description": "", "grain": "", "key": (), "columns": (), "sources": ()}
        contract = validated(document.part(), Contract, problems, stand_ins=stand_ins)
        if contract is not None:
            found[path.stem] = _named(contract, path.stem, problems)
    return Contracts(found, (misnamed | {path.stem for path in paths}) - frozenset(found))


def _named(contract: Sound[Contract], name: str, problems: list[Problem]) -> Sound[Contract]:
    entity = contract.value.entity
    if entity == name:
        return contract
    text = f"entity '{entity}' is not the file's name '{name}'." if is_entity(entity) else NO_ENTITY
    problems.append(Problem(contract.part.file, contract.part.line("entity"), text))
    return Sound(contract.value.model_copy(update={"entity": name}), contract.part, contract.lost)
