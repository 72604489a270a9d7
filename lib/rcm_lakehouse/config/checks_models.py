"""Gold model files: a YAML header in the leading comment, then one SELECT over tables that exist."""

import re
from collections.abc import Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.checks_contracts import NAME
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.models import GoldModel, line_of
from rcm_lakehouse.config.problems import Problem, did_you_mean, printable
from rcm_lakehouse.config.sql_guard import wrong_select
from rcm_lakehouse.config.texts import read_text
from rcm_lakehouse.config.validated import validated
from rcm_lakehouse.config.yaml_lines import Document, parse_yaml

PARAMETERS = ("as_of", "revenue_window_days", "ageing_basis", "fiscal_year_start_month")
_HEADER = re.compile(r"\A\s*/\*(.*?)\*/", re.DOTALL)
# Given by the file itself.
_NOT_IN_HEADER = ("name", "file", "sql", "first_line")


def read_model(home: Path, path: Path, problems: list[Problem]) -> GoldModel | None:
    """The model of a file; None after noting what is wrong with its header or its SQL."""
    file = path.relative_to(home).as_posix()
    text = read_text(path, file, problems)
    if text is None:
        return None
    header = _HEADER.match(text)
    if header is None:
        problems.append(Problem(file, 1, "expected a leading comment /* … */ with grain, description and key."))
        return None
    document = parse_yaml(file, header[1], problems, offset=text[: header.start(1)].count("\n"))
    if document is None:
        return None
    own = [key for key in _NOT_IN_HEADER if key in document.values]
    problems += [Problem(file, document.line(key), f"{key}: this key is not known; the file itself gives it.") for key in own]
    values = {key: value for key, value in document.values.items() if key not in own}
    sql = text[header.end() :].strip()
    first = text.count("\n", 0, text.index(sql, header.end())) + 1
    model: GoldModel | None = validated(
        document, (), problems, lambda: GoldModel(name=path.stem, file=file, sql=sql, first_line=first, **values), (GoldModel,)
    )
    sound = model is not None and _names_are_sound(model, document, problems)
    tree = _one_select(file, sql, first, problems)
    if model is None or tree is None or not sound:
        return None
    return model if _outputs_are_there(model, document, tree, problems) else None


def _names_are_sound(model: GoldModel, document: Document, problems: list[Problem]) -> bool:
    """The model's name becomes a table's; names of its header become SQL names."""
    before = len(problems)
    if not NAME.match(model.name):
        problems.append(Problem(model.file, 0, "the file's name is no snake_case name; it becomes the table's."))
    for what, names in (("key", model.key), ("measures", model.measures), ("ties_out", model.ties_out)):
        for name in names:
            if not NAME.match(name):
                problems.append(Problem(model.file, document.line(what), f"{what} holds what is no column name."))
    return len(problems) == before


def _one_select(file: str, sql: str, first: int, problems: list[Problem]) -> exp.Query | None:
    wrong = wrong_select(sql)
    if wrong:
        problems.append(Problem(file, first, wrong))
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
    return trees[0] if _reads_only(file, sql, first, trees[0], problems) else None


def _reads_only(file: str, sql: str, first: int, tree: exp.Query, problems: list[Problem]) -> bool:
    before = len(problems)
    if tree.find(exp.DDL, exp.DML, exp.Command, exp.Into, exp.QueryTransform, exp.Parameter) is not None:
        problems.append(Problem(file, first, "expected one SELECT that only reads."))
    if any(table.catalog or table.args.get("version") or table.args.get("when") for table in tree.find_all(exp.Table)):
        problems.append(Problem(file, first, "a table is named layer.table, without a catalog and as it is now, like silver.patient."))
    if any(isinstance(table.this, exp.Func) for table in tree.find_all(exp.Table)):
        problems.append(Problem(file, first, "a function stands where a table is expected; call explode and the like in the SELECT or in LATERAL VIEW."))
    unknown = {str(node.name) for node in tree.find_all(exp.Placeholder)} - set(PARAMETERS)
    for name in sorted(unknown):
        hint = f"there are {', '.join(PARAMETERS)}.{did_you_mean(name, PARAMETERS)}"
        problems.append(Problem(file, line_of(sql, first, f":{name}"), f"there is no parameter ':{name}'; {hint}"))
    return len(problems) == before


def _outputs_are_there(model: GoldModel, document: Document, tree: exp.Query, problems: list[Problem]) -> bool:
    """Columns that the header names are columns of the result; a SELECT * cannot be judged before it runs."""
    before = len(problems)
    outputs = [name.lower() for name in tree.named_selects]
    if not outputs or "*" in outputs:
        return True
    for what, names in (("key", model.key), ("measures", model.measures), ("ties_out", model.ties_out)):
        for name in names:
            if name not in outputs and (what, name) != ("ties_out", "rows"):
                line = document.line(what, name) if what != "key" else document.line(what)
                problems.append(Problem(model.file, line, f"{what} names '{name}', which the SELECT does not give.{did_you_mean(name, outputs)}"))
    return len(problems) == before


def check_models(
    models: Mapping[str, GoldModel],
    broken_models: frozenset[str],
    contracts: Mapping[str, tuple[Contract, Document]],
    broken_contracts: frozenset[str],
    problems: list[Problem],
) -> None:
    """Note tables that do not exist, ties to columns that do not exist, and models that read each other.

    `broken_…` are files that could not be read at all; that they are named elsewhere is no second mistake.
    """
    tables = {f"silver.{name}" for name in {*contracts, *broken_contracts}} | {f"gold.{name}" for name in {*models, *broken_models}}
    reads = {model.name: _tables(model) for model in models.values()}
    for model in models.values():
        for table in sorted(reads[model.name] - tables):
            line = line_of(model.sql, model.first_line, table)
            problems.append(Problem(model.file, line, f"it reads '{table}', which does not exist.{did_you_mean(table, tables)}"))
        for column, target in model.ties_out.items():
            if not any(target.split(".")[1:2] == [name] for name in broken_contracts):
                _check_tie(model, column, target, contracts, problems)
    for name in sorted(models):
        if name in _reach(name, reads):
            problems.append(Problem(models[name].file, 0, f"'{name}' reads itself through other models."))


def _tables(model: GoldModel) -> set[str]:
    tree = sqlglot.parse_one(model.sql, read="spark")
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    return {f"{table.db}.{table.name}".lower() for table in tree.find_all(exp.Table) if table.db or table.name not in own}


def _check_tie(model: GoldModel, name: str, target: str, contracts: Mapping[str, tuple[Contract, Document]], problems: list[Problem]) -> None:
    layer, entity, *columns = target.split(".")
    known = contracts[entity][0] if layer == "silver" and entity in contracts else None
    wanted = 0 if name == "rows" else 1
    if known is None or len(columns) != wanted or not {*columns} <= {item.name for item in known.columns}:
        form = "silver.<entity>" if name == "rows" else "silver.<entity>.<column>"
        problems.append(Problem(model.file, 0, f"ties_out: {name} names '{target}', which does not exist; expected {form}."))


def _reach(name: str, reads: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [table.partition(".")[2] for table in reads[name] if table.startswith("gold.")]
    while waiting:
        other = waiting.pop()
        if other not in seen and other in reads:
            seen.add(other)
            waiting += [table.partition(".")[2] for table in reads[other] if table.startswith("gold.")]
    return seen
