"""Gold model files: a YAML header in the leading comment, then one SELECT over tables that exist."""

import re
from collections.abc import Mapping
from pathlib import Path

import sqlglot
from pydantic import ValidationError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.models import GoldModel
from rcm_lakehouse.config.problems import Problem, did_you_mean
from rcm_lakehouse.config.yaml_lines import Document, parse_yaml

PARAMETERS = ("as_of", "revenue_window_days", "ageing_basis", "fiscal_year_start_month")
_HEADER = re.compile(r"\A\s*/\*(.*?)\*/", re.DOTALL)


def read_model(home: Path, path: Path, problems: list[Problem]) -> GoldModel | None:
    """The model of a file; None after noting what is wrong with its header or its SQL."""
    file = path.relative_to(home).as_posix()
    text = path.read_text(encoding="utf-8")
    header = _HEADER.match(text)
    if header is None:
        problems.append(Problem(file, 1, "expected a leading comment /* … */ with grain, description and key."))
        return None
    first = text[: header.start(1)].count("\n")
    document = parse_yaml(file, header[1], problems, offset=first)
    if document is None:
        return None
    try:
        model = GoldModel(name=path.stem, file=file, sql=text[header.end() :].strip(), **document.values)
    except (ValidationError, TypeError) as error:
        for found in error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else ():
            problems.append(Problem(file, document.line(*found["loc"]), f"{'.'.join(map(str, found['loc']))}: {found['msg']}."))
        return None
    return model if _is_one_select(model, problems) else None


def _is_one_select(model: GoldModel, problems: list[Problem]) -> bool:
    try:
        trees = [tree for tree in sqlglot.parse(model.sql, read="spark") if tree is not None]
    except SqlglotError as error:
        line = (getattr(error, "errors", None) or [{}])[0].get("line") or 0
        problems.append(Problem(model.file, 0, f"the SQL does not parse (line {line} of the statement)."))
        return False
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        problems.append(Problem(model.file, 0, f"expected one SELECT, found {len(trees)} statements or another kind."))
        return False
    unknown = {str(node.name) for node in trees[0].find_all(exp.Placeholder)} - set(PARAMETERS)
    for name in sorted(unknown):
        problems.append(Problem(model.file, 0, f"there is no parameter ':{name}'; there are {', '.join(PARAMETERS)}.{did_you_mean(name, PARAMETERS)}"))
    return not unknown


def check_models(models: Mapping[str, GoldModel], contracts: Mapping[str, tuple[Contract, Document]], problems: list[Problem]) -> None:
    """Note tables that do not exist, ties to columns that do not exist, and models that read each other."""
    tables = {f"silver.{name}" for name in contracts} | {f"gold.{name}" for name in models}
    reads = {model.name: _tables(model) for model in models.values()}
    for model in models.values():
        for table in sorted(reads[model.name] - tables):
            problems.append(Problem(model.file, 0, f"it reads '{table}', which does not exist.{did_you_mean(table, tables)}"))
        for target in model.ties_out.values():
            _check_tie(model, target, contracts, problems)
    for name in sorted(models):
        if name in _reach(name, reads):
            problems.append(Problem(models[name].file, 0, f"'{name}' reads itself through other models."))


def _tables(model: GoldModel) -> set[str]:
    tree = sqlglot.parse_one(model.sql, read="spark")
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    return {f"{table.db}.{table.name}".lower() for table in tree.find_all(exp.Table) if table.db or table.name not in own}


def _check_tie(model: GoldModel, target: str, contracts: Mapping[str, tuple[Contract, Document]], problems: list[Problem]) -> None:
    layer, _, rest = target.partition(".")
    entity, _, column = rest.partition(".")
    known = contracts[entity][0] if layer == "silver" and entity in contracts else None
    if known is None or (column and column not in [item.name for item in known.columns]):
        problems.append(Problem(model.file, 0, f"ties_out names '{target}', which does not exist."))


def _reach(name: str, reads: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [table.partition(".")[2] for table in reads[name] if table.startswith("gold.")]
    while waiting:
        other = waiting.pop()
        if other not in seen and other in reads:
            seen.add(other)
            waiting += [table.partition(".")[2] for table in reads[other] if table.startswith("gold.")]
    return seen
