"""YAML with the line of every key, so that a mistake can be shown where it stands.

Plain YAML only: no tags, no anchors, no aliases, text as keys. What is refused here cannot make objects, loops or a text that
grows when it is read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rcm_lakehouse.config.parts import Part, Place
from rcm_lakehouse.config.problems import Problem, hides_marks
from rcm_lakehouse.config.texts import read_text

MAX_DEPTH = 12
# A parser's message may quote what stands in the file, a secret perhaps; names of YAML's own parts (<block end>) are kept.
_QUOTED = re.compile(r"'[^'<>]{2,}'")
# Python makes no number of more digits from a text.
_LONG_NUMBER = re.compile(r"[0-9_]{4300}")


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that leaves days as text and refuses tags, anchors, aliases and deep nesting."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node; see the class."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        wrong = _not_plain(event) or ("nested too deeply" if self.depth >= MAX_DEPTH else None)
        if wrong:
            raise yaml.MarkedYAMLError(problem=wrong, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _not_plain(event: Any) -> str | None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        return "anchors (&) and aliases (*) are not allowed; put a text that begins with such a mark in quotes"
    if getattr(event, "tag", None) is not None:
        return "tags (!) are not allowed; put a text that begins with such a mark in quotes"
    return None


@dataclass(frozen=True)
class Document:
    """A YAML mapping and the line of each of its keys, by path; `twice` are the paths of keys that are given twice."""

    file: str
    values: dict[str, Any]
    lines: dict[tuple[str, ...], int]
    offset: int = 0
    twice: frozenset[tuple[str, ...]] = frozenset()

    def line(self, *path: object) -> int:
        """The line of a key or list entry, or of the nearest one above it; 0 when there is none."""
        wanted = tuple(str(part) for part in path)
        while wanted:
            if wanted in self.lines:
                return self.lines[wanted] + self.offset
            wanted = wanted[:-1]
        return self.offset + 1 if path else 0

    @property
    def blocks_twice(self) -> frozenset[str]:
        """Top-level keys that are given twice: nothing can be said of them, and one of the two may be any other block under a wrong name."""
        return frozenset(where[0] for where in self.twice if len(where) == 1)

    def part(self, *path: str) -> Part:
        """What stands below a key, or all of it, as the values of one object."""
        values: Any = self.values
        for key in path:
            values = values[key]
        depth = len(path)
        places = {where[depth:]: Place(line + self.offset, where) for where, line in self.lines.items() if where[:depth] == path}
        twice = frozenset(where[depth:] for where in self.twice if where[:depth] == path and len(where) > depth)
        return Part(self.file, values, {(): Place(self.offset + 1, ()), **places}, twice)


def read_yaml(home: Path, file: str, problems: list[Problem]) -> Document | None:
    """A file as a Document; None after noting why it cannot be read."""
    text = read_text(home / file, file, problems)
    return None if text is None else parse_yaml(file, text, problems)


def parse_yaml(file: str, text: str, problems: list[Problem], offset: int = 0) -> Document | None:
    """A text as a Document; `offset` lines stand before it in its file. The text itself is never quoted in a problem."""
    lines: dict[tuple[str, ...], int] = {}
    twice: set[tuple[str, ...]] = set()
    try:
        loader = _PlainLoader(text)
        node = loader.get_single_node()
        # Before anything is constructed: a merge key (<<) takes itself out of the tree then.
        if not _note_lines(file, node, (), lines, twice, problems, offset):
            return None
        values = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        problems.append(Problem(file, _line_of(error, text, offset), f"this is no valid YAML: {_reason(error)}."))
        return None
    except (ValueError, OverflowError):
        found = _LONG_NUMBER.search(text)
        line = text.count("\n", 0, found.start()) + 1 + offset if found else 0
        problems.append(Problem(file, line, "this is no valid YAML: a number in it is too long."))
        return None
    if values is None:
        return Document(file, {}, {}, offset)
    if not isinstance(values, dict):
        problems.append(Problem(file, 1 + offset, "expected keys with values."))
        return None
    return Document(file, values, lines, offset, frozenset(twice))


def _line_of(error: yaml.YAMLError, text: str, offset: int) -> int:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1 + offset
    position = getattr(error, "position", None)
    return text[:position].count("\n") + 1 + offset if isinstance(position, int) else 0


def _reason(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return "it holds a control character"
    return _QUOTED.sub("'…'", getattr(error, "problem", None) or "it cannot be parsed")


def _note_lines(
    file: str, node: Any, path: tuple[str, ...], lines: dict[tuple[str, ...], int], twice: set[tuple[str, ...]], problems: list[Problem], offset: int
) -> bool:
    """Note lines and keys given twice; False when a key is no text (its values cannot be addressed then)."""
    sound = True
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                problems.append(Problem(file, line + offset, "a key here is no text; put it in quotes."))
                sound = False
                continue
            name = str(key.value)
            if name in seen:
                problems.append(Problem(file, line + offset, f"the key '{name}' is given twice."))
                twice.add((*path, name))
            seen.add(name)
            place = (*path, name)
            lines[place] = line
            sound &= _note_lines(file, value, place, lines, twice, problems, offset)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            place = (*path, str(number))
            lines[place] = value.start_mark.line + 1
            sound &= _note_lines(file, value, place, lines, twice, problems, offset)
    elif isinstance(node, yaml.ScalarNode) and hides_marks(node.value):
        problems.append(Problem(file, node.start_mark.line + 1 + offset, "a text here holds a mark that cannot be seen (control or direction mark)."))
    return sound
