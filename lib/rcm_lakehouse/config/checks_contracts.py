"""What types alone cannot refuse in a contract: names that do not exist, SQL that does not parse, cycles."""

import re
from collections.abc import Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.contracts import Contract, Rule
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.yaml_lines import Document

RESERVED = frozenset(
    "effective_from effective_to is_current version dq_flags record_hash data_source event_at is_delete is_outside cast_failures raw_row "
    "failed_rules outcome".split()
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
_TYPE = re.compile(r"(string|date|timestamp|int|bigint|double|boolean|decimal\(\d{1,2},\s?\d{1,2}\)|array<string>)\Z")
_SOURCE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}\Z")

Contracts = Mapping[str, tuple[Contract, Document]]


def check_contracts(contracts: Contracts, cleaners: frozenset[str] | None, problems: list[Problem]) -> None:
    """Note every name that is not there, every expression that does not parse, and contracts that wait for each other."""
    for name, (contract, document) in contracts.items():
        _Check(contract, document, contracts, cleaners, problems).all()
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
        self, contract: Contract, document: Document, contracts: Contracts, cleaners: frozenset[str] | None, problems: list[Problem]
    ) -> None:
        self.contract, self.document, self.contracts, self.cleaners, self.problems = contract, document, contracts, cleaners, problems
        self.names = [column.name for column in contract.columns]

    def note(self, text: str, *path: object) -> None:
        """One problem at a place of this contract's file."""
        self.problems.append(Problem(self.document.file, self.document.line(*path), text))

    def all(self) -> None:
        """Every check of one contract."""
        self.columns()
        self.keys()
        self.mappings()
        self.rules()

    def columns(self) -> None:
        """Names, types, cleaners and derived columns."""
        own = {self.contract.key_column, self.contract.sk_column}
        for number, column in enumerate(self.contract.columns):
            place = ("columns", number)
            if not _NAME.match(column.name):
                self.note(f"column '{column.name}' is no snake_case name.", *place)
            if column.name in RESERVED or column.name in own or column.name.startswith("_"):
                self.note(f"column '{column.name}' is a name the lakehouse writes itself. Choose another.", *place)
            if self.names.count(column.name) > 1:
                self.note(f"column '{column.name}' is given twice.", *place)
            if not _TYPE.match(column.type):
                self.note(f"column '{column.name}': type '{column.type}' is not one a contract may use.", *place)
            if column.clean is not None and self.cleaners is not None and column.clean not in self.cleaners:
                self.note(f"column '{column.name}': there is no cleaner '{column.clean}'.{did_you_mean(column.clean, self.cleaners)}", *place)
            if column.key_of is not None and column.key_of not in self.contracts:
                self.note(f"column '{column.name}': there is no entity '{column.key_of}'.{did_you_mean(column.key_of, self.contracts)}", *place)
            if column.derive is not None:
                self.expression(f"column '{column.name}'", column.derive, *place)

    def keys(self) -> None:
        """Key, sequence, and what must be merged before."""
        for what, names in (("key", self.contract.key), ("sequence_by", self.contract.sequence_by)):
            for name in names:
                self.known(what, name, what)
        for number, name in enumerate(self.contract.after):
            if name not in self.contracts:
                self.note(f"after: there is no entity '{name}'.{did_you_mean(name, self.contracts)}", "after", number)

    def known(self, what: str, name: str, *place: object) -> None:
        """Note a name that is no column of the contract."""
        if name not in self.names:
            self.note(f"{what} names column '{name}', which the contract does not have.{did_you_mean(name, self.names)}", *place)

    def mappings(self) -> None:
        """Every mapped column exists and every source is a name or an expression."""
        derived = {column.name for column in self.contract.columns if column.derive is not None}
        for number, mapping in enumerate(self.contract.sources):
            for name, source in mapping.columns.items():
                place = ("sources", number, "columns", name)
                self.known(f"mapping '{mapping.name}'", name, *place)
                if name in derived:
                    self.note(f"mapping '{mapping.name}': '{name}' is derived and cannot be mapped.", *place)
                if source.startswith("="):
                    self.parsed(f"mapping '{mapping.name}', '{name}'", source[1:], *place)
                elif not _SOURCE.match(source):
                    self.note(f"mapping '{mapping.name}': the source of '{name}' is no column name; an expression starts with '='.", *place)
            for what in ("where", "delete_when"):
                text = getattr(mapping, what)
                if text is not None:
                    self.parsed(f"mapping '{mapping.name}', {what}", text, "sources", number, what)
            missing = [name for name in self.contract.key if name not in mapping.columns]
            if missing:
                self.note(f"mapping '{mapping.name}' does not map the key column '{missing[0]}'.", "sources", number)

    def rules(self) -> None:
        """Names, columns, references and predicates of rules."""
        names = [rule.name for rule in self.contract.rules]
        for number, rule in enumerate(self.contract.rules):
            place = ("rules", number)
            if names.count(rule.name) > 1:
                self.note(f"rule '{rule.name}' is given twice.", *place)
            for column in (*rule.columns, *rule.unique):
                self.known(f"rule '{rule.name}'", column, *place)
            self.kind_of_rule(rule, *place)

    def kind_of_rule(self, rule: Rule, *place: object) -> None:
        """A rule is a predicate, a reference or a uniqueness."""
        if rule.references is not None and (rule.references not in self.contracts or len(rule.columns) != 1):
            hint = did_you_mean(rule.references, self.contracts)
            self.note(f"rule '{rule.name}' references entity '{rule.references}' by one column; both must exist.{hint}", *place)
        if rule.check is None and rule.references is None and not rule.unique:
            self.note(f"rule '{rule.name}' has none of check, references, unique.", *place)
        if rule.references is not None and rule.references != self.contract.entity and rule.references not in _reach(self.contract.entity, self.contracts):
            self.note(f"rule '{rule.name}': '{rule.references}' must be named in `after`, so that it is merged first.", *place)
        if rule.check is not None:
            self.expression(f"rule '{rule.name}'", rule.check, *place)

    def expression(self, what: str, text: str, *place: object) -> None:
        """An expression over the contract's own columns."""
        tree = self.parsed(what, text, *place)
        for column in tree.find_all(exp.Column) if tree is not None else ():
            if column.name not in (*self.names, "data_source", self.contract.key_column):
                hint = did_you_mean(column.name, self.names)
                self.note(f"{what} names column '{column.name}', which the contract does not have.{hint}", *place)

    def parsed(self, what: str, text: str, *place: object) -> exp.Expr | None:
        """The expression's tree; a syntax error or a subquery is noted."""
        try:
            tree = sqlglot.parse_one(text, read="spark")
        except SqlglotError:
            self.note(f"{what}: this is no SQL expression.", *place)
            return None
        if isinstance(tree, exp.Command | exp.DDL | exp.DML) or tree.find(exp.Select, exp.Table) is not None:
            self.note(f"{what}: expected one expression over columns, without SELECT.", *place)
            return None
        return tree
