"""The kinds of HTTP source by name: what each may be asked for, what a row of it has, and who fetches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rcm_lakehouse.config.connections import ApiTableOptions
from rcm_lakehouse.config.errors import raised_at
from rcm_lakehouse.sources import api_icd10cm, api_nppes, api_who
from rcm_lakehouse.sources.api_cache import Query, Spool
from rcm_lakehouse.sources.api_http import HttpClient

GOOD_UNTIL = "good_until"


class ApiSource(Protocol):
    """Something that fetches records for queries; `notes` are for the audit."""

    notes: list[str]

    def fetch(self, queries: Sequence[Query], spool: Spool) -> None:
        """Spool every record of every query, or raise: a spool that was left by an error is worth nothing."""


@dataclass(frozen=True)
class Kind:
    """Columns of a kind's records (all text) and the one that identifies a record within a fetch."""

    columns: tuple[str, ...]
    key: str


KINDS: Mapping[str, Kind] = {
    "nppes": Kind(api_nppes.COLUMNS, api_nppes.KEY),
    "nlm_icd10cm": Kind(api_icd10cm.COLUMNS, api_icd10cm.KEY),
    "who_icd": Kind(api_who.COLUMNS, api_who.KEY),
}


def open_source(client: HttpClient, options: ApiTableOptions, home: Path) -> ApiSource:
    """The source of a client's connection."""
    kind = client.connection.kind
    if kind == "nppes":
        return api_nppes.Nppes(client, options)
    return api_icd10cm.Icd10Cm(client, options) if kind == "nlm_icd10cm" else api_who.WhoIcd(client, options, home)


def fetch_whole(client: HttpClient, source: ApiSource, queries: Sequence[Query], spool: Spool) -> None:
    """Let a source spool every record of every query, or raise.

    An answer with a value that none of the source's checks foresaw raises SourceDataError too: an answer that cannot be read is refused
    as such, so that the last good version is marked stale.
    """
    try:
        source.fetch(queries, spool)
    except (ValueError, OverflowError, RecursionError) as error:
        found = f"an answer has a value that cannot be read ({type(error).__name__}{raised_at(error)})"
        raise client.refused(found, "Ask the service's notices whether its answers have changed.") from None
