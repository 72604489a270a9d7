"""conf/README.md names every key with the default and bounds that the program has."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import pytest
from builders import REPOSITORY
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rcm_lakehouse.config import connections, contracts, models, settings, worklist
from rcm_lakehouse.config.checks_files import ENCODINGS
from rcm_lakehouse.config.settings import Frozen

README = (REPOSITORY / "conf" / "README.md").read_text(encoding="utf-8")


def nouns(*modules: ModuleType) -> dict[str, type[BaseModel]]:
    """The configuration's models by name, each from the module that makes it."""
    made = (value for module in modules for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__)
    return {value.__name__: value for value in made if issubclass(value, Frozen) and value is not Frozen}


NOUNS = nouns(settings, connections, contracts, models)


def rows(name: str) -> dict[str, tuple[str, str]]:
    """The table under a noun's mark: key -> (default, meaning)."""
    assert f"<!-- {name} -->" in README, f"conf/README.md has no table marked <!-- {name} -->"
    table = README.split(f"<!-- {name} -->")[1].split("\n\n")[0]
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    return {key: (default, meaning) for key, default, meaning in found}


def default_of(field: FieldInfo) -> str:
    """A default as the page writes it."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "see below"
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else f"`{value}`" if not str(value)[0].isalnum() else str(value)


def literals(annotation: Any) -> Iterator[str]:
    """The words a key may take."""
    if get_origin(annotation) is Literal:
        yield from (str(word) for word in get_args(annotation))
    for part in get_args(annotation):
        if get_origin(annotation) is not Literal:
            yield from literals(part)


def bounds(field: FieldInfo) -> list[str]:
    """The numbers that bound a key, as the page may write them."""
    numbers = [value for bound in field.metadata for name in ("ge", "le", "gt", "lt") if (value := getattr(bound, name, None)) is not None]
    return [f"{number:g}" if number < 100_000 else f"{number:,}" for number in numbers]


@pytest.mark.parametrize("name", NOUNS)
def test_every_key_is_named_with_its_default(name: str) -> None:
    fields = NOUNS[name].model_fields
    page = {key: default for key, (default, _) in rows(name).items()}
    assert page == {key: default_of(field) for key, field in fields.items()}


@pytest.mark.parametrize("name", NOUNS)
def test_every_word_and_bound_of_a_key_is_named(name: str) -> None:
    page = rows(name)
    lacking = []
    for key, field in NOUNS[name].model_fields.items():
        meaning = page[key][1]
        plain = meaning.replace(",", "")
        lacking += [f"{key}: `{word}`" for word in literals(field.annotation) if f"`{word}`" not in meaning]
        lacking += [f"{key}: {bound}" for bound in bounds(field) if not re.search(rf"\b{re.escape(bound.replace(',', ''))}\b", plain)]
    assert lacking == []


def test_every_column_of_the_work_list_and_every_encoding_is_named() -> None:
    table = README.split("## load_config.csv")[1].split("##")[0]
    assert [name for name in worklist.COLUMNS if f"| `{name}` |" not in table] == []
    assert [name for name in ENCODINGS if f"`{name}`" not in rows("FileTableOptions")["encoding"][1]] == []


def test_no_table_is_of_a_noun_that_is_gone() -> None:
    assert sorted(re.findall(r"<!-- (\w+) -->", README)) == sorted(NOUNS)


def test_files_that_the_page_links_to_are_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (REPOSITORY / "conf" / link).exists()] == []
