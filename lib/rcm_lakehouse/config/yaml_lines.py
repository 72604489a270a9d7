"""YAML with the line of every key, so that a mistake can be shown where it stands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rcm_lakehouse.config.problems import Problem

KNOWN_KEYS = (
    "root catalog schemas threads quality retry gold max_bad_share min_batch_rows max_delete_share attempts first_wait_seconds "
    "max_wait_seconds ageing_basis revenue_window_days fiscal_year_start_month type dialect host port database user password params "
    "time_zone settle_seconds max_stall_seconds fetch_size connect_timeout_seconds query_timeout_seconds max_connections load_hours "
    "insecure tables key overlap_seconds partition_column partitions null_watermark reconcile path archive pattern format delimiter "
    "quote encoding header columns widths null_text drift arrival stable_seconds require_final_newline zero_rows kind base_url token_url "
    "client_id client_secret requests_per_second timeout_seconds ca_bundle queries ids_from page_size max_age_days entity description "
    "grain key_is_personal sequence_by history sources rules after version name phi tracked clean formats derive key_of values where "
    "delete_when data_sources check references unique severity null_passes message measures ties_out"
).split()


@dataclass(frozen=True)
class Document:
    """A YAML mapping and the line of each of its keys, by path."""

    file: str
    values: dict[str, Any]
    lines: dict[tuple[str, ...], int]
    offset: int = 0
    known_keys: list[str] = field(default_factory=lambda: list(KNOWN_KEYS))

    def line(self, *path: object) -> int:
        """The line of a key or list entry, or of the nearest one above it; 0 when there is none."""
        wanted = tuple(str(part) for part in path)
        while wanted:
            if wanted in self.lines:
                return self.lines[wanted] + self.offset
            wanted = wanted[:-1]
        return self.offset + 1 if path else 0


def read_yaml(home: Path, file: str, problems: list[Problem]) -> Document | None:
    """A file as a Document; None after noting why it cannot be read."""
    try:
        text = (home / file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(Problem(file, 0, f"the file cannot be read: {reason}."))
        return None
    return parse_yaml(file, text, problems)


def parse_yaml(file: str, text: str, problems: list[Problem], offset: int = 0) -> Document | None:
    """A text as a Document; `offset` lines stand before it in its file. The text itself is never quoted in a problem."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 + offset if mark else 0
        problems.append(Problem(file, line, f"this is no valid YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}."))
        return None
    if values is None:
        return Document(file, {}, {}, offset)
    if not isinstance(values, dict):
        problems.append(Problem(file, 1 + offset, "expected keys with values."))
        return None
    lines: dict[tuple[str, ...], int] = {}
    _note_lines(file, node, (), lines, problems, offset)
    return Document(file, values, lines, offset)


def _note_lines(file: str, node: Any, path: tuple[str, ...], lines: dict[tuple[str, ...], int], problems: list[Problem], offset: int) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                problems.append(Problem(file, key.start_mark.line + 1 + offset, f"the key '{name}' is given twice."))
            seen.add(name)
            place = (*path, name)
            lines[place] = key.start_mark.line + 1
            _note_lines(file, value, place, lines, problems, offset)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            place = (*path, str(number))
            lines[place] = value.start_mark.line + 1
            _note_lines(file, value, place, lines, problems, offset)
