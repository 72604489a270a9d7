"""`conf/monitor/<name>.sql`: one monitor a file: a YAML header in a leading comment, then one SELECT whose rows are findings.

The SELECT runs as it is on Databricks SQL, which knows the same `:name` markers. A monitor shows counts and audit rows, nothing
that describes a person: what contracts class as personal may not be named, nor may `*` be taken from tables that hold rows, nor their columns renamed by
position.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlglot
from pydantic import Field
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.checks_columns import judged
from rcm_lakehouse.config.checks_models import Tables
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest
from rcm_lakehouse.config.settings import Frozen
from rcm_lakehouse.config.sql_files import SqlFile, read_sql_file, tables_of
from rcm_lakehouse.config.texts import files_of
from rcm_lakehouse.config.validated import Sound, validated
from rcm_lakehouse.config.worklist import WorkList

FOLDER = "conf/monitor"
AUDIT_TABLES = ("audit.load_logs", "audit.runs", "audit.feed_calendar")
# Given by whoever runs a monitor; every other parameter has a default.
GIVEN = ("now", "entity")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_NOT_IN_HEADER = ("name", "file", "sql", "tables")
# The only ways in which a table or column may be named by a parameter, and what stands for them while the SQL is judged.
_ONE = "each_entity"
_BY_ENTITY = re.compile(r"IDENTIFIER\((?:'(silver|quarantine)\.' \|\| )?:entity(?: \|\| '(_key|_tombstones)')?\)")
# The last are made of direct identifiers without a salt.
_RAW = ("raw_row", "_corrupt_record", "reasons", "record_hash", "_row_hash")
# Views that fold the events of a quarantine to one row each.
ROWS = "_rows"


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

    def sql_of(self, entity: str) -> str:
        """The SELECT for one entity, its tables and columns spelled out."""
        return _BY_ENTITY.sub(_stand_in, self.sql).replace(_ONE, entity) if self.for_each else self.sql


def stored(table: str) -> str:
    """The table that must be there for one that a monitor reads: a view of quarantined rows stands on its table."""
    return table.removesuffix(ROWS) if table.startswith("quarantine.") else table


def read_monitors(home: Path, contracts: Contracts, models: Iterable[str], tables: Tables, work_list: WorkList, problems: list[Problem]) -> dict[str, Monitor]:
    """Every monitor by name, as far as it is sound; what is wrong with it is noted with its file and line.

    `models` names all gold models; `tables` knows the columns of silver and gold.
    """
    known = {*AUDIT_TABLES, *(f"gold.{name}" for name in models), *(f"bronze.{read.row.bronze_table}" for read in work_list.rows)}
    for entity in (*contracts.entities, _ONE):
        known |= {f"silver.{entity}", f"silver.{entity}_tombstones", f"quarantine.{entity}", f"quarantine.{entity}{ROWS}"}
    check = _Check(frozenset(known), work_list, tables, _personal(contracts.values), problems)
    found = (check.read(path) for path in files_of(home, FOLDER, ".sql", problems)[0])
    return {monitor.name: monitor for monitor in found if monitor is not None}


@dataclass(frozen=True)
class _Personal:
    """Names of columns, in lower case, that describe a person or hold a row as delivered: in bronze, and in the layers after it."""

    bronze: frozenset[str]
    others: frozenset[str]

    def named_in(self, tree: exp.Query, tables: Iterable[str]) -> dict[str, int]:
        """Those that a SELECT over these tables names, with their first line in it; the audit has none."""
        layers = {table.partition(".")[0] for table in tables}
        names = (self.bronze if "bronze" in layers else frozenset()) | (self.others if layers - {"audit"} else frozenset())
        found: dict[str, int] = {}
        for column in tree.find_all(exp.Column):
            if column.name.lower() in names:
                line = int(column.this.meta.get("line") or 1)
                found[column.name.lower()] = min(line, found.get(column.name.lower(), line))
        return found


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


def _stand_in(found: re.Match[str]) -> str:
    return f"{found[1] + '.' if found[1] else ''}{_ONE}{found[2] or ''}"


@dataclass(frozen=True)
class _Check:
    """What monitors are judged against."""

    known: frozenset[str]
    work_list: WorkList
    tables: Tables
    personal: _Personal
    problems: list[Problem]

    def read(self, path: Path) -> Monitor | None:
        """A monitor as far as it is sound; None when nothing of its header is."""
        source = read_sql_file(
            path, f"{FOLDER}/{path.name}", _NOT_IN_HEADER, "title, row and severity", self.problems, lambda sql: _BY_ENTITY.sub(_stand_in, sql)
        )
        if source is None:
            return None
        if not _NAME.match(source.name):
            self.problems.append(Problem(source.file, 0, "the file's name is no snake_case name; it is what --only takes."))
        tables = () if source.tree is None else tuple(sorted(tables_of(source.tree)))
        if source.tree is not None:
            self.select(source, source.tree, tables)
        if source.header is None:
            return None
        given = {"name": source.name, "file": source.file, "sql": source.sql, "tables": tables}
        found = validated(source.header, Monitor, self.problems, given=given, stand_ins={"title": "", "row": "", "severity": "warn"})
        if found is not None and source.tree is not None:
            self.parameters(found, source.tree)
        return None if found is None else found.value

    def select(self, source: SqlFile, tree: exp.Query, tables: Iterable[str]) -> None:
        """Tables and columns that the SELECT names."""

        def note(text: str, line: int) -> None:
            self.problems.append(Problem(source.file, source.first_line - 1 + line, text))

        for table in tables:
            layer, _, name = table.partition(".")
            if table not in self.known and not (layer == "bronze" and self.work_list.may_make(name)):
                text = f"it reads '{table}', which does not exist.{did_you_mean(table, sorted(known for known in self.known if _ONE not in known))}"
                self.problems.append(Problem(source.file, source.line_of(table), text))
        for unknown in judged(tree, self.tables.columns_of).unknown:
            note(unknown.text, unknown.line)
        for name, line in self.personal.named_in(tree, tables).items():
            note(f"it names '{name}', which describes a person or a row as delivered; a monitor shows counts and audit rows.", line)
        for select in tree.find_all(exp.Select):
            if _takes_all(select):
                note("it takes * from a table that holds rows of people; name the columns.", _line_of_star(select))
        for line in _renamed(tree):
            note("it names the columns of a table that holds rows of people anew, by their position; give them new names in a SELECT.", line)

    def parameters(self, found: Sound[Monitor], tree: exp.Query) -> None:
        """Parameters that the header names and the SELECT uses."""
        monitor, part, lost = found.value, found.part, found.lost

        def note(text: str, *path: object) -> None:
            self.problems.append(Problem(part.file, part.line(*path), text))

        used = {str(node.name) for node in tree.find_all(exp.Placeholder)} | ({"entity"} if _BY_ENTITY.search(monitor.sql) else set())
        odd = sorted(used - set(monitor.parameters))
        meant = {nearest(name, monitor.parameters) for name in odd}
        for name in odd:
            if not lost.may_name(name, "parameters"):
                note(f"it uses ':{name}', which the header's parameters do not name.{did_you_mean(name, monitor.parameters)}", "parameters")
        for name, parameter in monitor.parameters.items():
            if name not in used and {name, None} & meant:
                continue
            if name not in used:
                note(f"parameters: ':{name}' is not used.", "parameters", name)
            elif (parameter.default is None) is (name not in GIVEN) and not lost.at("parameters", name):
                wanted = "needs a default" if name not in GIVEN else "is given by whoever runs it and has no default"
                note(f"parameters: ':{name}' {wanted}.", "parameters", name)
        if ("entity" in used) is (monitor.for_each is None) and not lost.at("for_each"):
            note("`for_each: entity` and :entity go together.", "for_each")


def _line_of_star(select: exp.Select) -> int:
    return min((int(star.meta.get("line") or 1) for star in select.find_all(exp.Star) if not isinstance(star.parent, exp.Count)), default=1)


def _takes_all(select: exp.Select) -> bool:
    """True when `*` stands for columns of a table outside audit; count(*) and `*` over its own WITH clauses do not."""
    stars = [star for star in select.find_all(exp.Star) if star.find_ancestor(exp.Select) is select and not isinstance(star.parent, exp.Count)]
    return bool(stars) and _holds_rows(select, select)


def _renamed(tree: exp.Query) -> Iterator[int]:
    """Lines of aliases with names of columns, `silver.patient AS p(a, b)`, that stand for those of a table and not for what a query gives."""
    for alias in tree.find_all(exp.TableAlias):
        source = alias.parent.parent if isinstance(alias.parent, exp.Pivot) else alias.parent
        if alias.columns and source is not None and _holds_rows(source, source.find_ancestor(exp.Select)):
            yield int(alias.columns[0].meta.get("line") or 1)


def _holds_rows(node: exp.Expr, select: exp.Expr | None) -> bool:
    """True when a table outside audit stands in this part of a SELECT, not in a query within it."""
    tables = (table for table in node.find_all(exp.Table) if table.find_ancestor(exp.Select) is select)
    return any(table.db and table.db.lower() != "audit" for table in tables)
