"""What types alone cannot refuse in a contract: names that do not exist, SQL that does not parse, cycles."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.contracts import HISTORY, Contract, Rule, SourceMapping
from rcm_lakehouse.config.date_patterns import wrong_in_pattern
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.marks import unmarked
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest
from rcm_lakehouse.config.sql_guard import MISSPELLED, where_it_breaks, wrong_in_expression
from rcm_lakehouse.config.validated import Sound

RESERVED = frozenset({*HISTORY, *"data_source event_at is_future is_delete is_outside cast_failures raw_row failed_rules outcome".split()})
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_TYPE = re.compile(r"(string|date|timestamp|int|bigint|double|boolean|decimal\(([0-9]{1,2}),\s?([0-9]{1,2})\)|array<string>)\Z")
_SOURCE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")
_TABLE = re.compile(r"[a-z_][a-z0-9_$]{0,127}\Z")
_DATA_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_TYPES = ("string", "date", "timestamp", "int", "bigint", "double", "boolean", "decimal(18,2)", "array<string>")
_TIMES = ("timestamp", "date")
NO_ENTITY = "entity is no snake_case name (and none that ends in _tombstones, which is a table of its own)."
# Secrets of the lakehouse that stand beside the source's columns while they are mapped.
_HIDDEN = ("_salt",)


def check_contracts(contracts: Contracts, cleaners: frozenset[str] | None, problems: list[Problem]) -> None:
    """Note every name that is not there, every expression that does not parse, and contracts that wait for each other.

    That something is named which was left out of a contract, or whose file cannot be read, is no second mistake.
    """
    for name, sound in contracts.sound.items():
        _Check(sound, contracts, cleaners, problems).all()
        if name in _reach(name, contracts):
            problems.append(Problem(sound.part.file, sound.part.line("after"), f"'{name}' waits for itself through `after`."))


def _reach(name: str, contracts: Contracts) -> set[str]:
    seen: set[str] = set()
    waiting = list(contracts.sound[name].value.after)
    while waiting:
        other = waiting.pop()
        if other not in seen and other in contracts.entities:
            seen.add(other)
            waiting.extend(contracts.sound[other].value.after if other in contracts.sound else ())
    return seen


def is_entity(name: str) -> bool:
    """True for a name that an entity, its table and its quarantine may have."""
    return bool(NAME.match(name)) and not name.endswith("_tombstones")


class _Check:
    def __init__(self, sound: Sound[Contract], contracts: Contracts, cleaners: frozenset[str] | None, problems: list[Problem]) -> None:
        self.contract, self.part, self.lost = sound.value, sound.part, sound.lost
        self.contracts, self.cleaners, self.problems = contracts, cleaners, problems
        self.entities = contracts.entities
        self.names = [column.name for column in self.contract.columns]
        self.derived = frozenset(column.name for column in self.contract.columns if column.derive is not None)

    def note(self, text: str, *path: object) -> None:
        """One problem at a place of this contract's file."""
        self.problems.append(Problem(self.part.file, self.part.line(*path), text))

    def all(self) -> None:
        """Every check of one contract."""
        self.entity()
        self.columns()
        self.keys()
        self.mappings()
        self.rules()
        for text, place in unmarked(self.contract):
            self.note(text, *place)

    def entity(self) -> None:
        """The entity's name becomes a table's, its key's and its quarantine's."""
        if not is_entity(self.contract.entity):
            self.note(NO_ENTITY, "entity")

    def columns(self) -> None:
        """Names, types, cleaners and derived columns."""
        own = {self.contract.key_column, self.contract.sk_column}
        for number, column in enumerate(self.contract.columns):
            place = ("columns", number)
            if not NAME.match(column.name):
                self.note(f"column '{column.name}' is no snake_case name.", *place)
            if column.name in RESERVED or column.name in own or column.name.startswith("_"):
                self.note(f"column '{column.name}' is a name the lakehouse writes itself. Choose another.", *place)
            if column.name in self.names[:number]:
                self.note(f"column '{column.name}' is given twice.", *place)
            if not _is_type(column.type):
                hint = did_you_mean(column.type, _TYPES)
                self.note(f"column '{column.name}': type '{column.type}' is not one of {', '.join(_TYPES)} (at most 38 digits).{hint}", *place)
            if column.clean is not None and self.cleaners is not None and column.clean not in self.cleaners:
                self.note(f"column '{column.name}': there is no cleaner '{column.clean}'.{did_you_mean(column.clean, self.cleaners)}", *place)
            if column.key_of is not None and column.key_of not in self.entities:
                self.note(f"column '{column.name}': there is no entity '{column.key_of}'.{did_you_mean(column.key_of, self.entities)}", *place)
            if column.formats and column.type not in _TIMES:
                self.note(f"column '{column.name}': formats are patterns of dates and times, and its type is {column.type}.", *place, "formats")
            for at, pattern in enumerate(column.formats):
                wrong = wrong_in_pattern(pattern)
                if wrong is not None:
                    self.note(f"column '{column.name}', formats: in '{pattern}' {wrong}. Expected a pattern like yyyy-MM-dd HH:mm:ss.", *place, "formats", at)
            if column.derive is not None:
                self.expression(f"column '{column.name}'", column.derive, self.derived, *place)

    def keys(self) -> None:
        """Key, sequence, and what must be merged before."""
        if not self.contract.key and not self.lost.at("key"):
            self.note("key is empty; expected the columns that, with the hospital, name one thing.", "key")
        for what, names in (("key", self.contract.key), ("sequence_by", self.contract.sequence_by)):
            for name in names:
                self.known(what, name, what)
            if len(set(names)) < len(names):
                self.note(f"{what} names a column twice.", what)
        types = {column.name: column.type for column in self.contract.columns}
        first = next(iter(self.contract.sequence_by), None)
        if first in types and types[first] not in _TIMES:
            self.note(f"sequence_by begins with '{first}' of type {types[first]}; expected the time of the change, a timestamp or a date.", "sequence_by")
        for number, name in enumerate(self.contract.after):
            if name not in self.entities:
                self.note(f"after: there is no entity '{name}'.{did_you_mean(name, self.entities)}", "after", number)

    def known(self, what: str, name: str, *place: object) -> None:
        """Note a name that is no column of the contract."""
        if name not in self.names and not self.lost.may_name(name, "columns"):
            self.note(f"{what} names column '{name}', which the contract does not have.{did_you_mean(name, self.names)}", *place)

    def mappings(self) -> None:
        """Every mapped column exists, every source is a name or an expression, and no table has two mappings for one hospital."""
        taken: dict[tuple[str, str], str] = {}
        for number, mapping in enumerate(self.contract.sources):
            place = ("sources", number)
            self.mapped_columns(mapping, *place)
            for what in ("where", "delete_when"):
                text = getattr(mapping, what)
                if text is not None:
                    self.parsed(f"mapping '{mapping.name}', {what}", text, *place, what)
            if mapping.deletes == "ignore" and mapping.delete_when is not None:
                self.note(f"mapping '{mapping.name}': delete_when marks deletes that `deletes: ignore` leaves out; keep one of them.", *place, "deletes")
            if wrong := [name for name in mapping.tables if not _TABLE.match(name)]:
                self.note(f"mapping '{mapping.name}': '{wrong[0]}' is no table name without schema in lower case.", *place, "tables")
            if wrong := [name for name in mapping.data_sources if not _DATA_SOURCE.match(name)]:
                self.note(f"mapping '{mapping.name}': '{wrong[0]}' is no data source code, like hos-a.", *place, "data_sources")
            missing = [name for name in self.contract.key if self.is_unmapped(name, mapping, *place)]
            if missing:
                self.note(f"mapping '{mapping.name}' does not map the key column '{missing[0]}'.", *place)
            hospitals = () if self.lost.at(*place, "data_sources") else mapping.data_sources or ("every hospital",)
            for one in ((table, source) for table in mapping.tables for source in hospitals):
                if one in taken:
                    self.note(f"mappings '{taken[one]}' and '{mapping.name}' both take table '{one[0]}' of {one[1]}; one must be chosen.", *place)
                taken.setdefault(one, mapping.name)

    def is_unmapped(self, name: str, mapping: SourceMapping, *place: object) -> bool:
        """True when a key column that exists is mapped neither under its name nor under a misspelled one."""
        is_meant = any(other not in self.names and nearest(other, self.names) in (name, None) for other in mapping.columns)
        return name in self.names and name not in mapping.columns and not is_meant and not self.lost.may_name(name, *place, "columns")

    def mapped_columns(self, mapping: SourceMapping, *place: object) -> None:
        """Every mapped column is one of the contract's, and is taken from a name or an expression."""
        for name, source in mapping.columns.items():
            here = (*place, "columns", name)
            self.known(f"mapping '{mapping.name}'", name, *here)
            if name in self.derived:
                self.note(f"mapping '{mapping.name}': '{name}' is derived and cannot be mapped.", *here)
            if source.startswith("="):
                self.parsed(f"mapping '{mapping.name}', '{name}'", source[1:], *here)
            elif not _SOURCE.match(source) or source.lower() in _HIDDEN:
                self.note(f"mapping '{mapping.name}': the source of '{name}' is no column name; an expression starts with '='.", *here)

    def rules(self) -> None:
        """Names, columns, references and predicates of rules."""
        for number, rule in enumerate(self.contract.rules):
            place = ("rules", number)
            if not NAME.match(rule.name):
                self.note(f"rule '{rule.name}' is no snake_case name.", *place)
            if rule.name in [other.name for other in self.contract.rules[:number]]:
                self.note(f"rule '{rule.name}' is given twice.", *place)
            for column in (*rule.columns, *rule.unique):
                self.known(f"rule '{rule.name}'", column, *place)
            self.kind_of_rule(rule, *place)

    def kind_of_rule(self, rule: Rule, *place: object) -> None:
        """A rule is a predicate, a reference or a uniqueness (whose check says which rows count)."""
        is_whole = not self.lost.at(*place)
        if rule.references is not None and (rule.references not in self.entities or (len(rule.columns) != 1 and is_whole)):
            hint = did_you_mean(rule.references, self.entities)
            self.note(f"rule '{rule.name}' references entity '{rule.references}' by one column; both must exist.{hint}", *place)
        if rule.check is None and rule.references is None and not rule.unique and is_whole:
            self.note(f"rule '{rule.name}' has none of check, references, unique.", *place)
        if rule.references is not None and (rule.check is not None or rule.unique):
            self.note(f"rule '{rule.name}' has references and check or unique; make two rules of it.", *place)
        if rule.references is not None and self.is_later(rule.references):
            self.note(f"rule '{rule.name}': '{rule.references}' must be named in `after`, so that it is merged first.", *place)
        if rule.check is not None:
            self.expression(f"rule '{rule.name}'", rule.check, frozenset(), *place)

    def is_later(self, entity: str) -> bool:
        """True when a contract that is referred to is merged neither before this one nor with it."""
        own = self.contract.entity
        before = {own, *_reach(own, self.contracts)}
        # An `after` on the way that was left out, or cannot be read, may name it.
        is_unclear = any(name not in self.contracts.sound or self.contracts.sound[name].lost.at("after") for name in before)
        is_unclear |= any(name not in self.entities and nearest(name, self.entities) == entity for name in self.contract.after)
        return entity in self.entities and entity not in before and not is_unclear

    def expression(self, what: str, text: str, later: frozenset[str], *place: object) -> None:
        """An expression over the contract's own columns but those of `later`, which do not exist yet when it is asked."""
        tree = self.parsed(what, text, *place)
        for column in tree.find_all(exp.Column) if tree is not None else ():
            is_known = column.name in (*self.names, "data_source", self.contract.key_column) or self.lost.may_name(column.name, "columns")
            if column.table or not is_known:
                hint = did_you_mean(column.name, self.names)
                named = f"{column.table}.{column.name}" if column.table else column.name
                self.note(f"{what} names column '{named}', which the contract does not have.{hint}", *place)
            elif column.name in later:
                self.note(f"{what} names column '{column.name}', which is derived itself; write out what it is made of.", *place)

    def parsed(self, what: str, text: str, *place: object) -> exp.Expr | None:
        """The expression's tree; what is no expression over the columns of a row is noted."""
        findings = wrong_in_expression(text)
        for finding in findings:
            self.note(f"{what}: {finding.text}", *place)
        if any(finding.kind != MISSPELLED for finding in findings):
            return None
        try:
            tree = sqlglot.parse_one(text, read="spark")
        except (SqlglotError, RecursionError) as error:
            self.note(f"{what}: this is no SQL expression{where_it_breaks(error)}.", *place)
            return None
        outside = tree.find(exp.Query, exp.Table, exp.Command, exp.DDL, exp.DML, exp.Star, exp.Placeholder, exp.Parameter)
        if outside is not None or isinstance(tree, exp.Alias):
            self.note(f"{what}: expected one expression over columns, without SELECT, *, alias or parameters.", *place)
            return None
        if any(column.name.lower() in _HIDDEN for column in tree.find_all(exp.Column, exp.Identifier)):
            self.note(f"{what}: this column is the lakehouse's own and may not be read.", *place)
            return None
        return tree


def _is_type(text: str) -> bool:
    found = _TYPE.match(text)
    return found is not None and (found[2] is None or (1 <= int(found[2]) <= 38 and int(found[3]) <= int(found[2])))
