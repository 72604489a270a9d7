"""`conf/monitor/<name>.sql`: one monitor a file: a YAML header in a leading comment, then one SELECT whose rows are findings.

The SELECT runs as it is on Databricks SQL, which knows the same `:name` markers. A monitor shows counts and audit rows, nothing
that describes a person: what contracts class as personal may not be named, nor may `*` be taken from tables that hold rows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlglot
from pydantic import Field
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.settings import Frozen
from rcm_lakehouse.config.sql_guard import wrong_select
from rcm_lakehouse.config.texts import read_text
from rcm_lakehouse.config.validated import validated
from rcm_lakehouse.config.worklist import LoadRow
from rcm_lakehouse.config.yaml_lines import Document, parse_yaml

FOLDER = "conf/monitor"
AUDIT_TABLES = ("audit.load_logs", "audit.runs", "audit.feed_calendar")
# Given by whoever runs a monitor; every other parameter has a default.
GIVEN = ("now", "entity")
_HEADER = re.compile(r"\A\s*/\*(.*?)\*/", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_NOT_IN_HEADER = ("name", "file", "sql")
# The only ways in which a table or column may be named by a parameter, and what stands for them while the SQL is judged.
_ONE = "each_entity"
_BY_ENTITY = re.compile(r"IDENTIFIER\((?:'(silver|quarantine)\.' \|\| )?:entity(?: \|\| '(_key|_tombstones)')?\)")
_RAW = ("raw_row", "_corrupt_record", "reasons")


class Parameter(Frozen):
    """A `:name` of a monitor."""

    meaning: str
    default: int | float | str | None = None


class Monitor(Frozen):
    """A monitor as its file states it."""

    name: str
    file: str
    title: str = Field(description="what the rows are, as a headline")
    row: str = Field(description="what one row means")
    severity: Literal["info", "warn", "error"] = Field(description="info: a picture; warn: look at it; error: something is wrong")
    at_rest: bool = Field(False, description="true: it compares tables that a run changes one after another, so it is not judged while one is going on")
    for_each: Literal["entity"] | None = Field(None, description="entity: run once for every contract, with its name in :entity")
    parameters: dict[str, Parameter] = {}
    tables: tuple[str, ...] = Field((), description="tables it reads, with each_entity for the name in :entity")
    sql: str = Field(description="one SELECT")

    def tables_of(self, entity: str) -> tuple[str, ...]:
        """Tables that it reads for one entity: `silver.patient`, `silver.patient_tombstones`."""
        return tuple(table.replace(_ONE, entity) for table in self.tables)


def read_monitors(
    home: Path, contracts: Mapping[str, Contract], models: Iterable[str], loads: Sequence[LoadRow], broken: Iterable[str], problems: list[Problem]
) -> dict[str, Monitor]:
    """Every sound monitor by name; what is wrong with the others is noted with its file and, where it has one, its line.

    `broken` names contracts that could not be read: a monitor that reads their tables is no second mistake.
    """
    known = {*AUDIT_TABLES, *(f"gold.{name}" for name in models), *(f"bronze.{row.bronze_table}" for row in loads)}
    for entity in (*contracts, *broken, _ONE):
        known |= {f"silver.{entity}", f"silver.{entity}_tombstones", f"quarantine.{entity}"}
    personal = _personal(contracts)
    found = (_read(home, path, known, personal, problems) for path in sorted((home / FOLDER).glob("*.sql")))
    return {monitor.name: monitor for monitor in found if monitor is not None}


@dataclass(frozen=True)
class _Personal:
    """Names of columns, in lower case, that describe a person or hold a row as delivered: in bronze, and in the layers after it."""

    bronze: frozenset[str]
    others: frozenset[str]

    def named_in(self, tree: exp.Query, tables: Iterable[str]) -> list[str]:
        """Those that a SELECT over these tables names; the audit has none."""
        layers = {table.partition(".")[0] for table in tables}
        names = (self.bronze if "bronze" in layers else frozenset()) | (self.others if layers - {"audit"} else frozenset())
        return sorted({column.name.lower() for column in tree.find_all(exp.Column)} & names)


def _personal(contracts: Mapping[str, Contract]) -> _Personal:
    silver: set[str] = set()
    sources: set[str] = set()
    for contract in contracts.values():
        own = {column.name for column in contract.columns if column.phi != "none"}
        for mapping in contract.sources:
            for source in (mapping.columns[name] for name in own if name in mapping.columns):
                sources |= {source.lower()} if not source.startswith("=") else _columns_of(source[1:])
        silver |= own
    return _Personal(frozenset({*sources, *_RAW}), frozenset({*silver, *_RAW}))


def _columns_of(expression: str) -> set[str]:
    try:
        return {column.name.lower() for column in sqlglot.parse_one(expression, read="spark").find_all(exp.Column)}
    except SqlglotError:
        return set()


def _read(home: Path, path: Path, known: set[str], personal: _Personal, problems: list[Problem]) -> Monitor | None:
    file = f"{FOLDER}/{path.name}"
    text = read_text(path, file, problems)
    if text is None:
        return None
    header = _HEADER.match(text)
    if header is None:
        problems.append(Problem(file, 1, "expected a leading comment /* … */ with title, row and severity."))
        return None
    document = parse_yaml(file, header[1], problems, offset=text[: header.start(1)].count("\n"))
    if document is None:
        return None
    values = {key: value for key, value in document.values.items() if key not in (*_NOT_IN_HEADER, "tables")}
    for key in sorted(set(document.values) - set(values)):
        problems.append(Problem(file, document.line(key), f"{key}: this key is not known; the file itself gives it."))
    sql = text[header.end() :].strip()
    tree = _one_select(file, sql, problems)
    tables = _tables(tree) if tree is not None else ()
    monitor: Monitor | None = validated(
        document, (), problems, lambda: Monitor(name=path.stem, file=file, sql=sql, tables=tables, **values), (Monitor, Parameter)
    )
    if monitor is not None and tree is not None:
        _check(monitor, document, tree, known, personal, problems)
    return monitor


def _one_select(file: str, sql: str, problems: list[Problem]) -> exp.Query | None:
    """The SELECT with stand-ins for what :entity names; None after noting why it is none."""
    plain = _BY_ENTITY.sub(_stand_in, sql)
    wrong = wrong_select(plain)
    if wrong:
        problems.append(Problem(file, 0, wrong))
        return None
    try:
        trees: list[Any] = [tree for tree in sqlglot.parse(plain, read="spark") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        line = (getattr(error, "errors", None) or [{}])[0].get("line") or 0
        problems.append(Problem(file, 0, f"the SQL does not parse (line {line} of the statement)."))
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        problems.append(Problem(file, 0, f"expected one SELECT, found {len(trees)} statements or another kind."))
        return None
    return trees[0]


def _stand_in(found: re.Match[str]) -> str:
    return f"{found[1] + '.' if found[1] else ''}{_ONE}{found[2] or ''}"


def _tables(tree: exp.Query) -> tuple[str, ...]:
    own = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    named = (table for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in own)
    return tuple(sorted({f"{table.db}.{table.name}".lower() for table in named}))


def _check(monitor: Monitor, document: Document, tree: exp.Query, known: set[str], personal: _Personal, problems: list[Problem]) -> None:
    def note(text: str, *path: object) -> None:
        problems.append(Problem(monitor.file, document.line(*path) if path else 0, text))

    if not _NAME.match(monitor.name):
        note("the file's name is no snake_case name; it is what --only takes.")
    for table in sorted(set(monitor.tables) - known):
        note(f"it reads '{table}', which does not exist.{did_you_mean(table, known)}")
    used = {str(node.name) for node in tree.find_all(exp.Placeholder)} | ({"entity"} if _BY_ENTITY.search(monitor.sql) else set())
    for name in sorted(used - set(monitor.parameters)):
        hint = did_you_mean(name, monitor.parameters)
        note(f"it uses ':{name}', which the header's parameters do not name.{hint}", "parameters")
    for name, parameter in monitor.parameters.items():
        if name not in used:
            note(f"parameters: ':{name}' is not used.", "parameters", name)
        elif (parameter.default is None) is (name not in GIVEN):
            note(f"parameters: ':{name}' {'needs a default' if name not in GIVEN else 'is given by whoever runs it and has no default'}.", "parameters", name)
    if ("entity" in used) is (monitor.for_each is None):
        note("`for_each: entity` and :entity go together.", "for_each")
    for name in personal.named_in(tree, monitor.tables):
        note(f"it names '{name}', which describes a person or a row as delivered; a monitor shows counts and audit rows.")
    if any(_takes_all(select) for select in tree.find_all(exp.Select)):
        note("it takes * from a table that holds rows of people; name the columns.")


def _takes_all(select: exp.Select) -> bool:
    """True when `*` stands for columns of a table outside audit; count(*) and `*` over its own WITH clauses do not."""
    stars = [star for star in select.find_all(exp.Star) if star.find_ancestor(exp.Select) is select and not isinstance(star.parent, exp.Count)]
    tables = [table for table in select.find_all(exp.Table) if table.find_ancestor(exp.Select) is select]
    return bool(stars) and any(table.db and table.db.lower() != "audit" for table in tables)
