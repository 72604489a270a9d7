"""The closing tables of a run: what each load did, then the KPIs."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from rcm_lakehouse.audit.schema import LoadLog

# What is said of more steps is said of their number; the table above names them.
_MOST_NAMED = 5
_COUNTS = ("rows_read", "rows_written", "rows_unchanged", "rows_duplicate", "rows_quarantined", "rows_dropped")


def show_loads(console: Console, logs: Iterable[LoadLog]) -> None:
    """One line a load: rows read, written, unchanged, duplicate, quarantined, seconds, watermark."""
    table = RichTable(title="Loads", title_justify="left", header_style="bold")
    for heading in ("layer", "load", "status"):
        table.add_column(heading, overflow="fold")
    for heading in ("read", "written", "unchanged", "duplicate", "quarantined", "dropped", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("watermark")
    for row in _by_step(logs):
        counts = ["" if (value := getattr(row, name)) is None else f"{value:,}" for name in _COUNTS]
        _add(table, row.layer, _name(row), row.status, *counts, f"{row.seconds or 0:.1f}", row.watermark_after or "")
    console.print(table)
    told: dict[str, list[str]] = {}
    for row in _by_step(logs):
        for text in [*([row.message] if row.message else []), *row.warnings]:
            told.setdefault(text, []).append(f"{row.layer} {_name(row)}")
    for text, steps in told.items():
        who = ", ".join(steps) if len(steps) <= _MOST_NAMED else f"{len(steps)} steps"
        console.print(f"  {who}: {text}", markup=False, highlight=False, soft_wrap=True)


def _add(table: RichTable, *cells: str) -> None:
    """A row as it is: a file may be named `a[/b].csv`, which rich would read as markup."""
    table.add_row(*(Text(cell) for cell in cells))


def _name(row: LoadLog) -> str:
    source = ".".join(part for part in (row.data_source, row.tablename) if part)
    target = (row.target or "").rpartition(".")[2]
    return f"{target} <- {source}" if row.layer == "silver" and row.data_source else source or target


def _by_step(logs: Iterable[LoadLog]) -> list[LoadLog]:
    order = {"bronze": 0, "reconcile": 1, "silver": 2, "gold": 3}
    return sorted((row for row in logs if row.layer in order), key=lambda row: order[row.layer])


def show_left_out(console: Console, names: Sequence[str], *, is_plan: bool = False) -> None:
    """One line naming the steps that `--only` leaves behind what it loads; nothing where there are none."""
    if names:
        who = ", ".join(names) if len(names) <= _MOST_NAMED else f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
        runs = "would run" if is_plan else "ran"
        told = f"--only {runs} what it names alone. Left as they are until the next run without it: {who}."
        console.print(told, markup=False, highlight=False, soft_wrap=True)


def show_refused(console: Console, messages: Iterable[str]) -> None:
    """One line a model that a run would not build, with the way on; nothing where there are none."""
    for text in messages:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_kpis(console: Console, rows: Sequence[tuple[object, ...]], as_of: str) -> None:
    """KPIs by hospital: rows of (data_source, kpi, value, unit); NULL is shown as a dash."""
    sources = sorted({str(row[0]) for row in rows}, key=lambda name: (name == "all", name))
    values = {(str(source), str(kpi)): (value, str(unit)) for source, kpi, value, unit in rows}
    kpis = list(dict.fromkeys(str(row[1]) for row in rows))
    table = RichTable(title=f"KPIs as of {as_of}", title_justify="left", header_style="bold")
    table.add_column("kpi")
    for source in sources:
        table.add_column(Text(source), justify="right")
    for kpi in kpis:
        _add(table, kpi, *(_shown(*values.get((source, kpi), (None, ""))) for source in sources))
    console.print(table)


def _shown(value: object, unit: str) -> str:
    if not isinstance(value, Decimal):
        return "–" if value is None else str(value)
    if unit in ("rate", "fraction", "ratio"):
        return f"{value * 100:.1f} %"
    return f"{value:,.2f} USD" if unit in ("usd", "USD", "US dollars") else f"{value:,.1f} {unit}"


def show_plan(console: Console, rows: Iterable[tuple[str, ...]], warnings: Iterable[tuple[str, str]]) -> None:
    """The plan of a dry run: what would be read, from which watermark, into what; below it what is known of a load already (its name, words)."""
    caption = "watermark, from and to are in each source's own clock; the window begins at the watermark less the overlap"
    table = RichTable(title="Plan (nothing is read or written)", caption=caption, title_justify="left", caption_justify="left", header_style="bold")
    for heading in ("step", "reads", "watermark", "from", "to", "writes"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        _add(table, *row)
    console.print(table)
    for name, text in warnings:
        console.print(f"  bronze {name}: {text}", markup=False, highlight=False, soft_wrap=True)
