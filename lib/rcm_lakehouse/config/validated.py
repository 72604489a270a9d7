"""Pydantic's findings in this project's words: file, line, key, what was expected, the nearest known word."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from rcm_lakehouse.config.connections import HOURS
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.yaml_lines import Document

_TAGS = ("jdbc", "files", "api")
Owner = Callable[..., object]


def validated(
    document: Document,
    prefix: tuple[object, ...],
    problems: list[Problem],
    build: Callable[[], Any],
    models: Sequence[type[BaseModel]],
    owner: Owner | None = None,
) -> Any:
    """What `build` makes; None after noting every finding with its line.

    `models` hold the keys that may stand here, for "did you mean"; `owner` tells in which block a key below `prefix` stands, when that may
    be another one. No value of the file is quoted: a secret may stand where it should not.
    """
    try:
        return build()
    except ValidationError as error:
        for found in error.errors(include_input=True, include_url=False, include_context=True):
            # The first part of a connection's place is its type, which stands nowhere in the file as a key.
            place = found["loc"][1:] if found["loc"] and found["loc"][0] in _TAGS and prefix else found["loc"]
            place = tuple(part for part in place if part != "[key]")
            where = (owner(*place), *place) if owner else (*prefix, *place)
            named = ".".join(str(part) for part in where) or "the file"
            problems.append(Problem(document.file, document.line(*where), f"{named}: {_in_words(found, models)}"))
    except TypeError:
        problems.append(Problem(document.file, document.line(*prefix), f"{'.'.join(map(str, prefix)) or 'the file'}: expected keys with values."))
    return None


def _in_words(found: Any, models: Sequence[type[BaseModel]]) -> str:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return f"this key is not known.{did_you_mean(str(found['loc'][-1]), {key for model in models for key in model.model_fields})}"
    if kind == "missing":
        return "this key is required and missing."
    if kind == "union_tag_not_found":
        return f"the key 'type' is required and missing; it is one of {', '.join(_TAGS)}."
    if kind == "union_tag_invalid":
        return f"type is not one of {', '.join(_TAGS)}.{did_you_mean(str(context.get('tag', '')), _TAGS)}"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        return f"expected one of {', '.join(words)}.{did_you_mean(str(found['input']), words)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "expected keys with values."
    if context.get("pattern") == HOURS:
        return "expected hours as HH:MM-HH:MM, like 20:00-06:00."
    return f"{found['msg'].removeprefix('Value error, ')}."
