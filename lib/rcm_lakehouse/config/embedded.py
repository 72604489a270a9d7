"""Embedded H2 databases: how every process opens one."""

from pathlib import Path


def h2_url(database: Path) -> str:
    """The JDBC URL of a database file without its suffix, which several processes of this machine may open at a time.

    Closing it rewrites nothing: H2's compaction at closing lost whole tables (h2database/h2database#4247).
    """
    return f"jdbc:h2:file:{database.resolve()};AUTO_SERVER=TRUE;DATABASE_TO_UPPER=FALSE;CASE_INSENSITIVE_IDENTIFIERS=TRUE;MAX_COMPACT_TIME=0"
