"""What types alone cannot refuse in a contract: names that do not exist, SQL that does not parse, cycles."""

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.contracts import Contract, Rule, SourceMapping
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.sql_guard import wrong_expression
from rcm_lakehouse.config.yaml_lines import Document

RESERVED = frozenset(
    "effective_from effective_to is_current version dq_flags record_hash data_source event_at is_delete is_outside cast_failures raw_row "
    "failed_rules outcome".split()
)
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_TYPE = re.compile(r"(string|date|timestamp|int|bigint|double|boolean|decimal\(([0-9]{1,2}),\s?([0-9]{1,2})\)|array<string>)\Z")
_SOURCE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")
_TABLE = re.compile(r"[a-z_][a-z0-9_$]{0,127}\Z")
_DATA_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_TYPES = ("string", "date", "timestamp", "int", "bigint", "double", "boolean", "decimal(18,2)", "array<string>")
_TIMES = ("timestamp", "date")
# Secrets of the lakehouse that stand beside the source's columns while they are mapped.
_HIDDEN = ("_salt",)

Contracts = Mapping[str, tuple[Contract, Document]]


def check_contracts(contracts: Contracts, broken: frozenset[str], cleaners: frozenset[str] | None, problems: list[Problem]) -> None:
    """Note every name that is not there, every expression that does not parse, and contracts that wait for each other.

    `broken` names the entities whose files could not be read at all; that they are named elsewhere is no second mistake.
    """
    for name, (contract, document) in contracts.items():
        _Check(contract, document, contracts, broken, cleaners, problems).all()
        if name in _reach(name, contracts):
            problems.append(Problem(document.file, document.line("after"), f"'{name}' waits for itself through `after`."))


def _reach(name: str, contracts: Contracts) -> set[str]:
    seen: set[str] = set()
    waiting = list(contracts[name][0].after)
    while waiting:
        other = waiting.pop()
        if other not in seen and other in contracts:
            seen.add(other)
            waiting.extend(contracts[other][0].after)
    return seen


