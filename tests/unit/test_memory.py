"""What a table remembers survives Spark's habit of hiding what looks like a secret. No Spark."""

import re
from types import SimpleNamespace
from typing import Any

from rcm_lakehouse.lake.memory import CONTRACT_PARTS, WATERMARK, as_memory, recall
from rcm_lakehouse.lake.session import LOCAL_CONF
from rcm_lakehouse.lake.table import layer_table


def recalled(**properties: str) -> dict[str, str]:
    lake: Any = SimpleNamespace(properties=lambda table: {name.replace("__", "."): value for name, value in properties.items()})
    return dict(recall(lake, layer_table("silver", "visit")))


def test_a_name_that_looks_like_a_secret_is_remembered() -> None:
    text = '{"rules":{"url_known":"1","token_query":"2"},"mappings":{"SAS export":"3"}}'
    kept = as_memory(text)
    patterns = [LOCAL_CONF["spark.sql.redaction.options.regex"], LOCAL_CONF["spark.redaction.regex"], "(?i)secret|password|token|access[.]?key|user"]
    assert [re.search(pattern, kept) for pattern in patterns] == [None] * 3
    assert all(re.search(pattern, text) for pattern in patterns[:2]), "as it is it would not be shown"
    assert recalled(**{CONTRACT_PARTS.replace(".", "__"): kept}) == {CONTRACT_PARTS: text}


def test_what_an_earlier_release_wrote_is_read_and_what_spark_hides_is_not_remembered() -> None:
    assert recalled(rcm__watermarkColumn="modifieddate", delta__appendOnly="true") == {WATERMARK: "modifieddate", "delta.appendOnly": "true"}
    assert recalled(rcm__watermarkColumn="*********(redacted)") == {}
