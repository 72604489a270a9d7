"""The closing tables show a name as it is: a hospital's file may be named like rich's markup."""

import io

from rich.console import Console

from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.pipeline.progress import RunProgress
from rcm_lakehouse.pipeline.summary import show_kpis, show_loads, show_plan

NAME = "a[/b][red]c.csv"


def _shown_on(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_name_like_markup_is_shown_as_it_is_in_every_table() -> None:
    console = Console(file=io.StringIO(), width=200, emoji=False)
    show_loads(console, [LoadLog("1", data_source="hos-a", tablename="claims", layer="bronze", watermark_after=NAME, warnings=[f"{NAME}: late"])])
    show_plan(console, [("bronze", NAME, "w", "from", "to", "into")], [("hos-a.claims", f"{NAME}: cut")])
    show_kpis(console, [(NAME, "days[/x]", None, "days")], "2031-01-01")
    said = _shown_on(console)
    assert said.count(NAME) == 5
    assert "days[/x]" in said


def test_a_step_named_like_markup_does_not_break_the_live_progress() -> None:
    console = Console(file=io.StringIO(), width=200, emoji=False, force_terminal=True, color_system=None)
    with RunProgress(console, 2) as progress:
        progress.started(NAME)
        progress.started("other")
        progress.ended("other", "SUCCESS", 1)
    said = _shown_on(console)
    assert "other: SUCCESS, 1 rows written" in said
    assert NAME in said
