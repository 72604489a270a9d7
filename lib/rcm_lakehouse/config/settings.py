"""`conf/lakehouse.yml`: where tables live and how a run behaves; one block per environment."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_THREADS = 64


@dataclass(frozen=True)
class InWords:
    """What a key expects, for messages, where its type and bounds do not say it."""

    text: str


class Frozen(BaseModel):
    """Base of every configuration noun: immutable; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _yes_is_no_number(cls, values: Any) -> Any:
        # `max_bad_share: yes` would be read as 1, which never stops anything. As text it is refused where a number belongs.
        if not isinstance(values, dict):
            return values
        numbers = {name for name, field in cls.model_fields.items() if {int, float} & {field.annotation, *get_args(field.annotation)}}
        return {key: str(value) if isinstance(value, bool) and key in numbers else value for key, value in values.items()}


class LayerSchemas(Frozen):
    """The schema (database) name of each layer."""

    bronze: str = "bronze"
    silver: str = "silver"
    quarantine: str = "quarantine"
    gold: str = "gold"
    audit: str = "audit"


class QualitySettings(Frozen):
    """When a batch is too bad to go on."""

    max_bad_share: float = Field(0.2, ge=0, le=1, description="quarantined / judged rows of one entity's batch; above it the entity stops")
    min_batch_rows: int = Field(200, ge=0, le=1_000_000_000, description="batches with fewer judged rows are never stopped by share")
    max_delete_share: float = Field(0.2, ge=0, le=1, description="absent / known current keys of one snapshot; above it deletes are held")


class RetrySettings(Frozen):
    """How often a whole load is tried again after a transient or conflict error."""

    attempts: int = Field(5, ge=1, le=20, description="tries in all")
    first_wait_seconds: float = Field(0.5, ge=0, le=3600, description="base of the random exponential wait between tries")
    max_wait_seconds: float = Field(30.0, ge=0, le=3600, description="longest wait between tries")


class GoldSettings(Frozen):
    """Parameters of the KPI definitions."""

    ageing_basis: Literal["service", "visit"] = Field("service", description="date that ages A/R")
    revenue_window_days: int = Field(90, ge=1, le=3660, description="trailing calendar days, as-of day included, that average daily charges use")
    fiscal_year_start_month: int = Field(1, ge=1, le=12, description="month in which the fiscal year begins; it is named for the year it ends in")


class LakehouseSettings(Frozen):
    """One environment of `conf/lakehouse.yml`."""

    environment: str
    root: str = Field("lakehouse", description="folder or URI under which everything is written; relative to the project")
    catalog: str | None = Field(None, description="Unity Catalog name; NULL locally")
    schemas: LayerSchemas = LayerSchemas()
    threads: int = Field(2, ge=1, le=MOST_THREADS, description="steps that run at a time")
    compile_plans: bool = Field(False, description="local runs: Spark compiles each query; it pays from some 50,000 rows a table")
    quality: QualitySettings = QualitySettings()
    retry: RetrySettings = RetrySettings()
    gold: GoldSettings = GoldSettings()