class _Check:
    def __init__(
        self,
        contract: Contract,
        document: Document,
        contracts: Contracts,
        broken: frozenset[str],
        cleaners: frozenset[str] | None,
        problems: list[Problem],
    ) -> None:
        self.contract, self.document, self.contracts, self.cleaners, self.problems = contract, document, contracts, cleaners, problems
        self.entities = frozenset(contracts) | broken
        self.names = [column.name for column in contract.columns]
        self.derived = frozenset(column.name for column in contract.columns if column.derive is not None)

    def note(self, text: str, *path: object) -> None:
        """One problem at a place of this contract's file."""
        self.problems.append(Problem(self.document.file, self.document.line(*path), text))

    def all(self) -> None:
        """Every check of one contract."""
        self.entity()
        self.columns()
        self.keys()
        self.mappings()
        self.rules()

    def entity(self) -> None:
        """The entity's name becomes a table's, its key's and its quarantine's."""
        name = self.contract.entity
        if not NAME.match(name) or name.endswith("_tombstones"):
            self.note("entity is no snake_case name (and none that ends in _tombstones, which is a table of its own).", "entity")

    def columns(self) -> None:
        """Names, types, cleaners and derived columns."""
        own = {self.contract.key_column, self.contract.sk_column}
        for number, column in enumerate(self.contract.columns):
            place = ("columns", number)
            if not NAME.match(column.name):
                self.note(f"column '{column.name}' is no snake_case name.", *place)
            if column.name in RESERVED or column.name in own or column.name.startswith("_"):
                self.note(f"column '{column.name}' is a name the lakehouse writes itself. Choose another.", *place)
            if self.names.count(column.name) > 1:
                self.note(f"column '{column.name}' is given twice.", *place)
            if not _is_type(column.type):
                hint = did_you_mean(column.type, _TYPES)
                self.note(f"column '{column.name}': type '{column.type}' is not one of {', '.join(_TYPES)} (at most 38 digits).{hint}", *place)
            if column.clean is not None and self.cleaners is not None and column.clean not in self.cleaners:
                self.note(f"column '{column.name}': there is no cleaner '{column.clean}'.{did_you_mean(column.clean, self.cleaners)}", *place)
            if column.key_of is not None and column.key_of not in self.entities:
                self.note(f"column '{column.name}': there is no entity '{column.key_of}'.{did_you_mean(column.key_of, self.entities)}", *place)
            if column.derive is not None:
                self.expression(f"column '{column.name}'", column.derive, self.derived, *place)

    def keys(self) -> None:
        """Key, sequence, and what must be merged before."""
        if not self.contract.key:
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
        if name not in self.names:
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
            if wrong := [name for name in mapping.tables if not _TABLE.match(name)]:
                self.note(f"mapping '{mapping.name}': '{wrong[0]}' is no table name without schema in lower case.", *place, "tables")
            if wrong := [name for name in mapping.data_sources if not _DATA_SOURCE.match(name)]:
                self.note(f"mapping '{mapping.name}': '{wrong[0]}' is no data source code, like hos-a.", *place, "data_sources")
            missing = [name for name in self.contract.key if name not in mapping.columns]
            if missing:
                self.note(f"mapping '{mapping.name}' does not map the key column '{missing[0]}'.", *place)
            for one in ((table, source) for table in mapping.tables for source in mapping.data_sources or ("every hospital",)):
                if one in taken:
                    self.note(f"mappings '{taken[one]}' and '{mapping.name}' both take table '{one[0]}' of {one[1]}; one must be chosen.", *place)
                taken.setdefault(one, mapping.name)

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
        names = [rule.name for rule in self.contract.rules]
        for number, rule in enumerate(self.contract.rules):
            place = ("rules", number)
            if not NAME.match(rule.name):
                self.note(f"rule '{rule.name}' is no snake_case name.", *place)
            if names.count(rule.name) > 1:
                self.note(f"rule '{rule.name}' is given twice.", *place)
            for column in (*rule.columns, *rule.unique):
                self.known(f"rule '{rule.name}'", column, *place)
            self.kind_of_rule(rule, *place)

    def kind_of_rule(self, rule: Rule, *place: object) -> None:
        """A rule is a predicate, a reference or a uniqueness (whose check says which rows count)."""
        if rule.references is not None and (rule.references not in self.entities or len(rule.columns) != 1):
            hint = did_you_mean(rule.references, self.entities)
            self.note(f"rule '{rule.name}' references entity '{rule.references}' by one column; both must exist.{hint}", *place)
        if rule.check is None and rule.references is None and not rule.unique:
            self.note(f"rule '{rule.name}' has none of check, references, unique.", *place)
        if rule.references is not None and (rule.check is not None or rule.unique):
            self.note(f"rule '{rule.name}' has references and check or unique; make two rules of it.", *place)
        is_later = rule.references in self.contracts and rule.references not in {self.contract.entity, *_reach(self.contract.entity, self.contracts)}
        if is_later:
            self.note(f"rule '{rule.name}': '{rule.references}' must be named in `after`, so that it is merged first.", *place)
        if rule.check is not None:
            self.expression(f"rule '{rule.name}'", rule.check, frozenset(), *place)

    def expression(self, what: str, text: str, later: frozenset[str], *place: object) -> None:
        """An expression over the contract's own columns but those of `later`, which do not exist yet when it is asked."""
        tree = self.parsed(what, text, *place)
        for column in tree.find_all(exp.Column) if tree is not None else ():
            if column.table or column.name not in (*self.names, "data_source", self.contract.key_column):
                hint = did_you_mean(column.name, self.names)
                named = f"{column.table}.{column.name}" if column.table else column.name
                self.note(f"{what} names column '{named}', which the contract does not have.{hint}", *place)
            elif column.name in later:
                self.note(f"{what} names column '{column.name}', which is derived itself; write out what it is made of.", *place)

    def parsed(self, what: str, text: str, *place: object) -> exp.Expr | None:
        """The expression's tree; what is no expression over the columns of a row is noted."""
        wrong = wrong_expression(text)
        if wrong:
            self.note(f"{what}: {wrong}", *place)
            return None
        try:
            tree = sqlglot.parse_one(text, read="spark")
        except (SqlglotError, RecursionError):
            self.note(f"{what}: this is no SQL expression.", *place)
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
