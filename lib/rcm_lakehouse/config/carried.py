"""What a SELECT hands on of marked columns: through aliases, WITH, joins, unions and every expression that still tells their value.

An expression over such a column carries it, whatever it makes of it, but for what `telling` names: a count, a condition, a year, an age in whole years.
What decides alone (WHERE, ON, GROUP BY, the condition of a CASE, the order or parts of a window) carries nothing. What cannot be followed by position
or name (a pivot, a recursive WITH) carries all that goes in; where sources share a name, or an alias stands behind brackets around a table or a join,
the result carries every marked column that the SELECT names anywhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from rcm_lakehouse.config.checks_columns import may_be_several, names_of
from rcm_lakehouse.config.telling import tells_no_value

Origins = frozenset[str]
_NONE: Origins = frozenset()
# Of these nodes the named parts alone are values.
_VALUES = {
    exp.Case: ("ifs", "default"),
    exp.If: ("true", "false"),
    exp.Nvl2: ("true", "false"),
    exp.Window: ("this",),
    exp.Filter: ("this",),
    exp.ArgMax: ("this",),
    exp.ArgMin: ("this",),
}


@dataclass(frozen=True)
class Output:
    """A column that a query or table gives, in lower case (empty: without a name): the marked columns that it carries, and its line in the SELECT."""

    name: str
    origins: Origins = _NONE
    line: int | None = None


@dataclass(frozen=True)
class Given:
    """The columns of a query or table in their order; `is_all` when these are all, else `rest` is what any other may carry."""

    outputs: tuple[Output, ...] = ()
    is_all: bool = False
    rest: Origins = _NONE

    @property
    def all_origins(self) -> Origins:
        """What any column of it carries."""
        return self.rest.union(*[output.origins for output in self.outputs])

    def has(self, name: str) -> bool:
        """True when a column is called so."""
        return any(output.name == name for output in self.outputs)

    def of(self, name: str) -> Origins:
        """What the columns of that name carry; where there is none, those without a name, for Spark makes one up."""
        named = name if self.has(name) else ""
        return self.rest.union(*[output.origins for output in self.outputs if output.name == named])

    def named(self, names: Iterable[str]) -> "Given":
        """The same columns under other names, in their order."""
        new = tuple(name.lower() for name in names)
        if self.is_all and len(new) == len(self.outputs):
            return Given(tuple(Output(name, output.origins, output.line) for name, output in zip(new, self.outputs, strict=True)), True)
        return Given(tuple(Output(name, self.all_origins) for name in new), True)


# The columns of a table of the lakehouse (`silver.patient`), each with what it is of marked columns.
Tables = Callable[[str], Given]


def given_by(tree: exp.Query, tables: Tables) -> Given:
    """The columns that a SELECT gives, with the marked columns of `tables` that each carries."""
    # Names are of any case in Spark, but not in scopes.
    tree = tree.copy()
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("this", identifier.name.lower())
    if any(_hides_names(brackets) for brackets in tree.find_all(exp.Subquery)):
        return _named_anywhere(tree, tables)
    try:
        scopes = traverse_scope(tree)
        if not scopes or any(_shares_names(scope) for scope in scopes):
            return _named_anywhere(tree, tables)
        tracer = _Tracer(tables)
        # Inner queries come before those that read them.
        for scope in scopes:
            tracer.take(scope)
    except (SqlglotError, RecursionError):
        return _named_anywhere(tree, tables)
    return tracer.given[id(scopes[-1])]


def _hides_names(brackets: exp.Subquery) -> bool:
    """True for brackets around a table or a join that have an alias: no scope tells what the alias stands for."""
    if not (brackets.args.get("alias") or brackets.args.get("pivots")):
        return False
    inner = brackets.this
    while isinstance(inner, exp.Subquery) and not (inner.args.get("alias") or inner.args.get("joins")):
        inner = inner.this
    return not isinstance(inner, exp.Select | exp.SetOperation | exp.Values)


def _shares_names(scope: Scope) -> bool:
    """True when two sources of a query have one name, or none: a scope keeps one of them."""
    names = [name for name, _ in scope.references]
    return len(names) != len(set(names))


def _named_anywhere(tree: exp.Query, tables: Tables) -> Given:
    """A SELECT that cannot be followed: any column of it may carry the marked columns that it names, or all where `*` or new names may stand for them."""
    read = [tables(f"{table.db}.{table.name}") for table in tree.find_all(exp.Table)]
    stars = (star.parent if isinstance(star.parent, exp.Column) else star for star in tree.find_all(exp.Star))
    is_renamed = any(alias.columns and isinstance(alias.parent, exp.Table | exp.Subquery) for alias in tree.find_all(exp.TableAlias))
    if is_renamed or tree.find(exp.Pivot) or any(not isinstance(star.parent, exp.Count) for star in stars):
        return Given(rest=_NONE.union(*[source.all_origins for source in read]))
    names = {part.name for column in tree.find_all(exp.Column) for part in column.parts}
    return Given(rest=_NONE.union(*[source.rest for source in read], *[one.origins for source in read for one in source.outputs if one.name in names]))


class _Tracer:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.given: dict[int, Given] = {}
        # The same by the node of the query, for one that stands in an expression.
        self.by_query: dict[int, Given] = {}
        # Outputs of a SELECT that later ones of it may name.
        self.aliases: dict[int, dict[str, Origins]] = {}

    def take(self, scope: Scope) -> None:
        """Follow one query and keep what it gives."""
        found = self.outputs(scope)
        if scope.outer_columns:
            found = found.named(scope.outer_columns)
        parts = scope.expression.find_ancestor(exp.With, exp.Select)
        if isinstance(parts, exp.With) and parts.args.get("recursive"):
            found = Given(tuple(Output(output.name, found.all_origins) for output in found.outputs), found.is_all, found.all_origins)
        self.given[id(scope)] = self.by_query[id(scope.expression)] = found

    def outputs(self, scope: Scope) -> Given:
        """The columns that a query gives."""
        if isinstance(scope.expression, exp.SetOperation):
            return self.union(scope)
        if not isinstance(scope.expression, exp.Select):
            # A table made of an expression: LATERAL VIEW, VALUES.
            return Given(rest=self.inside(scope, scope.expression))
        outputs: list[Output] = []
        is_all, rest = True, _NONE
        aliases = self.aliases.setdefault(id(scope), {})
        for item in scope.expression.selects:
            if item.is_star:
                for source in self.starred(scope, item):
                    outputs += source.outputs
                    is_all, rest = is_all and source.is_all, rest | source.rest
                continue
            origins, line = self.carried(scope, item), _line_of(item)
            is_all = is_all and not may_be_several(item)
            for name in [name.lower() for name in names_of(item)] or [""]:
                outputs.append(Output(name, origins, line))
                aliases[name] = origins
        return Given(tuple(outputs), is_all, rest)

    def union(self, scope: Scope) -> Given:
        """The columns of a UNION, which are those of both sides by position, or by name."""
        left, right = (self.by_query.get(id(side.unnest()), Given()) for side in (scope.expression.this, scope.expression.expression))
        if scope.expression.args.get("by_name"):
            names = dict.fromkeys(output.name for side in (left, right) for output in side.outputs)
            return Given(tuple(Output(name, left.of(name) | right.of(name)) for name in names), left.is_all and right.is_all, left.rest | right.rest)
        if left.is_all and right.is_all and len(left.outputs) == len(right.outputs):
            pairs = zip(left.outputs, right.outputs, strict=True)
            return Given(tuple(Output(one.name, one.origins | other.origins, one.line if one.origins else other.line) for one, other in pairs), True)
        both = left.all_origins | right.all_origins
        return Given(tuple(Output(output.name, both, output.line) for output in left.outputs), left.is_all, both)

    def starred(self, scope: Scope, item: exp.Expr) -> Iterator[Given]:
        """The sources that `*` or `alias.*` stands for, without the columns that it leaves out; fields of a structure as the structure."""
        sources = self.sources(scope)
        if isinstance(item, exp.Dot):
            yield Given(rest=self.carried(scope, item.this))
            return
        star = item if isinstance(item, exp.Star) else item.this
        wanted = item.table.lower() if isinstance(item, exp.Column) else ""
        if isinstance(item, exp.Column) and (wanted not in sources or item.parts[0].name.lower() in sources.keys() - {wanted}):
            yield Given(rest=self.column(scope, item))
            return
        left_out = {column.name.lower() for column in star.args.get("except_") or ()}
        for name, source in sources.items():
            if not wanted or name == wanted:
                line = _line_of(item)
                kept = tuple(Output(output.name, output.origins, line) for output in source.outputs if output.name not in left_out)
                yield Given(kept, source.is_all, source.rest)

    def sources(self, scope: Scope) -> dict[str, Given]:
        """What a query reads, by its alias in lower case; what stands around it is not among them."""
        if isinstance(scope.expression, exp.Select):
            return {name.lower(): self.source(node, source) for name, (node, source) in scope.selected_sources.items()}
        return {name.lower(): self.source(source if isinstance(source, exp.Table) else None, source) for name, source in scope.sources.items()}

    def source(self, node: exp.Expr | None, source: exp.Expr | Scope) -> Given:
        """The columns of one source."""
        if isinstance(source, Scope):
            found = self.given.get(id(source), Given())
        else:
            found = self.tables(f"{source.db}.{source.name}".lower()) if isinstance(source, exp.Table) else Given()
        if node is not None and node.args.get("pivots"):
            return Given(rest=found.all_origins)
        names = source.alias_column_names if isinstance(source, exp.Table) else ()
        return found.named(names) if names else found

    def carried(self, scope: Scope, node: exp.Expr) -> Origins:
        """What the value of an expression tells of marked columns."""
        if tells_no_value(node):
            return _NONE
        if id(node) in self.by_query:
            return self.by_query[id(node)].all_origins
        if isinstance(node, exp.Column):
            return self.column(scope, node)
        if isinstance(node, exp.Star):
            return _NONE.union(*[source.all_origins for source in self.sources(scope).values()])
        return self.inside(scope, node)

    def inside(self, scope: Scope, node: exp.Expr) -> Origins:
        """What the parts of an expression tell."""
        parts = _VALUES.get(type(node))
        found = node.iter_expressions() if parts is None else (one for part in parts for one in _listed(node.args.get(part)))
        return _NONE.union(*[self.carried(scope, part) for part in found])

    def column(self, scope: Scope, column: exp.Column) -> Origins:
        """What a named column carries: of the nearest source that has it, a field of a structure as the structure."""
        names = [part.name.lower() for part in column.parts]
        is_star = isinstance(column.this, exp.Star)
        here: Scope | None = scope
        while here is not None:
            sources = self.sources(here)
            at = next((number for number, name in enumerate(names[:-1]) if name in sources), None)
            if at is not None:
                return sources[names[at]].all_origins if is_star and at + 2 == len(names) else sources[names[at]].of(names[at + 1])
            merged = _merged(here.expression)
            holders = [source for source in sources.values() if source.has(names[0]) or (source.has("") and merged & {names[0], "*"})]
            found = _NONE.union(*[source.of(names[0]) for source in holders or sources.values()], *[source.rest for source in sources.values()])
            if found or holders:
                return found
            if names[0] in self.aliases.get(id(here), {}):
                return self.aliases[id(here)][names[0]]
            here = here.parent
        return _NONE


def _merged(query: exp.Expr) -> set[str]:
    """Columns that a join takes of both sides as one, `*` for all that they share: there Spark may mean one whose name it makes up."""
    joins: list[exp.Join] = query.args.get("joins") or []
    return {name.name for join in joins for name in join.args.get("using") or ()} | {"*" for join in joins if join.method == "NATURAL"}


def _listed(value: object) -> list[exp.Expr]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, exp.Expr)]


def _line_of(item: exp.Expr) -> int | None:
    lines = [int(found.meta["line"]) for found in item.find_all(exp.Identifier, exp.Star) if "line" in found.meta]
    return min(lines, default=None)
