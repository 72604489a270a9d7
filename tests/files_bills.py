"""A small entity that hospitals deliver as files, and its contract: made-up bills, one row a bill and hospital."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from harness import Mini

HEADER = "BillID,PatientNo,ServiceDate,Amount,Note,ModifiedDate"
BILL: dict[str, Any] = {
    "description": "A bill of a hospital, from files.",
    "grain": "one bill of one hospital",
    "key": ["source_bill_id"],
    "sequence_by": ["source_modified_at"],
    "columns": [
        {"name": "source_bill_id", "type": "string"},
        {"name": "patient_number", "type": "string"},
        {"name": "service_date", "type": "date"},
        {"name": "billed_amount", "type": "decimal(18,2)"},
        {"name": "note", "type": "string"},
        {"name": "source_modified_at", "type": "timestamp", "tracked": False},
    ],
    "sources": [
        {
            "name": "file",
            "tables": ["bills"],
            "columns": {
                "source_bill_id": "BillID",
                "patient_number": "PatientNo",
                "service_date": "ServiceDate",
                "billed_amount": "Amount",
                "note": "Note",
                "source_modified_at": "ModifiedDate",
            },
        }
    ],
    "rules": [{"name": "amount_present", "check": "billed_amount IS NOT NULL", "columns": ["billed_amount"]}],
}


def bill(number: int | str, *, patient: str = "P1", day: str = "2026-01-05", amount: str = "10.00", note: str = "", modified: str = "2026-01-06") -> str:
    """A line of a bills file."""
    return f"B{number},{patient},{day},{amount},{note},{modified}"


def bills(*lines: str, header: str = HEADER, end: str = "\n") -> str:
    """A bills file, whole to its last line end."""
    return "".join(line + end for line in (header, *lines))


def bills_project(spark: SparkSession, home: Path, hospitals: Mapping[str, Mapping[str, Any]], *, connection: str = "landing") -> Mini:
    """A project with one load of bills a hospital (`a` is hos-a), each with its options; its files are `<hospital>/*` of the landing folder."""
    (home / "landing").mkdir(parents=True)
    mini = Mini(spark, home, [load_of(letter, connection) for letter in hospitals], own_contracts={"bill": BILL})
    tables = {f"hos-{letter}.bills": {"pattern": f"{letter}/*", **options} for letter, options in hospitals.items()}
    mini.connections = {connection: {"type": "files", "path": "landing", "archive": "archive", "time_zone": "UTC", "tables": tables}}
    mini.write()
    return mini


def load_of(letter: str, connection: str = "landing") -> str:
    """The row of load_config.csv for a hospital's bills."""
    return f"{connection},hos-{letter},bills,Incremental,,1,hos{letter}"


def landing_of(mini: Mini) -> list[str]:
    """Files that are in the landing folder."""
    base = mini.home / "landing"
    return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())


def archive_of(mini: Mini, letter: str) -> list[str]:
    """Names of a hospital's archived files without their hashes."""
    base = mini.home / "archive" / f"hos-{letter}.bills"
    return sorted(path.name.partition("-")[2] for path in base.rglob("[!.]*") if path.is_file())


def silver_ids(mini: Mini, letter: str, *columns: str) -> list[Any]:
    """Current bills of a hospital: their numbers, or tuples with further columns."""
    rows = mini.rows("silver.bill", "source_bill_id", *columns, where=f"data_source = 'hos-{letter}' AND is_current")
    return rows if columns else [row[0] for row in rows]


def says(warnings: Iterable[str], *parts: str) -> bool:
    """True when one warning has all parts."""
    return any(all(part in text for part in parts) for text in warnings)
