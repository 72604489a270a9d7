"""A part of a file that becomes one object: its values, where each stands, and what had to be left out of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Path = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a key or a list entry stands: its line, and its full name as the file has it."""

    line: int
    name: Path


@dataclass(frozen=True)
class Loss:
    """A value that was left out: of which mapping or list, under which key (empty: an entry of a list), and what stood there (None: nothing).

    A key that is not known, or is given twice, may have been meant for any that does not stand beside it; `beside` names those, and is None for
    another key.
    """

    holder: Path
    key: str
    # A secret may stand in it.
    value: Any = field(repr=False)
    beside: frozenset[str] | None = None

    @property
    def spot(self) -> Path:
        """The path at which the value would stand."""
        return (*self.holder, self.key)

    def holds(self, where: Path) -> bool:
        """True when all of the value at a path was left out with this one."""
        depth = len(self.holder)
        if self.beside is not None:
            return where[:depth] == self.holder and len(where) > depth and where[depth] not in self.beside
        return where[: depth + 1] == self.spot


@dataclass(frozen=True)
class Lost:
    """What was left out of an object. Whoever judges the rest asks here before saying that something is missing or not known."""

    losses: tuple[Loss, ...] = ()

    def at(self, *path: object) -> bool:
        """True when something of the value at `path` was left out, or all of it."""
        where = _plain(path)
        return any(loss.spot[: len(where)] == where or loss.holds(where) for loss in self.losses)

    def may_name(self, name: str, *path: object, by: str = "name") -> bool:
        """True when what was left out of the list or mapping at `path` may be called `name`, any case.

        `by` is the key that names an entry of a list. What has no readable name may have any.
        """
        return any(not names or name.lower() in names for names in self._names(_plain(path), by))

    def names(self, *path: object, by: str = "name") -> frozenset[str] | None:
        """Names, in lower case, of what was left out of the list or mapping at `path`; None when something of it may have any name."""
        found = list(self._names(_plain(path), by))
        return None if any(not names for names in found) else frozenset().union(*found)

    def _names(self, where: Path, by: str) -> Iterator[frozenset[str]]:
        for loss in self.losses:
            spot = loss.spot
            if loss.holds(where) or (loss.holder == where and loss.beside is not None):
                yield frozenset()
            elif loss.holder == where and loss.key:
                yield frozenset({loss.key.lower()})
            elif loss.holder == where:
                yield _texts(loss.value.get(by) if isinstance(loss.value, dict) else loss.value)
            elif spot[: len(where)] == where and spot[len(where) + 1 :][:1] == (by,):
                yield _texts(loss.value)

    def meant_for_others(self, left: Any) -> "Lost":
        """The same losses, each of which may have been meant for any key that does not stand beside it in what is left."""
        return Lost(tuple(replace(loss, beside=frozenset(value_at(left, loss.holder))) for loss in self.losses))

    def __add__(self, other: "Lost") -> "Lost":
        return Lost((*self.losses, *other.losses))


def value_at(values: Any, place: Path) -> Any:
    """What stands at a path of nested mappings and lists."""
    for part in place:
        values = values[int(part)] if isinstance(values, list | tuple) else values[part]
    return values


def _plain(path: Collection[object]) -> Path:
    return tuple(str(part) for part in path)


def _texts(value: Any) -> frozenset[str]:
    """A text, or the texts of a list, in lower case; empty when there is anything else."""
    items = value if isinstance(value, list) else [value]
    return frozenset(item.lower() for item in items) if all(isinstance(item, str) for item in items) else frozenset()


@dataclass(frozen=True)
class Part:
    """Values as YAML gives them, and the place of each by its path among them; the root's own path is empty.

    `twice` are the paths of keys that are given twice: which of their values is meant, nobody can tell.
    """

    file: str
    values: Any
    places: Mapping[Path, Place]
    twice: frozenset[Path] = frozenset()

    def line(self, *path: object) -> int:
        """The line of a key or list entry, or of the nearest one above it."""
        return self._nearest(_plain(path))[0].line

    def name(self, *path: object) -> str:
        """The full name of a key in the file: `emr.tables.visits.overlap_seconds`."""
        place, rest = self._nearest(_plain(path))
        return ".".join((*place.name, *rest)) or "the file"

    def block(self, *path: object) -> str:
        """The top-level block of the file in which a key stands."""
        place, rest = self._nearest(_plain(path))
        return (*place.name, *rest, "")[0]

    def _nearest(self, path: Path) -> tuple[Place, Path]:
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]], path[length:]
        return Place(0, ()), path

    def changed(
        self, *, drop: Collection[Path] = (), rename: Mapping[Path, str] | None = None, replace: Mapping[Path, Any] | None = None
    ) -> tuple["Part", Lost]:
        """The part without some values, with other keys and other values, and what it lost; list entries behind a lost one move up."""
        change = _Change(self.places, frozenset(drop), rename or {}, replace or {})
        values = change.copied(self.values, (), ())
        return Part(self.file, values, change.places, self.twice - change.drop), Lost(tuple(change.losses))

    def without_doubles(self) -> tuple["Part", Lost]:
        """The part without keys that are given twice, and what it lost: one of the two may be any key that is missing, under a wrong name."""
        part, lost = self.changed(drop=self.twice)
        return part, lost.meant_for_others(part.values)


@dataclass
class _Change:
    before: Mapping[Path, Place]
    drop: frozenset[Path]
    rename: Mapping[Path, str]
    replace: Mapping[Path, Any]
    places: dict[Path, Place] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)

    def copied(self, value: Any, old: Path, new: Path) -> Any:
        """The value at `old`, which stands at `new` from now on."""
        if old in self.before:
            place = self.before[old]
            self.places[new] = Place(place.line, (*place.name[:-1], new[-1])) if old in self.rename else place
        if old in self.replace:
            return self.replace[old]
        if isinstance(value, dict):
            self.losses += [Loss(new, key, item) for key, item in value.items() if (*old, key) in self.drop]
            kept = [key for key in value if (*old, key) not in self.drop]
            return {name: self.copied(value[key], (*old, key), (*new, name)) for key in kept for name in [self.rename.get((*old, key), key)]}
        if isinstance(value, list):
            self.losses += [Loss(new, "", item) for number, item in enumerate(value) if (*old, str(number)) in self.drop]
            stay = [number for number in range(len(value)) if (*old, str(number)) not in self.drop]
            return [self.copied(value[number], (*old, str(number)), (*new, str(at))) for at, number in enumerate(stay)]
        return value
