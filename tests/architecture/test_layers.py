"""What import contracts cannot see: who makes a session, and what would not run on a shared cluster."""

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "lib" / "rcm_lakehouse"
PURE = ("bronze", "quality", "silver", "gold")
# A module is one thought, a function one step, a job a door.
LONGEST = {"lib": 300, "jobs": 80}
LONGEST_FUNCTION = 40


def parsed(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below these folders of the package, all of it without one, and its tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not folders or name.split("/")[0] in folders:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def attributes(tree: ast.Module) -> set[str]:
    """Every `.name` that is read or called, strings not counted."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def own_attributes(tree: ast.Module) -> set[str]:
    """As `attributes`, without Spark's functions (`F.first` is no action)."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "F")}


def length(function: ast.FunctionDef) -> int:
    """Lines of a function without its docstring."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    return whole - ((first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0)


def names(tree: ast.Module) -> set[str]:
    """Every plain name that is used."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_only_the_session_module_makes_a_session() -> None:
    makers = {name for name, tree in parsed() if attributes(tree) & {"builder", "getOrCreate"} and "SparkSession" in names(tree)}
    assert makers == {"lake/session.py"}


def test_nothing_reaches_past_what_a_shared_cluster_allows() -> None:
    forbidden = {"_jvm", "_jsc", "_jsparkSession", "rdd", "parallelize", "udf", "pandas_udf", "mapInPandas", "applyInPandas"}
    found = {name: sorted(attributes(tree) & forbidden) for name, tree in parsed()}
    # Names that PySpark itself asks the JVM for, remembered where there is one.
    assert {name: used for name, used in found.items() if used and name != "lake/jvm_names.py"} == {}


def test_pure_layers_open_no_file_and_start_no_action() -> None:
    actions = {"collect", "toPandas", "write", "writeTo", "show", "first", "head", "take", "isEmpty", "foreach", "read_text", "read_bytes", "write_text"}
    found = {name: sorted(own_attributes(tree) & actions) for name, tree in parsed(*PURE)}
    assert {name: used for name, used in found.items() if used} == {}
    assert [name for name, tree in parsed(*PURE) if "open" in names(tree)] == []


def test_modules_and_functions_stay_short() -> None:
    modules = {
        path.relative_to(PROJECT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in LONGEST
        for path in (PROJECT / folder).rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) >= LONGEST[folder]
    }
    functions = {
        f"{name}:{node.name}": length(node)
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and length(node) > LONGEST_FUNCTION
    }
    assert (modules, functions) == ({}, {})


def test_public_names_are_documented() -> None:
    missing = [
        f"{name}:{node.name}"
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
        if node in tree.body
    ]
    assert missing == []
