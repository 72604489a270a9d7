"""`conf/gold/<model>.sql`: one gold table a file: a YAML header in a leading comment, then one SELECT."""

from pydantic import Field

from rcm_lakehouse.config.settings import Frozen


def line_of(sql: str, first_line: int, words: str) -> int:
    """The line of a model's file where `words` first stand in the SELECT, any case; that of its beginning when they are spelled otherwise."""
    return first_line + sql.count("\n", 0, max(sql.lower().find(words.lower()), 0))


class GoldModel(Frozen):
    """A gold table as its file states it."""

    name: str
    file: str
    grain: str
    description: str
    key: tuple[str, ...] = Field((), description="columns that are unique in the result")
    measures: dict[str, str] = Field({}, description="measure -> meaning and unit")
    ties_out: dict[str, str] = Field({}, description="gold column -> silver.<entity>.<column> whose current total it must equal; `rows` -> silver.<entity>")
    sql: str = Field(description="one SELECT; parameters :as_of, :revenue_window_days, :fiscal_year_start_month, :ageing_basis")
    first_line: int = Field(1, description="the line of the file in which `sql` begins; the first is 1")
