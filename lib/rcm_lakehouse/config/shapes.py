"""What may stand at a place of a configuration object, read from the types of its model, and how that is said in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from rcm_lakehouse.config.settings import InWords


@dataclass(frozen=True)
class Shape:
    """What is expected at a place: its type, the bounds that come with it, and what becomes of its holder without it.

    `is_entry`: a list or mapping that may be without it; `is_required`: its object cannot be without it. A part of a pair is neither.
    """

    type: Any
    bounds: Sequence[Any] = ()
    is_entry: bool = False
    is_required: bool = True

    @property
    def model(self) -> type[BaseModel] | None:
        """The model of an object; None where no object is expected."""
        return self.type if isinstance(self.type, type) and issubclass(self.type, BaseModel) else None

    @property
    def words(self) -> tuple[str, ...]:
        """The closed set of words that may stand here; empty when there is none."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()


def shapes_along(model: type[BaseModel], place: Sequence[object]) -> list[Shape]:
    """The shape of every step of a place, outermost first; it ends where the types know of no further part, or at a pair."""
    found: list[Shape] = []
    here = Shape(model)
    for part in place:
        inner = _inside(here, part)
        if inner is None:
            break
        found.append(inner)
        here = inner
    return found


def _inside(shape: Shape, part: object) -> Shape | None:
    if shape.model is not None:
        known = shape.model.model_fields.get(str(part))
        return None if known is None else Shape(_given(known.annotation), known.metadata, is_required=known.is_required())
    origin, inner = get_origin(shape.type), get_args(shape.type)
    if origin is dict:
        return Shape(_given(inner[1]), is_entry=True)
    return Shape(_given(inner[0]), is_entry=True) if origin is tuple and inner[-1] is Ellipsis else None


def _given(annotation: Any) -> Any:
    """A type without its None, which stands for a key that is not given."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else tuple(kinds)


def expected(shape: Shape, found: Any) -> str:
    """What is expected at a place, in words: `a whole number from 1 to 64`; `found` is asked for its type and never shown."""
    told = next((bound.text for bound in shape.bounds if isinstance(bound, InWords)), None)
    if told is not None:
        return told
    kinds = shape.type if isinstance(shape.type, tuple) else (shape.type,)
    return " or ".join(dict.fromkeys(_kind(kind, kinds) for kind in kinds)) + _range(shape.bounds) + _hint(kinds, found)


def _kind(kind: Any, among: Sequence[Any]) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(str(word) for word in get_args(kind))}"
    if get_origin(kind) is tuple:
        return "a list" if get_args(kind)[-1] is Ellipsis else f"a list of {len(get_args(kind))} values"
    names = {bool: "true or false", float: "a number", str: "a text", date: "a day as YYYY-MM-DD"}
    if kind is int:
        return "a number" if float in among else "a whole number"
    return names.get(kind, "keys with values")


def _range(bounds: Sequence[Any]) -> str:
    found = {name: value for bound in bounds for name in ("ge", "gt", "le", "lt") if (value := getattr(bound, name, None)) is not None}
    if "ge" in found and "le" in found:
        return f" from {found['ge']:,} to {found['le']:,}"
    return "".join(f" {words} {found[name]:,}" for name, words in _BOUNDS.items() if name in found)


_BOUNDS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


def _hint(kinds: Sequence[Any], found: Any) -> str:
    """YAML reads 5, 06:00 and yes as numbers and flags, which people do not see."""
    return ", in quotes" if kinds == (str,) and isinstance(found, bool | int | float) else ""
