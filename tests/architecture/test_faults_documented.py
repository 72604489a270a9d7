"""docs/faults.md: every fault has its row, and every test that a row names exists; test_tiers.py looks at what runs it."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
TESTS = [path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py")]
PAGE = (PROJECT / "docs" / "faults.md").read_text(encoding="utf-8")


def test_every_fault_has_one_row_with_something_in_every_column() -> None:
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if re.match(r"\| F\d\d ", line)]
    assert [row[0].strip() for row in rows] == [f"F{number:02d}" for number in range(1, 43)]
    assert [row[0].strip() for row in rows if not all(cell.strip() for cell in row)] == []


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    written = {name for text in TESTS for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}
    assert named - written == set()
