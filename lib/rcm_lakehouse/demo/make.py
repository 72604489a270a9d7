"""Making the demo: two hospitals in databases and their files in a landing folder, all below `lakehouse/demo`."""

import json
import logging
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.demo import files, sql
from rcm_lakehouse.demo.changes import second_day
from rcm_lakehouse.demo.hospital import Changes, Hospital, first_day
from rcm_lakehouse.demo.making import SIZES
from rcm_lakehouse.demo.tables import DATABASES, HOSPITALS
from rcm_lakehouse.demo.targets import Target, databases_on, finish_script, start_script, write_script
from rcm_lakehouse.demo.truth import utc_today

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Where the demo lies below a project's home."""

    home: Path

    @property
    def root(self) -> Path:
        """Everything the demo writes."""
        return self.home / "lakehouse" / "demo"

    @property
    def landing(self) -> Path:
        """The landing folder of the files."""
        return self.root / "landing"

    @property
    def password(self) -> Path:
        """The file with the embedded databases' password, random for each making of day 1."""
        return self.root / "h2_password"

    @property
    def record(self) -> Path:
        """What was made: seed, size, day of making, target."""
        return self.root / "making.json"

    def database(self, hospital: str) -> Path:
        """The embedded database of a hospital, without suffix."""
        return self.root / "db" / DATABASES[hospital]


def make_demo(home: Path, *, day: int, size: str = "small", seed: int = 7, target: Target | None = None, today: date | None = None) -> date:
    """Make day 1 from nothing, or bring day 2 to what day 1 made; return the day of making that dates are anchored to.

    Day 1 removes what an earlier making left (embedded databases, landing folder; databases of the same names on a server only when the target
    says so). Day 2 takes `today` from day 1 when it is not
    given, may be made again, and delivers its claims files anew.

    Raises ConfigError when day 2 does not fit what day 1 made or the server holds databases of these names, SourceUnavailableError when a
    database refuses the script.
    """
    if day not in (1, 2) or size not in SIZES:
        raise ConfigError(f"demo: day {day}, size '{size}' cannot be made; days are 1 and 2, sizes are {', '.join(SIZES)}. Nothing was made.")
    target, places = target or Target(), Places(home)
    making = today or utc_today() if day == 1 else _as_made(places, seed, size, today, target)
    if day == 1:
        _check_names_free(target)
        _clear(places, target)
    hospitals: list[tuple[Hospital, Changes | None]] = []
    for code in HOSPITALS:
        hospitals.append((first_day(code, seed, size, making), None) if day == 1 else second_day(code, seed, size, making))
    _run_scripts(places, hospitals, target)
    for hospital, changes in hospitals:
        files.write_claims(hospital, changes, places.landing)
    if day == 1:
        files.write_procedure_codes(places.landing)
        # Last, so that a making that broke off is not taken for a whole one.
        record = {"seed": seed, "size": size, "today": making.isoformat(), "target": target.kind}
        places.record.write_text(json.dumps(record) + "\n", encoding="utf-8")
    _log.info("demo day %s of seed %s (%s) made in %s", day, seed, size, target.kind)
    return making


def _check_names_free(target: Target) -> None:
    if target.kind == "h2" or target.replaces:
        return
    if taken := databases_on(target, DATABASES.values()):
        raise ConfigError(
            f"demo: {target.place} holds {' and '.join(taken)} already, and day 1 would drop them with all that is in them. Nothing was made or "
            "dropped. Say --replace if they are an earlier demo's, or use another server."
        )


def _clear(places: Places, target: Target) -> None:
    places.home.mkdir(parents=True, exist_ok=True)
    # One by one: a parent that is made on the way does not get the mode, and all tables will lie in this one.
    for folder in (places.root.parent, places.root):
        folder.mkdir(exist_ok=True, mode=0o700)
    places.record.unlink(missing_ok=True)
    for folder in (places.landing, places.root / "archive", *([places.root / "db"] if target.kind == "h2" else [])):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (places.landing / "claims", places.landing / "codes", places.root / "db"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if target.kind == "h2":
        places.password.unlink(missing_ok=True)
        places.password.touch(mode=0o600)
        places.password.write_text(secrets.token_hex(16) + "\n", encoding="utf-8")


def _as_made(places: Places, seed: int, size: str, today: date | None, target: Target) -> date:
    try:
        record = json.loads(places.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"demo: {places.record} is missing or unreadable, so there is no day 1 to build on. Make day 1 first.") from None
    made = date.fromisoformat(record["today"])
    wanted = {"seed": seed, "size": size, "today": (today or made).isoformat(), "target": target.kind}
    differing = [f"{name} {wanted[name]} (day 1: {record.get(name)})" for name in wanted if wanted[name] != record.get(name)]
    if differing:
        raise ConfigError(f"demo: day 2 does not fit day 1: {', '.join(differing)}. Nothing was changed. Use day 1's values, or make day 1 again.")
    return made


def _run_scripts(places: Places, hospitals: list[tuple[Hospital, Changes | None]], target: Target) -> None:
    """Both hospitals' clients at the same time; the scripts are deleted afterwards."""
    password = places.password.read_text(encoding="utf-8").strip() if target.kind == "h2" else target.password or ""
    dialect = sql.SQL_DIALECTS[target.kind]
    with tempfile.TemporaryDirectory(prefix="scripts-", dir=places.root) as folder:
        started = []
        for hospital, changes in hospitals:
            code = hospital.making.hospital
            script, name = Path(folder) / f"{code}.sql", DATABASES[code]
            statements = sql.first_script(hospital, name, dialect) if changes is None else sql.second_script(hospital, changes, name, dialect)
            write_script(statements, script)
            started.append((name, start_script(target, script, places.database(code), password)))
        failures = [failure for name, process in started if (failure := finish_script(target, process, name))]
    if failures:
        raise failures[0]
