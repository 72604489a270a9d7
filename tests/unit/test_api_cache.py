"""What was asked before: names of queries, ages of answers, and the spool of one fetch."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rcm_lakehouse.sources.api_cache import Spool, asked_text, due, plan_hash

NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def test_a_query_is_named_by_its_parameters_in_any_order() -> None:
    assert asked_text({"state": "NC", "postal_code": "288*"}) == asked_text({"postal_code": "288*", "state": "NC"}) == "postal_code=288*&state=NC"
    assert asked_text({}) == "all"
    assert asked_text({"last_name": "O&B=*"}) == "last_name=O%26B%3D*"


def test_a_plan_is_named_by_its_set_of_queries() -> None:
    one, two = {"terms": "E11"}, {"terms": "E10"}
    assert plan_hash([one, two]) == plan_hash([two, one, one])
    assert plan_hash([one]) != plan_hash([one, two])


def test_only_what_is_unknown_or_old_enough_is_due() -> None:
    queries = [{"number": name} for name in ("new", "young", "edge", "old", "new")]
    answered = {"number=young": NOW - 29 * DAY, "number=edge": NOW - 30 * DAY, "number=old": NOW - 99 * DAY}
    assert [query["number"] for query in due(queries, answered, NOW, 30 * DAY)] == ["new", "edge", "old"]
    assert [query["number"] for query in due(queries, answered, NOW, 0 * DAY)] == ["new", "young", "edge", "old"]


def test_a_spool_keeps_each_key_once_and_every_record_without_key(tmp_path: Path) -> None:
    with Spool(tmp_path / "deep" / "spool.jsonl", "number") as spool:
        for number in ("1", "2", "1", None, None):
            spool.asked = f"number={number}"
            spool.add({"number": number, "name": None})
    lines = [json.loads(line) for line in spool.path.read_text().splitlines()]
    assert [(line.get("number"), line["_source_file"], line["_source_row"]) for line in lines] == [
        ("1", "number=1", 1),
        ("2", "number=2", 2),
        (None, "number=None", 3),
        (None, "number=None", 4),
    ]
    assert (spool.rows, spool.repeated) == (4, 1)
