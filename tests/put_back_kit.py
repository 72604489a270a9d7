"""What tests of tables that are put back share."""

from files_bills import BILL
from harness import Mini
from rcm_lakehouse.lake.names import register_all

VOIDABLE = {
    **BILL,
    "sources": [{**BILL["sources"][0], "delete_when": "Note = 'void'"}],
    "rules": [{"name": "amount_small", "check": "billed_amount < 50", "columns": ["billed_amount"]}],
}


def waiting(mini: Mini) -> list[tuple[str, str]]:
    """Each quarantined bill with its status."""
    register_all(mini.spark, mini.lake.settings, mini.home)
    rows = mini.spark.table("quarantine.bill_rows").selectExpr("get_json_object(raw_row, '$.BillID') AS id", "status").collect()
    return sorted((row["id"], row["status"]) for row in rows)
