"""Values of a file as a configuration object: every mistake of form in this project's words, and the sound rest to be judged for meaning.

What is faulty is left out and remembered, so that one round finds the mistakes of the rest too and nobody is told that something is
missing which stands there with a mistake in it. A misspelled key or word is read as the known one that the message proposes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from rcm_lakehouse.config.parts import Loss, Lost, Part, Path, value_at
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest
from rcm_lakehouse.config.shapes import Shape, expected, shapes_along

Model = TypeVar("Model", bound=BaseModel)
# Each round mends one level of keys, or leaves out what the last one brought to light.
_ROUNDS = 12


@dataclass(frozen=True)
class Sound(Generic[Model]):
    """What is sound of an object: `part` gives the lines of what is left, `lost` what is not."""

    value: Model
    part: Part
    lost: Lost


def validated(
    part: Part, model: type[Model], problems: list[Problem], *, given: Mapping[str, Any] | None = None, stand_ins: Mapping[str, Any] | None = None
) -> Sound[Model] | None:
    """The object that a part of a file states, as far as it is sound; None when nothing sensible is left. Every finding is noted with its line.

    `given` holds keys that the program adds; `stand_ins` what takes the place of required keys that are missing or faulty, so that the others
    can be judged. No value of the file is quoted: a secret may stand where it should not.
    """
    if not isinstance(part.values, dict):
        problems.append(Problem(part.file, part.line(), f"{part.name()}: expected keys with values."))
        return None
    added = dict(given or {})
    part, doubles = part.without_doubles()
    part, lost = _with_known_keys(part, model, added, problems)
    lost += doubles
    is_told = False
    for _ in range(_ROUNDS):
        made = _made(model, {**part.values, **added})
        if not isinstance(made, list):
            return Sound(made, part, lost)
        faults = {fault.place: fault for fault in (_fault(model, error) for error in made)}
        if not is_told:
            told = [fault for fault in faults.values() if not (fault.is_missing and doubles.at(*fault.place))]
            problems += [Problem(part.file, part.line(*fault.place), f"{part.name(*fault.place)}: {fault.text}") for fault in told]
            is_told = True
        drop, words, roots = _mended(model, faults.values())
        if roots - set(stand_ins or {}):
            return None
        lost += Lost(tuple(Loss((), key, part.values.get(key)) for key in roots))
        added |= {key: (stand_ins or {})[key] for key in roots}
        part, more = part.changed(drop=drop, replace=words)
        lost += more
    return None


def _made(model: type[Model], values: dict[str, Any]) -> Model | list[Any]:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        return error.errors(include_url=False)


def _with_known_keys(part: Part, model: type[Model], given: Mapping[str, Any], problems: list[Problem]) -> tuple[Part, Lost]:
    """The part with every misspelled key under its right name and without other unknown keys; each is noted."""
    lost = Lost()
    for _ in range(_ROUNDS):
        made = _made(model, {**part.values, **given})
        unknown = [_place(error) for error in made if error["type"] == "extra_forbidden"] if isinstance(made, list) else []
        if not unknown:
            break
        drop: set[Path] = set()
        rename: dict[Path, str] = {}
        for place in unknown:
            holder = (shapes_along(model, place[:-1]) or [Shape(model)])[-1]
            known = [key for key in (holder.model.model_fields if holder.model else ()) if len(place) > 1 or key not in given]
            meant = nearest(place[-1], known)
            text = f"{part.name(*place)}: this key is not known.{did_you_mean(place[-1], known)}"
            problems.append(Problem(part.file, part.line(*place), text))
            taken = {*value_at(part.values, place[:-1]), *(name for other, name in rename.items() if other[:-1] == place[:-1])}
            if meant is None or meant in taken:
                drop.add(place)
            else:
                rename[place] = meant
        part, more = part.changed(drop=drop, rename=rename)
        lost += more.meant_for_others(part.values)
    return part, lost


def _place(error: Any) -> Path:
    return tuple(str(part) for part in error["loc"] if part != "[key]")


@dataclass(frozen=True)
class _Fault:
    """One finding: the place of the value that is faulty or missing, what was expected, and the shapes on the way to it."""

    place: Path
    text: str
    shapes: Sequence[Shape]
    found: Any
    is_missing: bool


def _fault(model: type[BaseModel], error: Any) -> _Fault:
    place = _place(error)
    shapes = shapes_along(model, place)
    # A union's kinds and a pair's numbers are parts of the finding's place, not keys of the file.
    is_missing = error["type"] == "missing" and len(shapes) == len(place)
    place = place[: len(shapes)]
    return _Fault(place, _in_words(error, shapes[-1] if shapes else Shape(model), is_missing), shapes, error["input"], is_missing)


def _in_words(error: Any, shape: Shape, is_missing: bool) -> str:
    if is_missing:
        return "this key is required and missing."
    if error["type"] == "value_error":
        return f"{error['msg'].removeprefix('Value error, ')}."
    hint = did_you_mean(str(error["input"]), shape.words) if error["type"] == "literal_error" else ""
    return f"expected {expected(shape, error['input'])}.{hint}"


def _mended(model: type[BaseModel], faults: Any) -> tuple[set[Path], dict[Path, Any], set[str]]:
    """What to leave out, which words to put right, and which required keys of the object itself need a stand-in."""
    drop: set[Path] = set()
    words: dict[Path, Any] = {}
    roots: set[str] = set()
    for fault in faults:
        place, shapes = fault.place, list(fault.shapes)
        word = nearest(str(fault.found), shapes[-1].words) if shapes and isinstance(fault.found, str) else None
        if word is not None:
            words[place] = word
            continue
        while len(place) > 1 and not shapes[-1].is_entry and shapes[-1].is_required:
            place, shapes = place[:-1], shapes[:-1]
        if place and (shapes[-1].is_entry or not shapes[-1].is_required):
            drop.add(place)
        else:
            roots.add(place[0] if place else "")
    return drop, words, roots
