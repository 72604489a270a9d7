"""What `make test` and CI leave out.

`make test` proves each scenario of loads (I, D, X, A08 to A11), CI (`make test` and `make wide`) each scenario and fault that any test names.
"""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
WATCHED = {"A08", "A09", "A10", "A11"}
LATER = {"wide", "deep", "slow"}
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


def scenarios(tests: Iterable[tuple[str, set[str]]]) -> set[str]:
    """All ids that the names of these tests tell."""
    return set().union(*(ids(name) for name, _ in tests))


def test_every_scenario_of_a_left_out_test_is_proven_by_one_that_stays() -> None:
    tests = list(written())
    assert {mark for _, own in tests for mark in own} >= LATER, "the marks are found at all"
    first = scenarios(test for test in tests if not test[1] & LATER)
    by_ci = scenarios(test for test in tests if not test[1] & {"deep", "slow"})
    every = scenarios(tests)
    assert every - by_ci == SOAK_ALONE
    assert {told for told in every - first if told[0] in "IDX" or told in WATCHED} == set()


def test_the_page_of_faults_says_which_tests_other_targets_run() -> None:
    page = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    marked = {mark: {name for name, own in written() if mark in own} for mark in LATER}
    marked["deep"] -= marked["slow"]
    marked["wide"] -= marked["slow"] | marked["deep"]
    for mark, word in (("slow", "soak"), ("deep", "deep"), ("wide", "wide")):
        assert set(re.findall(rf"`(test_\w+)` \({word}\)", page)) == named & marked[mark]


def test_every_target_that_runs_marked_tests_finds_some() -> None:
    lines = (TESTS.parent / "Makefile").read_text(encoding="utf-8").splitlines()
    asked = [words.removesuffix("$(ARGS)") for _, runs, words in (line.partition("-m pytest ") for line in lines) if runs and "-m " in words]
    assert len(asked) == 4, "wide, deep and both lines of soak"
    for words in asked:
        chosen = shlex.split(words.replace("-n $(WORKERS) --dist loadfile --no-loadscope-reorder", ""))
        ended = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", *chosen], cwd=TESTS.parent, capture_output=True, text=True)
        assert ended.returncode == 0, f"{words}: {ended.stdout[-500:]}"
