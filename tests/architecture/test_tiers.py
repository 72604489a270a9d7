"""What `make test` leaves out: further cases alone. Each fault and scenario that a left-out test names is proven by a test that stays."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# Faults that are brought about in minutes, or by a server's administrator: docs/faults.md marks their tests *(soak)*.
SOAK_ALONE = {"F04", "F05", "F12", "F15", "F16", "F34", "F42"}


def marks(node: ast.AST) -> set[str]:
    """The names of `pytest.mark.<name>` anywhere in an expression."""
    return {found.attr for found in ast.walk(node) if isinstance(found, ast.Attribute) and ast.unparse(found.value) == "pytest.mark"}


def written() -> Iterator[tuple[str, set[str]]]:
    """Every test by its name, with the marks of its own and of its module."""
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        of_module: set[str] = set()
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                of_module = marks(node.value)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node.name, of_module.union(*map(marks, node.decorator_list))


def ids(name: str) -> set[str]:
    """The ids of scenarios and faults in a test's name: `test_I17_I08_text` names I17 and I08."""
    return set(re.findall(r"(?<=_)[A-Z]\d\d(?=_)", name))


def test_every_scenario_of_a_left_out_test_is_proven_by_one_that_stays() -> None:
    tests = list(written())
    left_out = {"deep", "slow"}
    assert {mark for _, own in tests for mark in own} >= left_out, "the marks are found at all"
    kept = set().union(*(ids(name) for name, own in tests if not own & left_out))
    alone = set().union(*(ids(name) for name, own in tests if own & left_out)) - kept
    assert alone == SOAK_ALONE


def test_the_page_of_faults_says_which_tests_other_targets_run() -> None:
    page = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    slow = {name for name, own in written() if "slow" in own}
    deep = {name for name, own in written() if "deep" in own} - slow
    assert set(re.findall(r"`(test_\w+)` \(soak\)", page)) == named & slow
    assert set(re.findall(r"`(test_\w+)` \(deep\)", page)) == named & deep
