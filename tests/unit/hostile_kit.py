"""How a hostile try is written: a file of a sound project, what stands there, and what someone writes instead."""

import json

from builders import HEADER

CSV, LAKEHOUSE, CONNECTIONS, PATIENT, MODEL = (
    "load_config.csv",
    "conf/lakehouse.yml",
    "conf/connections.yml",
    "conf/cdm/patient.yml",
    "conf/gold/billing.sql",
)
Try = tuple[str, str, str, str]  # file, what stands there, what is written instead, what the refusal says


def cells(column: str, says: str, *values: str) -> dict[str, Try]:
    """Tries of one column of the work list's second line."""
    sound = dict(zip(HEADER.split(","), "emr,hos-a,dbo.patients,Incremental,ModifiedDate,1,hosa".split(","), strict=True))
    row = ",".join(sound.values())
    return {f"{column} {value[:40]!r}": (CSV, row, ",".join({**sound, column: value}.values()), f"{column} {says}") for value in values}


def quoted(value: str) -> str:
    """A text in double quotes as YAML reads it, whatever it holds."""
    return json.dumps(value)


def yaml(file: str, old: str, new: str, says: str, *values: str) -> dict[str, Try]:
    """Tries of one value, which stands in quotes at `{}` of `new`."""
    name = new.split("{}")[0].strip(" '\"\n").rpartition("\n")[2]
    return {f"{name} {value[:40]!r}": (file, old, new.replace("{}", quoted(value)), says) for value in values}
