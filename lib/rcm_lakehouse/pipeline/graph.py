"""Steps with inputs, run by a few threads: a step starts when everything it needs has ended (pure scheduling)."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Generic, TypeVar

Result = TypeVar("Result")
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """A unit of work: `layer` and `label` name it (unique together), `needs` are the names of steps that must have ended."""

    layer: str
    label: str
    needs: frozenset[str] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        """`bronze:hos-a.patients`, `silver:patient`, `gold:dim_patient`."""
        return f"{self.layer}:{self.label}"


class CyclicPlanError(ValueError):
    """Steps wait for each other; the message names them."""


def ready(steps: Iterable[Step], started: frozenset[str], ended: frozenset[str]) -> list[Step]:
    """Steps that may start now, in the order given; needs that are not in the plan count as met."""
    steps = list(steps)
    planned = {step.name for step in steps}
    return [step for step in steps if step.name not in started and (step.needs & planned) <= ended]


def in_order(steps: Iterable[Step]) -> list[Step]:
    """The steps, each behind all that it needs, and otherwise as given; those that wait for each other are left out."""
    steps = list(steps)
    ordered: dict[str, Step] = {}
    while waiting := ready(steps, frozenset(ordered), frozenset(ordered)):
        ordered[waiting[0].name] = waiting[0]
    return list(ordered.values())


@dataclass
class GraphRun(Generic[Result]):
    """Results by step name; steps that never started because of a cancel are absent."""

    results: dict[str, Result] = field(default_factory=dict)


def run_graph(
    steps: list[Step],
    work: Callable[[Step, Mapping[str, Result]], Result],
    *,
    threads: int,
    cancel: Event,
) -> dict[str, Result]:
    """Run every step once, each after its needs; `work` must not raise.

    When `cancel` is set no further step starts and those running are waited for. Raises CyclicPlanError when steps remain
    that can never start.
    """
    run: GraphRun[Result] = GraphRun()
    started: set[str] = set()
    running: dict[Future[Result], str] = {}
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="load") as pool:
        while True:
            if not cancel.is_set():
                for step in ready(steps, frozenset(started), frozenset(run.results)):
                    if len(running) >= threads:
                        break
                    started.add(step.name)
                    running[pool.submit(work, step, dict(run.results))] = step.name
            if not running:
                break
            # A bounded wait lets the main thread see signals.
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                run.results[running.pop(future)] = future.result()
    left = [step.name for step in steps if step.name not in started]
    if left and not cancel.is_set():
        raise CyclicPlanError(f"these steps wait for each other: {', '.join(left)}")
    return run.results
