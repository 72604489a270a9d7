"""Columns that a SELECT names, judged before it runs: where a name can only be a column of one known table, the column must be there.

What is not certain is left alone and shows when the table is built: fields of structures, columns behind a `*` that cannot be followed,
names that a lateral alias, a lambda or an outer query may explain.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, ScopeType, traverse_scope

from rcm_lakehouse.config.problems import did_you_mean, nearest
from rcm_lakehouse.config.sql_functions import GENERATOR

# The columns of a table of the lakehouse (`silver.patient`) in lower case; None when they are not known.
Tables = Callable[[str], frozenset[str] | None]
# Names that are no columns where a function takes a unit of time, or where all columns are meant.
_NO_COLUMNS = frozenset(
    "all microsecond millisecond second minute hour day dayofyear week month quarter year microseconds milliseconds seconds minutes hours days weeks "
    "months quarters years".split()
)


@dataclass(frozen=True)
class Unknown:
    """A column that is not there: in words, with its line in the SELECT, from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Judged:
    """What a SELECT says of columns before it runs.

    `outputs` are the columns it gives that have a name, in lower case, and `is_all`: there are no others; None when they are not known.
    """

    unknown: tuple[Unknown, ...] = ()
    outputs: frozenset[str] | None = None
    is_all: bool = False


def judged(tree: exp.Query, tables: Tables) -> Judged:
    """The columns of a SELECT that are not there, and those it gives."""
    try:
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError):
        return Judged()
    judge = _Judge(tables)
    # Inner queries come before those that read them.
    for scope in scopes:
        judge.take(scope)
    if not scopes:
        return Judged(tuple(judge.unknown))
    outputs, is_all = judge.given.get(id(scopes[-1]), (None, False))
    return Judged(tuple(judge.unknown), outputs, is_all)


