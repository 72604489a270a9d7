"""Gold model files: a YAML header in the leading comment, then one SELECT over tables and columns that exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlglot import exp

from rcm_lakehouse.config.carried import Given, Output, given_by
from rcm_lakehouse.config.checks_columns import Judged, judged
from rcm_lakehouse.config.checks_contracts import NAME
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.problems import Problem, did_you_mean, nearest
from rcm_lakehouse.config.sql_files import SqlFile, read_sql_file, tables_of
from rcm_lakehouse.config.validated import Sound, validated

PARAMETERS = ("as_of", "revenue_window_days", "ageing_basis", "fiscal_year_start_month")
# Given by the file itself.
_NOT_IN_HEADER = ("name", "file", "sql", "first_line")


@dataclass(frozen=True)
class ReadModel:
    """A model file as far as it is sound; `header` is None when nothing of it can be read."""

    source: SqlFile
    header: Sound[GoldModel] | None

    @property
    def reads(self) -> frozenset[str]:
        """Tables that the SELECT reads; empty when it cannot be read."""
        return frozenset() if self.source.tree is None else tables_of(self.source.tree)

    @property
    def named(self) -> dict[str, tuple[str, ...]]:
        """Columns of the result that the header names, by the key that names them."""
        if self.header is None:
            return {}
        model = self.header.value
        return {"key": model.key, "measures": tuple(model.measures), "ties_out": tuple(name for name in model.ties_out if name != "rows")}


def read_model(home: Path, path: Path, problems: list[Problem]) -> ReadModel | None:
    """The model of a file; None when there is no text. What is wrong with its header or its SQL alone is noted."""
    source = read_sql_file(path, path.relative_to(home).as_posix(), _NOT_IN_HEADER, "grain, description and key", problems)
    if source is None:
        return None
    if not NAME.match(source.name):
        problems.append(Problem(source.file, 0, "the file's name is no snake_case name; it becomes the table's."))
    header = None
    if source.header is not None:
        given = {"name": source.name, "file": source.file, "sql": source.sql, "first_line": source.first_line}
        header = validated(source.header, GoldModel, problems, given=given, stand_ins={"grain": "", "description": ""})
    if source.tree is not None:
        _reads_only(source, source.tree, problems)
    return ReadModel(source, header)


def _reads_only(source: SqlFile, tree: exp.Query, problems: list[Problem]) -> None:
    file, first = source.file, source.first_line
    if tree.find(exp.DDL, exp.DML, exp.Command, exp.Into, exp.QueryTransform, exp.Parameter) is not None:
        problems.append(Problem(file, first, "expected one SELECT that only reads."))
    for table in tree.find_all(exp.Table):
        line = first - 1 + int(table.this.meta.get("line") or 1)
        if table.catalog or table.args.get("version") or table.args.get("when"):
            problems.append(Problem(file, line, "a table is named layer.table, without a catalog and as it is now, like silver.patient."))
        if isinstance(table.this, exp.Func):
            text = "a function stands where a table is expected; call explode and the like in the SELECT or in LATERAL VIEW."
            problems.append(Problem(file, line, text))
    for name in sorted({str(node.name) for node in tree.find_all(exp.Placeholder)} - set(PARAMETERS)):
        hint = f"there are {', '.join(PARAMETERS)}.{did_you_mean(name, PARAMETERS)}"
        problems.append(Problem(file, source.line_of(f":{name}"), f"there is no parameter ':{name}'; {hint}"))


@dataclass
class Tables:
    """Columns of silver and gold tables, as far as contracts and models tell them before anything is built."""

    models: Mapping[str, ReadModel]
    contracts: Contracts
    _judged: dict[str, Judged] = field(default_factory=dict)
    _given: dict[str, Given] = field(default_factory=dict)

    def judged(self, name: str) -> Judged:
        """What the SELECT of a model says of columns."""
        if name not in self._judged:
            # Models that read each other know nothing of each other.
            self._judged[name] = Judged()
            tree = self.models[name].source.tree
            if tree is not None:
                self._judged[name] = judged(tree, self.columns_of)
        return self._judged[name]

    def columns_of(self, table: str) -> frozenset[str] | None:
        """Columns of `layer.table` in lower case, with those that a model's header promises; None when they are not known."""
        layer, _, name = table.partition(".")
        if layer == "silver":
            return self.contracts.columns_of(name)
        if layer != "gold" or name not in self.models:
            return None
        found = self.judged(name)
        promised = {column.lower() for names in self.models[name].named.values() for column in names}
        return found.outputs | promised if found.outputs is not None and found.is_all else None

    def identifiers_of(self, table: str) -> Given:
        """Columns of `layer.table`, each with the direct identifiers that it carries, `silver.patient.ssn`. A gold table has none: its own model is refused."""
        layer, _, name = table.partition(".")
        if layer == "silver" and name in self.contracts.values:
            contract = self.contracts.values[name]
            direct = contract.direct_identifiers
            # A hash of them without a salt: who knows the rest of a row finds the number that is missing.
            hashed = {column.name for column in contract.columns if column.tracked and column.name in direct}
            carried = {column: hashed if column == "record_hash" else {column} & {*direct} for column in contract.table_columns}
            origins = ((column, frozenset(f"silver.{name}.{of}" for of in of_these)) for column, of_these in carried.items())
            return Given(tuple(Output(column.lower(), found) for column, found in origins), True)
        if layer != "gold" or name not in self.models:
            return Given()
        given = self.given_by(name)
        return Given(tuple(Output(output.name) for output in given.outputs), given.is_all)

    def given_by(self, name: str) -> Given:
        """Columns that the SELECT of a model gives, with the direct identifiers that each carries."""
        if name not in self._given:
            self._given[name] = Given()
            tree = self.models[name].source.tree
            if tree is not None:
                self._given[name] = given_by(tree, self.identifiers_of)
        return self._given[name]


