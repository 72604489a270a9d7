"""Hostile input is refused with a clear error; none reaches a database, a process or a file outside the project.

Every try stands in a project that is sound but for it. Tries that can stand side by side (rows, connections, environments, contracts,
models) are judged in one load, each by its own line; those that spoil a whole file are judged alone.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import TZPATH

import pytest
from builders import HEADER, SMALL, ProjectFolder, small_project
from hostile_kit import CONNECTIONS, CSV, LAKEHOUSE, MODEL, PATIENT
from hostile_tries import TRIES

from rcm_lakehouse.pipeline.door import main

_REACHING = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "urllib.Request")
_CHANGING = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "shutil.move", "shutil.rmtree")
_watched: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched:
        return
    if event in (*_REACHING, *_CHANGING):
        _watched[-1].append(f"{event} {arguments}")
    elif event == "open" and isinstance(arguments[0], str):
        _watched[-1].append(arguments[0])


sys.addaudithook(_note)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What this process opens, starts, connects to or changes meanwhile."""
    _watched.append([])
    try:
        yield _watched[-1]
    finally:
        _watched.pop()


def outside(events: list[str], home: Path) -> list[str]:
    """Events that leave the project; Python's own files and the zones' are no part of the question."""
    own = (str(home), sys.prefix, sys.base_prefix, *TZPATH, str(Path(__file__).resolve().parents[2] / "lib"))
    return [event for event in events if not event.startswith(own)]


def refused(folder: ProjectFolder) -> list[str]:
    """The mistakes that a load reports; it must touch nothing and say nothing that does not print."""
    files = sorted(folder.home.rglob("*"))
    with watched() as events:
        mistakes = folder.mistakes()
    assert outside(events, folder.home) == []
    assert sorted(folder.home.rglob("*")) == files
    assert all(mistake.isprintable() and len(mistake) < 700 for mistake in mistakes)
    return mistakes


Place = tuple[str, range, str]  # file, lines that the try wrote, what is said


def missed(mistakes: list[str], expected: dict[str, Place]) -> list[str]:
    """Tries, by name, that no mistake names."""
    found = []
    for name, (file, lines, says) in expected.items():
        places = tuple(f"{file}:{line}: " for line in lines)
        found += [] if any(mistake.startswith(places) and says in mistake for mistake in mistakes) else [name]
    return found


def spoiled(file: str, old: str, new: str) -> tuple[str, range]:
    """A file of the sound project after a try, and the lines from its first change on that the try wrote."""
    text = SMALL[file]
    assert old in text
    changed = text.replace(old, new, 1)
    first = text[: text.index(old)].count("\n") + 1
    return changed, range(first, first + new.count("\n") + 1)


def block_of(text: str, line: int) -> tuple[str, list[str], int]:
    """The top-level YAML block that holds a line: its key, its lines, and the number of its first line."""
    lines = text.split("\n")
    tops = [number for number, one in enumerate(lines, 1) if one[:1] not in ("", " ", "#")]
    first = max(number for number in tops if number <= line)
    end = min([number for number in tops if number > first] or [len(lines) + 1])
    return lines[first - 1].partition(":")[0], lines[first - 1 : end - 1], first


STANDING_ALONE = [
    name
    for name, (file, old, _, _) in TRIES.items()
    if name.startswith("YAML:") or old in ("registry:", "entity: patient") or (file == CSV and old.count(",") != 6) or "5,000 digits" in name
]


def of(file: str) -> dict[str, tuple[str, str, str, str]]:
    """Tries in one file that can stand side by side."""
    return {name: one for name, one in TRIES.items() if one[0] == file and name not in STANDING_ALONE}


@pytest.mark.parametrize("name", STANDING_ALONE)
def test_it_is_refused_where_it_stands(name: str, tmp_path: Path) -> None:
    file, old, new, says = TRIES[name]
    text, lines = spoiled(file, old, new)
    mistakes = refused(small_project(tmp_path).write(file, text))
    places = (*(f"{file}:{line}: " for line in lines), f"{file}: ")
    assert [mistake for mistake in mistakes if mistake.startswith(places) and says in mistake], mistakes


def work_list(folder: ProjectFolder) -> dict[str, Place]:
    """All tries of the work list as rows of one."""
    expected, lines = {}, [HEADER]
    for name, (_, _, new, says) in of(CSV).items():
        lines += new.split("\n")
        expected[name] = (CSV, range(len(lines), len(lines) + 1), says)
    folder.write(CSV, "\n".join(lines) + "\n")
    return expected


def blocks(folder: ProjectFolder, file: str) -> dict[str, Place]:
    """All tries of a YAML file of blocks as blocks of one, under names of their own."""
    expected, lines = {}, SMALL[file].split("\n")
    for number, (name, (_, old, new, says)) in enumerate(of(file).items()):
        text, changed = spoiled(file, old, new)
        key, block, first = block_of(text, changed[0])
        own = f"{key}{number}"
        offset = len(lines) + 1 - first
        expected[name] = (file, range(changed[0] + offset, changed[-1] + 1 + offset), says.replace(key, own, 1))
        lines += [block[0].replace(key, own, 1), *block[1:]]
    folder.write(file, "\n".join(lines))
    return expected


def contracts(folder: ProjectFolder) -> dict[str, Place]:
    """All tries of a contract, each as an entity of its own."""
    expected = {}
    for number, (name, (_, old, new, says)) in enumerate(of(PATIENT).items()):
        text, lines = spoiled(PATIENT, old, new)
        file = f"conf/cdm/entity{number}.yml"
        folder.write(file, text.replace("entity: patient", f"entity: entity{number}").replace("[patients]", f"[table{number}]"))
        expected[name] = (file, lines, says)
    return expected


def models(folder: ProjectFolder) -> dict[str, Place]:
    """All tries of a model, each as a model of its own."""
    expected = {}
    for number, (name, (_, old, new, says)) in enumerate(of(MODEL).items()):
        file = f"conf/gold/model{number}.sql"
        text, lines = spoiled(MODEL, old, new)
        folder.write(file, text)
        expected[name] = (file, lines, says)
    return expected


BATCHES: dict[str, Callable[[ProjectFolder], dict[str, Place]]] = {
    CSV: work_list,
    CONNECTIONS: lambda folder: blocks(folder, CONNECTIONS),
    LAKEHOUSE: lambda folder: blocks(folder, LAKEHOUSE),
    PATIENT: contracts,
    MODEL: models,
}


@pytest.mark.parametrize("file", BATCHES)
def test_every_try_in_a_file_is_refused_where_it_stands(file: str, tmp_path: Path) -> None:
    folder = small_project(tmp_path)
    expected = BATCHES[file](folder)
    assert len(expected) >= 30
    assert missed(refused(folder), expected) == []


def test_the_tries_are_many_and_each_is_judged() -> None:
    side_by_side = [name for file in BATCHES for name in of(file)]
    assert sorted([*side_by_side, *STANDING_ALONE]) == sorted(TRIES)
    assert len(TRIES) > 400


def test_hostile_rows_end_the_job_with_2_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = work_list(small_project(tmp_path))
    files = sorted(tmp_path.rglob("*"))
    with watched() as events:
        assert main(["--home", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert missed(said.err.splitlines(), expected) == []
    assert all(line.isprintable() for line in said.err.splitlines())
    assert said.out == ""
    assert outside(events, tmp_path) == []
    assert sorted(tmp_path.rglob("*")) == files