class _Judge:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.unknown: list[Unknown] = []
        # Of each query: the columns it gives, and whether these are all.
        self.given: dict[int, tuple[frozenset[str] | None, bool]] = {}
        self.taken: list[Scope] = []
        # Of each column that is not there: what was meant.
        self.meant: dict[int, str | None] = {}

    def take(self, scope: Scope) -> None:
        """Judge one query and keep what it gives. Of sources that share a name (or have none) nothing is said: Spark's analyser judges them."""
        try:
            if isinstance(scope.expression, exp.Select):
                for column in scope.find_all(exp.Column):
                    self.column(scope, column)
            self.given[id(scope)] = self.outputs(scope)
        except (SqlglotError, RecursionError):
            self.given[id(scope)] = (None, False)
        self.taken.append(scope)

    def column(self, scope: Scope, column: exp.Column) -> None:
        """Note a column that can only be one of a known source which does not have it."""
        if isinstance(column.this, exp.Star) or len(column.parts) > 2:
            return
        found = self.qualified(scope, column.table) if column.table else self.only_source(scope, column)
        if found is None or column.name.lower() in found[1] or column.name.lower().startswith("_metadata"):
            return
        source, names = found
        self.meant[id(column)] = nearest(column.name, sorted(names))
        written = f"{column.table}.{column.name}" if column.table else column.name
        has = "have" if source.startswith(("silver.", "gold.")) else "give"
        text = f"it names column '{written}', which {source} does not {has}.{did_you_mean(column.name, sorted(names))}"
        self.unknown.append(Unknown(int(column.parts[-1].meta.get("line") or 1), text))

    def qualified(self, scope: Scope, alias: str) -> tuple[str, frozenset[str]] | None:
        """The source that an alias means in a query, or in those around it when it is a subquery, and its columns."""
        here: Scope | None = scope
        while here is not None:
            sources = {name.lower(): item for name, item in here.selected_sources.items()}
            if alias.lower() in sources:
                names = self.columns_of(*sources[alias.lower()])
                is_certain = names is not None and not any(self.may_hold(alias.lower(), *item) for item in sources.values())
                return (_named(alias.lower(), *sources[alias.lower()]), names) if names is not None and is_certain else None
            here = here.parent if here.scope_type == ScopeType.SUBQUERY else None
        return None

    def may_hold(self, name: str, node: exp.Expr, source: exp.Expr | Scope) -> bool:
        """True when `name` may be a column of a source, so that `name.field` is a field of it. Tables whose columns are not known have no such one."""
        names = self.columns_of(node, source)
        return name in names if names is not None else isinstance(source, Scope)

    def only_source(self, scope: Scope, column: exp.Column) -> tuple[str, frozenset[str]] | None:
        """The one source of a query, when a name without alias can be nothing but its column."""
        select = scope.expression
        sources = list(scope.selected_sources.items())
        if len(sources) != 1 or select.args.get("joins") or select.args.get("laterals") or _is_inside_subquery(scope):
            return None
        alias, source = sources[0]
        names = self.columns_of(*source)
        named = [item for item in select.args.get("expressions") or () if not isinstance(item, exp.Column) or item.table]
        own = {name.lower() for item in named for name in names_of(item)}
        windows = {window.name.lower() for window in select.args.get("windows") or ()}
        if names is None or column.name.lower() in own | windows | _NO_COLUMNS:
            return None
        return _named(alias, *source), names

    def columns_of(self, node: exp.Expr, source: exp.Expr | Scope) -> frozenset[str] | None:
        """Columns of a source; None when they are not known."""
        if node.args.get("pivots"):
            return None
        if isinstance(source, Scope):
            names, is_all = self.given.get(id(source), (None, False))
            return names if is_all else None
        if not isinstance(source, exp.Table) or source.args.get("pivots") or source.alias_column_names:
            return None
        return self.tables(f"{source.db}.{source.name}".lower())

    def outputs(self, scope: Scope) -> tuple[frozenset[str] | None, bool]:
        """Names that a query gives and whether they are all; None when a part cannot be followed."""
        if scope.scope_type == ScopeType.UDTF:
            return None, False
        if scope.outer_columns:
            return frozenset(name.lower() for name in scope.outer_columns), True
        if isinstance(scope.expression, exp.SetOperation):
            first = next((inner for inner in self.taken if inner.expression is _first_select(scope.expression)), None)
            is_by_name = any(one.args.get("by_name") for one in scope.expression.find_all(exp.SetOperation))
            return (None, False) if first is None or is_by_name else self.given.get(id(first), (None, False))
        if not isinstance(scope.expression, exp.Select):
            return None, False
        names: set[str] = set()
        is_all = True
        for item in scope.expression.selects:
            found = self.stars(scope, item) if item.is_star else self.item(item)
            if found is None:
                return None, False
            names |= found
            is_all = is_all and bool(found)
        return frozenset(names), is_all

    def stars(self, scope: Scope, item: exp.Expr) -> set[str] | None:
        """Columns that `*` or `alias.*` stands for."""
        star = item if isinstance(item, exp.Star) else item.this
        if not isinstance(star, exp.Star) or any(star.args.values()):
            return None
        wanted = item.table.lower() if isinstance(item, exp.Column) else ""
        sources = [source for name, source in scope.selected_sources.items() if not wanted or name.lower() == wanted]
        found = [self.columns_of(*source) for source in sources]
        # Sources without a name share one entry, so that some would be missing here.
        parts = 1 + len(scope.expression.args.get("joins") or ()) + len(scope.expression.args.get("laterals") or ())
        if not found or (not wanted and len(found) != parts):
            return None
        names = [one for one in found if one is not None]
        return None if len(names) != len(found) else set().union(*names)

    def item(self, item: exp.Expr) -> set[str] | None:
        """Names of one output: empty when Spark makes one up, None when it may be several."""
        names = {name.lower() for name in names_of(item)}
        if isinstance(item, exp.Column) and id(item) in self.meant:
            # Once it is mended the output has the right name.
            meant = self.meant[id(item)]
            return None if meant is None else {*names, meant}
        return None if may_be_several(item) else names


def _named(alias: str, node: exp.Expr, source: exp.Expr | Scope) -> str:
    """A source as a message names it."""
    if isinstance(source, exp.Table):
        return f"{source.db}.{source.name}".lower()
    name = node.name if isinstance(node, exp.Table) else alias
    return f"the query '{name}'" if name else "the inner query"


def _first_select(tree: exp.Expr) -> exp.Expr:
    """The SELECT of a UNION that names its columns: the first, without the brackets around it."""
    while isinstance(tree, exp.SetOperation | exp.Subquery):
        tree = tree.this
    return tree


def names_of(item: exp.Expr) -> list[str]:
    """Names that an output is given: its aliases, or its own as a column or a field of one; empty when Spark makes one up of what it computes."""
    if isinstance(item, exp.Aliases):
        return [str(alias.name if isinstance(alias, exp.Expr) else alias) for alias in item.aliases]
    if isinstance(item, exp.Alias):
        return [item.alias]
    column = item
    while isinstance(column, exp.Dot):
        column = column.this
    return [item.name] if isinstance(column, exp.Column) else []


def may_be_several(item: exp.Expr) -> bool:
    """True for a call that gives rows and, without aliases, as many columns as it finds."""
    return isinstance(item, exp.Func) and (item.name if isinstance(item, exp.Anonymous) else item.sql_name()).lower() in GENERATOR


def _is_inside_subquery(scope: Scope) -> bool:
    here: Scope | None = scope
    while here is not None:
        if here.scope_type == ScopeType.SUBQUERY:
            return True
        here = here.parent
    return False