def check_models(models: Mapping[str, ReadModel], unread: frozenset[str], contracts: Contracts, problems: list[Problem]) -> Tables:
    """Note tables and columns that do not exist, in the SELECT and in the header, direct identifiers in the result, and models that read each other.

    Returns the columns known. `unread` names files without a text; that they are named elsewhere is no second mistake.
    """
    known = {f"silver.{name}" for name in contracts.entities} | {f"gold.{name}" for name in {*models, *unread}}
    tables = Tables(models, contracts)
    reads = {name: model.reads for name, model in models.items()}
    for name, model in models.items():
        source = model.source
        for table in sorted(reads[name] - known):
            text = f"it reads '{table}', which does not exist.{did_you_mean(table, sorted(known))}"
            problems.append(Problem(source.file, source.line_of(table), text))
        found = tables.judged(name)
        problems += [Problem(source.file, source.first_line - 1 + unknown.line, unknown.text) for unknown in found.unknown]
        problems += _identifiers(source, tables.given_by(name))
        if model.header is not None:
            _check_header(model, model.header, found.outputs, contracts, problems)
        circle = next((table for table in sorted(reads[name]) if table == f"gold.{name}" or name in _reach(table, reads)), None)
        if circle is not None:
            problems.append(Problem(source.file, source.line_of(circle), f"'{name}' reads itself through other models."))
    return tables


def _identifiers(source: SqlFile, given: Given) -> Iterator[Problem]:
    """Columns of a result that tell who a person is: gold is read by many who may not know that."""
    for output in given.outputs:
        if output.origins:
            line = source.first_line - 1 + (output.line or 1)
            told = f"the result's column '{output.name}'" if output.name else "a column of the result"
            text = f"{told} carries {', '.join(sorted(output.origins))}, by contract a direct identifier (phi: direct), which gold may not hold. Leave it out"
            yield Problem(source.file, line, f"{text}, or give a count, a condition or an age in whole years.")
    if given.rest:
        text = f"the result carries {', '.join(sorted(given.rest))}, by contract direct identifiers (phi: direct), which gold may not hold. Leave them out."
        yield Problem(source.file, source.first_line, text)


def _check_header(model: ReadModel, header: Sound[GoldModel], outputs: frozenset[str] | None, contracts: Contracts, problems: list[Problem]) -> None:
    """Columns that the header names are columns of the result, and what they tie out to is there."""
    part = header.part

    def note(text: str, *path: object) -> None:
        problems.append(Problem(part.file, part.line(*path), text))

    # A misspelled name is judged as the nearest known one; what is like none may have been meant for the number of rows.
    meant: dict[str, str | None] = {}
    for what, names in model.named.items():
        for number, name in enumerate(names):
            place = (what, number) if what == "key" else (what, name)
            if not NAME.match(name):
                note(f"{what} holds what is no column name.", *place)
            elif outputs and name not in outputs:
                known = sorted({*outputs, "rows"} if what == "ties_out" else outputs)
                meant[name] = nearest(name, known)
                note(f"{what} names '{name}', which the SELECT does not give.{did_you_mean(name, known)}", *place)
    for name, target in header.value.ties_out.items():
        wrong = _wrong_tie(meant.get(name) or name, target, contracts)
        is_either = meant.get(name, name) is None and _wrong_tie("rows", target, contracts) is None
        if wrong and not is_either:
            note(f"ties_out: {name} names '{target}', which does not exist; {wrong}", "ties_out", name)


def _wrong_tie(name: str, target: str, contracts: Contracts) -> str | None:
    """What is expected of a tie to silver, with the nearest there is; None when it is right."""
    layer, entity, *columns = (*target.split("."), "")[: max(target.count(".") + 1, 2)]
    is_known = layer == "silver" and entity in contracts.entities
    if name == "rows":
        hint = did_you_mean(target, [f"silver.{other}" for other in contracts.entities])
        return None if is_known and not columns else f"expected silver.<entity>.{hint}"
    if is_known and len(columns) == 1 and contracts.may_have(entity, columns[0]):
        return None
    known = [f"silver.{other}.{column.name}" for other, contract in contracts.values.items() for column in contract.columns]
    return f"expected silver.<entity>.<column>.{did_you_mean(target, known)}"


def _reach(table: str, reads: Mapping[str, frozenset[str]]) -> set[str]:
    """Models that a table of gold is made of, through others."""
    seen: set[str] = set()
    waiting = [table]
    while waiting:
        layer, _, name = waiting.pop().partition(".")
        for other in reads.get(name, frozenset()) if layer == "gold" else ():
            if other.startswith("gold.") and other.partition(".")[2] not in seen:
                seen.add(other.partition(".")[2])
                waiting.append(other)
    return seen
