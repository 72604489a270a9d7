"""`python -m rcm_lakehouse.drill --n 20`: kill, run again, compare; exit code 0 when every table equals a clean run's."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.drill.cases import Case, grid, random_moments
from rcm_lakehouse.drill.journal import keep, kept
from rcm_lakehouse.drill.killing import Killed
from rcm_lakehouse.drill.report import line, page, summary
from rcm_lakehouse.drill.stages import DrillError, DrillStoppedError, Stages, Verdict


def parser() -> argparse.ArgumentParser:
    """The options of the drill."""
    options = argparse.ArgumentParser(
        prog="python -m rcm_lakehouse.drill",
        description="Kill runs of a small project at every crash point and at random moments, run again, and compare every table with a clean run. "
        "It works in a temporary folder; the project's own lakehouse is not touched.",
        epilog="exit codes: 0 all equal, 1 some table differs, 2 the drill could not be prepared, 130 and 143 stopped by a signal",
    )
    options.add_argument("--n", type=int, default=20, help="random moments besides the points (default 20)")
    options.add_argument("--points", default="", help="only these points (P6,P10), separated by commas; default: all of them")
    options.add_argument("--seed", type=int, default=7, help="equal seeds give equal random moments (default 7)")
    options.add_argument("--write", type=Path, default=None, metavar="FILE", help="write the result as a page of Markdown")
    options.add_argument("--journal", type=Path, default=None, metavar="FILE", help="keep each kill there; with what is kept the drill goes on")
    options.add_argument("--keep", action="store_true", help="keep the folders of kills that were not made good")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill with these arguments."""
    given = parser().parse_args(arguments)
    console = Console(emoji=False, width=None if sys.stdout.isatty() else 220)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rcm-drill-"))
    try:
        verdicts = _drill(folder, given, console)
    except (DrillError, RcmError, TimeoutError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 2
    except DrillStoppedError as stopped:
        console.print(f"{stopped}. What --journal keeps is what ended before; with it the drill goes on.", highlight=False)
        return stopped.code
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - began
    console.print(f"{summary(verdicts)}; {seconds / 60:.0f} minutes", style="bold", highlight=False)
    return 1 if any(verdict.faults for verdict in verdicts) else 0


def _drill(folder: Path, given: argparse.Namespace, console: Console) -> list[Verdict]:
    stages = Stages(folder, folder / "classes.jsa")
    with _said(console, "preparing: two days loaded cleanly; some minutes"):
        stages.prepare()
        stages.make_archive()
        stages.prepare_replay()
    with _said(console, "measuring how long a run takes"):
        stages.measure()
    told = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in stages.run_seconds.items())
    console.print(f"prepared; a whole run as its own process, with another beside: {told}", highlight=False)
    wanted = [name.strip() for name in given.points.split(",") if name.strip()]
    cases = [case for case in grid() if not wanted or case.name in wanted]
    cases += random_moments(given.n, given.seed, stages.run_seconds)
    done = kept(given.journal) if given.journal is not None else {}
    verdicts = [done[case.name, case.phase] for case in cases if (case.name, case.phase) in done]
    if verdicts:
        console.print(f"{len(verdicts)} kills are taken from {given.journal}", highlight=False, soft_wrap=True)
    for case, home, killed in _killed(stages, [case for case in cases if (case.name, case.phase) not in done]):
        verdict = stages.judge(case, home, killed)
        verdicts.append(verdict)
        if given.journal is not None:
            keep(given.journal, verdict)
        console.print(line(len(verdicts), len(cases), verdict), highlight=False, markup=False, soft_wrap=True)
        if given.write is not None:  # after each kill, so that a drill that is ended early keeps what it has
            given.write.write_text(page(verdicts, len(cases), given.seed), encoding="utf-8")
        if not (verdict.faults and given.keep):
            shutil.rmtree(home, ignore_errors=True)
    return verdicts


def _said(console: Console, words: str) -> AbstractContextManager[object]:
    """The words while the block runs, in a file or a pipe as a line of their own: nothing else is said there for minutes."""
    if console.is_terminal:
        return console.status(words)
    console.print(words, highlight=False)
    return nullcontext()


def _killed(stages: Stages, cases: Sequence[Case]) -> Iterator[tuple[Case, Path, Killed]]:
    """Kills one ahead of the judging: while one lakehouse is run again, the next is being killed."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming: list[Future[tuple[Path, Killed]]] = []
        for number, case in enumerate(cases):
            coming.append(pool.submit(stages.kill, case, number))
            if number:
                home, killed = coming[number - 1].result()
                yield cases[number - 1], home, killed
        if cases:
            home, killed = coming[-1].result()
            yield cases[-1], home, killed


if __name__ == "__main__":
    sys.exit(main())
