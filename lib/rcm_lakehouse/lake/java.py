"""Is there a Java that Spark can run on? Asked before Spark starts, for Spark's own answer is a stack trace.

Only the standard library and the error classes are imported, so that `make install` can ask before anything is installed.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rcm_lakehouse.config.errors import ConfigError

OLDEST = 17
_PATIENCE_SECONDS = 60
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_INSTALL = {
    "debian": ("Debian, Ubuntu", "sudo apt-get install openjdk-17-jre-headless"),
    "fedora": ("Fedora, RHEL", "sudo dnf install java-21-openjdk-headless"),
    "macos": ("macOS", "brew install openjdk@17 && export JAVA_HOME=\"$(brew --prefix openjdk@17)\""),
    "windows": ("Windows", "winget install EclipseAdoptium.Temurin.17.JRE"),
}


@dataclass(frozen=True)
class Java:
    """A Java that was found: its program and its feature release (8, 17, 21)."""

    program: Path
    release: int


def require_java() -> Java:
    """The Java that Spark will use: that of JAVA_HOME, else the first on PATH.

    Raises ConfigError, with the install command of each system, when it is missing, does not answer or is older than 17;
    nothing was started.
    """
    program = _program()
    release = _release(program)
    if release < OLDEST:
        raise ConfigError(f"Java: {program} is release {release}; Spark needs {OLDEST} or newer. Nothing was started.\n{install_hint()}")
    return Java(program, release)


def install_hint() -> str:
    """The install command of each system, this one's first."""
    here = _system()
    order = sorted(_INSTALL, key=lambda system: system != here)
    width = max(len(label) for label, _ in _INSTALL.values())
    lines = [f"  {label:<{width}}  {command}" for label, command in (_INSTALL[system] for system in order)]
    return "\n".join([f"Install Java {OLDEST} or newer, then try again:", *lines])


def _program() -> Path:
    name = "java.exe" if os.name == "nt" else "java"
    home = os.environ.get("JAVA_HOME")
    if home:
        program = Path(home) / "bin" / name
        if not program.is_file():
            raise ConfigError(
                f"Java: JAVA_HOME is {home}, but there is no bin/{name} in it, and Spark looks nowhere else. Nothing was started. "
                f"Point JAVA_HOME to a Java {OLDEST} or newer, or unset it so that the java on PATH is used.\n{install_hint()}"
            )
        return program
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"Java: no java was found on PATH, and JAVA_HOME is not set. Nothing was started.\n{install_hint()}")
    return Path(found)


def _release(program: Path) -> int:
    try:
        # The version is printed to stderr; macOS ships a stub that only says that there is no Java.
        answer = subprocess.run([str(program), "-version"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"Java: {program} could not be run ({type(error).__name__}). Nothing was started.\n{install_hint()}") from error
    found = _VERSION.search(answer.stderr + answer.stdout)
    if answer.returncode != 0 or found is None:
        raise ConfigError(f"Java: {program} did not tell its version (exit {answer.returncode}). Nothing was started.\n{install_hint()}")
    return int(found.group(1))


def _system() -> str:
    if sys.platform == "darwin":
        return "macos"
    if os.name == "nt":
        return "windows"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian"
    family = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}"
    return "fedora" if re.search(r"fedora|rhel|centos", family) else "debian"


def main() -> int:
    """Say nothing when Java is good; else the reason on stderr and exit code 2."""
    try:
        require_java()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
