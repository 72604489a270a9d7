"""What a session costs before it does anything."""

import pytest
from py4j.clientserver import ClientServerConnection
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from rcm_lakehouse.lake.jvm_names import remember_names

RELEASED = "m"


def test_a_value_made_a_column_is_one_call_into_the_jvm(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_names(spark)
    F.lit(1)
    real, sent = ClientServerConnection.send_command, []

    def counted(connection: ClientServerConnection, command: str) -> str:
        sent.append(command[:1])
        return real(connection, command)

    monkeypatch.setattr(ClientServerConnection, "send_command", counted)
    seven = F.lit(7)
    monkeypatch.undo()
    assert [kind for kind in sent if kind != RELEASED] == ["c"]
    assert spark.range(1).select(seven).first() == (7,)
