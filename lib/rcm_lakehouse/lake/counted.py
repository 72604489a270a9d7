"""Rows that are counted in the same pass that stages them."""

from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation


class Counted:
    """Rows with an observer: once a query over `rows` was written, `counts` tells what passed.

    Adaptive execution (the default of a cluster) puts nothing in the place of a part whose stage came out empty, or whose join met nothing,
    and the observer in that part is then never told: no rows may have passed, or many that were lost behind it.
    """

    def __init__(self, rows: DataFrame, *expressions: Column) -> None:
        self._uncounted = rows
        self._expressions = expressions
        self._observation = Observation()
        self.rows = rows.observe(self._observation, *expressions)

    def counts(self, staged: DataFrame | None = None) -> Mapping[str, Any]:
        """The values by the expressions' names, after `rows` was written; where the observer was not told, a query of their own.

        It asks `staged`, the very rows as they were written, or else computes the rows again.
        """
        try:
            # Spark 4.2 refuses to show values that are not there; others show none, or say that nothing was observed.
            found = self._observation.get
        except (Py4JJavaError, PySparkException):
            found = {}
        return found or self._again(self._uncounted if staged is None else staged)

    def _again(self, rows: DataFrame) -> Mapping[str, Any]:
        (row,) = rows.agg(*self._expressions).collect()
        return row.asDict()
