"""What was asked before and how old the answer is, and the local spool in which a fetch gathers before one commit.

The bronze table is the cache: each of its rows carries what was asked (`_source_file`) and when (`_window_high`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode

Query = Mapping[str, str]
Record = Mapping[str, str | None]
# Readings of a query whose rows come or go meanwhile, before it is refused.
TRIES = 3


def asked_text(query: Query) -> str:
    """A start query as text that names it in bronze, parameters in name order: `postal_code=288*&state=NC`; `all` without any."""
    return urlencode(sorted(query.items()), safe="*'") or "all"


def plan_hash(queries: Iterable[Query]) -> str:
    """SHA-256 that names a whole set of start queries, whatever their order: a snapshot of other queries is another snapshot."""
    return hashlib.sha256("\n".join(sorted({asked_text(query) for query in queries})).encode()).hexdigest()


def due(queries: Sequence[Query], answered: Mapping[str, datetime], now: datetime, max_age: timedelta) -> list[Query]:
    """Queries without an answer, or with one as old as `max_age` or older, each once and in order. `answered`: by `asked_text`, UTC."""
    wanted = {asked_text(query): query for query in queries}
    return [query for text, query in wanted.items() if text not in answered or now - answered[text] >= max_age]


class Spool:
    """A JSON-lines file of records, each key once; what is repeated (pages that overlap, queries that meet) is counted.

    The first record of a key stays: a later one is the same record, seen again within one fetch.
    """

    def __init__(self, path: Path, key: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.asked = "all"
        self.rows = 0
        self.repeated = 0
        self._key = key
        self._seen: set[str | None] = set()
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, record: Record) -> None:
        """Keep a record under the query that is being asked, unless its key was kept before; one without a key is always kept."""
        key = record.get(self._key)
        if key is not None and key in self._seen:
            self.repeated += 1
            return
        self._seen.add(key)
        self.rows += 1
        values = {name: value for name, value in record.items() if value is not None}
        line = {**values, "_source_file": self.asked, "_source_row": self.rows}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
