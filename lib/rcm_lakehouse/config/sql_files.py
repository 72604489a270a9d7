"""SQL files with a header: a YAML mapping in a leading comment, then one SELECT. A mistake in one of them hides none of the other."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.models import line_of
from rcm_lakehouse.config.parts import Part
from rcm_lakehouse.config.problems import Problem, printable
from rcm_lakehouse.config.sql_guard import MISSPELLED, wrong_in_select
from rcm_lakehouse.config.texts import read_text
from rcm_lakehouse.config.yaml_lines import parse_yaml

_HEADER = re.compile(r"\A\s*/\*(.*?)\*/", re.DOTALL)
_BEGINNING = re.compile(r"^\s*(SELECT\b|WITH\s+(RECURSIVE\s+)?\w+\s+AS\b)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class SqlFile:
    """A file as text: `header` is None when it cannot be read, `tree` when the SQL is no SELECT that may be read further."""

    name: str
    file: str
    header: Part | None
    sql: str
    first_line: int
    tree: exp.Query | None = field(repr=False)
    # The SELECT as it was judged.
    judged: str = ""

    def line_of(self, words: str) -> int:
        """The line where `words` first stand in the SELECT, any case; that of its beginning when they are spelled otherwise."""
        return line_of(self.judged, self.first_line, words)


def read_sql_file(
    path: Path, file: str, from_file: Sequence[str], keys: str, problems: list[Problem], plain: Callable[[str], str] = str
) -> SqlFile | None:
    """A file in its parts; None when there is no text. What is wrong with it is noted.

    `from_file` are keys that the header may not give, `keys` the words for those it must; `plain` makes the text that is judged of the SELECT.
    """
    text = read_text(path, file, problems)
    if text is None:
        return None
    header = _HEADER.match(text)
    if header is None:
        problems.append(Problem(file, 1, f"expected a leading comment /* … */ with {keys}."))
        begins = _BEGINNING.search(text)
        if begins is None:
            return SqlFile(path.stem, file, None, "", 1, None)
        part, start = None, begins.start(1)
    else:
        document = parse_yaml(file, header[1], problems, offset=text[: header.start(1)].count("\n"))
        part, start = None if document is None else _own(document.part(), from_file, problems), header.end()
    sql = text[start:].strip()
    first = text.count("\n", 0, text.index(sql, start)) + 1
    judged = plain(sql)
    return SqlFile(path.stem, file, part, sql, first, _one_select(file, judged, first, problems), judged)


def _own(part: Part, from_file: Sequence[str], problems: list[Problem]) -> Part:
    """The header without the keys that the file itself gives."""
    given = [key for key in part.values if key in from_file]
    problems += [Problem(part.file, part.line(key), f"{key}: this key is not known; the file itself gives it.") for key in given]
    return part.changed(drop=[(key,) for key in given])[0]


def _one_select(file: str, sql: str, first: int, problems: list[Problem]) -> exp.Query | None:
    findings = wrong_in_select(sql)
    problems += [Problem(file, first + finding.line - 1, finding.text) for finding in findings]
    if any(finding.kind != MISSPELLED for finding in findings):
        return None
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="spark") if tree is not None]
    except RecursionError:
        problems.append(Problem(file, first, "the SQL is nested too deeply."))
        return None
    except SqlglotError as error:
        told = (getattr(error, "errors", None) or [{}])[0]
        near = f" near '{printable(told['highlight'])}'" if told.get("highlight") else ""
        problems.append(Problem(file, first + max((told.get("line") or 0) - 1, 0), f"the SQL does not parse{near}."))
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        problems.append(Problem(file, first, f"expected one SELECT, found {len(trees)} statements or another kind."))
        return None
    return trees[0]


def tables_of(tree: exp.Expr) -> frozenset[str]:
    """Tables that a SELECT reads, `layer.table` in lower case; its own WITH clauses are none."""
    own = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    return frozenset(f"{table.db}.{table.name}".lower() for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in own)
