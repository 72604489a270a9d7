"""Folders that configuration names: which of them nothing may be read from, moved to or written into."""

from pathlib import Path

# Moving or writing files here would change the program, its configuration or the system.
OWN_FOLDERS = ("conf", "lib", "jobs", "notebooks", "tests", "docs", ".git", ".venv", ".ci")
_SYSTEM = ("/etc", "/proc", "/sys", "/dev", "/boot", "/run")
_SCRATCH = ("/dev/shm",)
LAYER_FOLDERS = ("bronze", "silver", "quarantine", "gold", "audit")


def wrong_folder(home: Path, text: str) -> str | None:
    """What is wrong with a local folder's name, in words; None when nothing is. Links are followed before it is judged."""
    if not text.strip() or text != text.strip() or not text.isprintable():
        return "is blank or has marks that do not print."
    if "://" in text or "\\" in text or text.startswith("~"):
        return "is a folder of this machine, written with /; no scheme, no ~."
    if ".." in text.split("/"):
        return "may not climb out with '..'."
    place, base = (home / text).resolve(), home.resolve()
    if base.is_relative_to(place):
        return "would take in the project's own folder; name one below it or elsewhere."
    if any(place.is_relative_to(base / name) for name in OWN_FOLDERS):
        return f"lies in a folder of the project itself ({', '.join(OWN_FOLDERS)})."
    if _is_below(place, _SYSTEM) and not _is_below(place, _SCRATCH):
        return "lies in a folder of the operating system."
    return None


def _is_below(place: Path, folders: tuple[str, ...]) -> bool:
    return any(place.is_relative_to(Path(name).resolve()) for name in folders)


def holds_tables(home: Path, root: str, text: str) -> bool:
    """True when a folder is the lakehouse's root, holds it, or lies in the folder of one of its layers."""
    if "://" in root:
        return False
    place, base = (home / text).resolve(), (home / root).resolve()
    return base.is_relative_to(place) or any(place.is_relative_to(base / name) for name in LAYER_FOLDERS)
