"""Tables of a SELECT under the names of other schemas, everything else left where it is."""

import pytest

from rcm_lakehouse.config.settings import LakehouseSettings
from rcm_lakehouse.lake.table import in_own_schemas

SETTINGS = LakehouseSettings(environment="local", schemas={"silver": "rcm_silver"})
RENAMED = {  # case: (SELECT, the same in a schema of its own)
    "a table": ("SELECT a\nFROM silver.patient", "SELECT a\nFROM `rcm_silver`.`patient` AS `patient`"),
    "one with an alias": ("SELECT p.a FROM Silver.Patient p", "SELECT p.a FROM `rcm_silver`.`patient` p"),
    "columns by the whole name": ("SELECT silver.patient.a FROM silver.patient", "SELECT `patient`.a FROM `rcm_silver`.`patient` AS `patient`"),
    "within a WITH": ("WITH s AS (SELECT 1 FROM silver.a) SELECT * FROM s", "WITH s AS (SELECT 1 FROM `rcm_silver`.`a` AS `a`) SELECT * FROM s"),
    "layers called by their own names": ("SELECT * FROM gold.fact", "SELECT * FROM `gold`.`fact` AS `fact`"),
    "text that looks like a table": ("SELECT 'silver.patient' AS t -- silver.patient\nFROM b", "SELECT 'silver.patient' AS t -- silver.patient\nFROM b"),
}


@pytest.mark.parametrize("case", RENAMED)
def test_tables_are_read_where_the_settings_keep_them(case: str) -> None:
    select, expected = RENAMED[case]
    assert in_own_schemas(SETTINGS, select) == expected


def test_a_catalog_stands_in_front_and_the_layers_own_names_change_nothing() -> None:
    of_a_catalog = LakehouseSettings(environment="databricks", catalog="main")
    assert in_own_schemas(of_a_catalog, "SELECT 1 FROM silver.a x") == "SELECT 1 FROM `main`.`silver`.`a` x"
    plain = "SELECT 1 FROM silver . a"
    assert in_own_schemas(LakehouseSettings(environment="local"), plain) == plain
