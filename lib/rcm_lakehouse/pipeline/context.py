"""What every step of a run knows."""

import os
import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from threading import Event

from rcm_lakehouse import __version__
from rcm_lakehouse.audit.schema import LoadLog
from rcm_lakehouse.audit.state import AuditState
from rcm_lakehouse.audit.writer import AuditSpool
from rcm_lakehouse.config.project import Project
from rcm_lakehouse.lake.tables import Lake
from rcm_lakehouse.pipeline.contract_changes import ContractChange

LAYERS = ("bronze", "silver", "gold")
TEST_NOW = "RCM_TEST_NOW"
APPROVAL = "--approve-deletes"


@dataclass(frozen=True)
class Backfill:
    """Loads to read again for values in [low, high), typed text; the live watermark is not touched."""

    loads: tuple[str, ...]
    low: str
    high: str


@dataclass(frozen=True)
class RunOptions:
    """What the caller asked for."""

    as_of: date
    only: tuple[str, ...] = ()
    layers: tuple[str, ...] = LAYERS
    threads: int = 2
    dry_run: bool = False
    approve_deletes: tuple[str, ...] = ()
    full_refresh: tuple[str, ...] = ()
    backfill: Backfill | None = None
    reset_watermark: tuple[str, str] | None = None
    reconcile: tuple[str, ...] = ()
    accept_lost: tuple[str, ...] = ()
    replay: bool = False  # silver takes open rows of its quarantine instead of new rows of bronze

    def described(self) -> str:
        """The options as the start mark keeps them."""
        told = [f"layers={','.join(self.layers)}", f"only={','.join(self.only)}"]
        told += [f"full_refresh={','.join(self.full_refresh)}"] if self.full_refresh else []
        told += [f"backfill={','.join(self.backfill.loads)} from {self.backfill.low} to {self.backfill.high}"] if self.backfill else []
        told += ["reset_watermark={} to {}".format(*self.reset_watermark)] if self.reset_watermark else []
        told += [f"reconcile={','.join(self.reconcile)}"] if self.reconcile else []
        told += [f"approve_deletes={','.join(self.approve_deletes)}"] if self.approve_deletes else []
        told += [f"accept_lost={','.join(self.accept_lost)}"] if self.accept_lost else []
        told += ["replay"] if self.replay else []
        return " ".join(told)

    @property
    def verbs(self) -> tuple[tuple[str, str], ...]:
        """(option, load) for each load that a verb or an approval names."""
        named = {
            "--full-refresh": self.full_refresh,
            "--from/--to": self.backfill.loads if self.backfill else (),
            "--reset-watermark": self.reset_loads,
            "--reconcile": self.reconcile,
            APPROVAL: self.approve_deletes,
        }
        return tuple((option, load) for option, loads in named.items() for load in loads)

    @property
    def reset_loads(self) -> tuple[str, ...]:
        """The load whose watermark is reset: nothing of its source is needed."""
        return self.reset_watermark[:1] if self.reset_watermark else ()

    @property
    def verb_loads(self) -> tuple[str, ...]:
        """Loads that a verb names: only these are read, whatever else is active. Empty without a verb; an approval is none."""
        return tuple(dict.fromkeys(load for option, load in self.verbs if option != APPROVAL))


def utc_now() -> datetime:
    """The time in UTC; the test-only variable RCM_TEST_NOW (ISO 8601) freezes it."""
    frozen = os.environ.get(TEST_NOW)
    return datetime.fromisoformat(frozen.replace("Z", "+00:00")) if frozen else datetime.now(timezone.utc)


def new_run_id() -> str:
    """A run id that sorts by time: 20261123T205236Z-1f09ab."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@dataclass
class RunContext:
    """One run: configuration, lake, options, audit and the wish to stop.

    `committed` has by step name the audit rows of what its tries committed, whatever became of these tries; `contract_changes` the entities
    whose contract is another than in the run before; `put_back` those whose silver was put back as it was before, with the warning.
    """

    project: Project
    lake: Lake
    options: RunOptions
    run_id: str
    started_at: datetime
    spool: AuditSpool
    state: AuditState
    cancel: Event = field(default_factory=Event)
    committed: dict[str, list[LoadLog]] = field(default_factory=lambda: defaultdict(list))
    contract_changes: dict[str, ContractChange] = field(default_factory=dict)
    put_back: dict[str, str] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """Folder for staged files of this run."""
        return Path(self.lake.scratch(self.run_id))

    def keep(self, step: str, rows: Iterable[LoadLog]) -> None:
        """Keep audit rows of a commit, by step name (`bronze:hos-a.patients`): a failure after it does not lose them."""
        self.committed[step].extend(rows)

    def log(self, layer: str, **values: object) -> LoadLog:
        """A row for the audit with the run's own columns filled in."""
        return LoadLog(
            id=f"{self.run_id}-{secrets.token_hex(6)}",
            run_id=self.run_id,
            layer=layer,
            loaddate=datetime.now(timezone.utc),
            config_hash=self.project.config_hash,
            code_version=__version__,
            **values,  # type: ignore[arg-type]
        )
