"""`python -m rcm_lakehouse.demo`: `make` the two hospitals of the demo, or serve the `api` stub, from the command line."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.demo.api_server import CLIENT_ID, CLIENT_SECRET, ApiServer
from rcm_lakehouse.demo.make import Places, make_demo
from rcm_lakehouse.demo.making import SIZES
from rcm_lakehouse.demo.targets import Target
from rcm_lakehouse.demo.truth import truth


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    root = argparse.ArgumentParser(prog="python -m rcm_lakehouse.demo", description="Two hospitals of made-up people.")
    verbs = root.add_subparsers(required=True, dest="verb")
    make = verbs.add_parser(
        "make",
        help="make day 1 or day 2",
        description="Day 1 makes both hospitals from nothing; day 2 brings updates, new, late and bad rows and claims corrected or new. "
        "Everything is written below lakehouse/demo; with --target, the tables go into the databases hospital-a and hospital-b of a server, which must "
        "not be there yet. conf/README.md says how connections.yml is pointed at them.",
    )
    make.add_argument("--day", type=int, choices=(1, 2), required=True, help="1: from nothing; 2: changes to what day 1 made")
    make.add_argument("--size", choices=tuple(SIZES), default="small", help="small: 5,000 transactions; base: 50,000; tiny: a few, for tests")
    make.add_argument("--seed", type=int, default=7, help="equal seeds give equal rows on the same day (default 7)")
    make.add_argument("--today", type=date.fromisoformat, help="day that dates are anchored to, YYYY-MM-DD (default today in UTC; day 2: that of day 1)")
    make.add_argument("--target", choices=("h2", "mariadb", "postgresql"), default="h2", help="embedded H2 files (default) or a running server")
    make.add_argument("--host", default="127.0.0.1", help="server (default 127.0.0.1)")
    make.add_argument("--port", type=int, help="server's port (default 3306 or 5432)")
    make.add_argument("--user", help="account that may create databases; its password is read from the environment variable RCM_DEMO_PASSWORD")
    make.add_argument("--replace", action="store_true", help="day 1 on a server: drop its databases hospital-a and hospital-b, whatever is in them")
    make.add_argument("--home", type=Path, default=Path.cwd(), help="project folder (default: here)")
    api = verbs.add_parser(
        "api",
        help="serve made-up answers of the reference services",
        description="The NPI registry, the NLM code search and the WHO ICD API with made-up content on 127.0.0.1, until Ctrl-C. The comment at the end of "
        "conf/connections.yml has the entries and rows that load from it.",
    )
    api.add_argument("--port", type=int, default=8099, help="port to listen on (default 8099)")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a day and show what the sources hold, or serve the API stub; exit code 0, or that of the error."""
    given = parser().parse_args(arguments)
    console = Console(emoji=False)
    if given.verb == "api":
        return serve_api(given.port, console)
    target = Target(given.target, given.host, given.port, given.user, os.environ.get("RCM_DEMO_PASSWORD"), given.replace)
    started = time.monotonic()
    try:
        with console.status(f"day {given.day}: two hospitals into {given.target}"):
            made = make_demo(given.home, day=given.day, size=given.size, seed=given.seed, target=target, today=given.today)
    except RcmError as error:
        Console(stderr=True, emoji=False).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    console.print(_summary(given.seed, given.size, made, given.day))
    seconds = time.monotonic() - started
    console.print(f"day {given.day} made in {seconds:.1f} s; files in {Places(given.home).landing}", highlight=False, soft_wrap=True)
    return 0


def serve_api(port: int, console: Console) -> int:
    """Serve the made-up reference services until Ctrl-C; exit code 0, or 2 when the port is taken."""
    try:
        server = ApiServer(port)
    except OSError as error:
        told = f"port {port} cannot be listened on ({error.strerror}); choose another with --port"
        Console(stderr=True, emoji=False).print(told, style="red", highlight=False)
        return 2
    with server:
        for kind in ("nppes", "nlm_icd10cm", "who_icd"):
            console.print(f"{kind}: {server.base_url(kind)}", highlight=False, soft_wrap=True)
        console.print(f"token: {server.token_url} for client {CLIENT_ID}, secret {CLIENT_SECRET} (both made up)", highlight=False, soft_wrap=True)
        with suppress(KeyboardInterrupt):
            server.wait()
    return 0


def _summary(seed: int, size: str, made: date, day: int) -> Table:
    table = Table("source", "table", title=f"What the sources hold after day {day} (malformed lines of files apart)", title_justify="left")
    for heading in ("rows", "charges $", "payments $"):
        table.add_column(heading, justify="right")
    for source, tables in truth(seed, size, made, day).items():
        for name, found in tables.items():
            money = [f"{found[key] / 100:,.2f}" if key in found else "" for key in ("charge_cents", "paid_cents")]
            table.add_row(source, name, f"{found['rows']:,}", *money)
    return table


if __name__ == "__main__":
    sys.exit(main())
