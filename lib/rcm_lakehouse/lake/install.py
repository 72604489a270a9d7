"""`python -m rcm_lakehouse.lake.install`: what a bare `spark-submit` needs, put into the environment that runs this.

JARs beside Spark's own, the local profile of `conf/spark` in Spark's conf folder, and the hook that makes tables known by name.
Running it again changes nothing and needs no network.
"""

import argparse
import importlib.util
import shlex
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from rcm_lakehouse.config.errors import RcmError
from rcm_lakehouse.lake.jars import IVY_SETTINGS, JARS, Jar, SetupError, fetch, missing_from, put
from rcm_lakehouse.lake.java import require_java

HOME_CONF = "spark.rcm.home"
PROFILE = ("spark-defaults.conf", "log4j2.properties", "spark-env.sh")
HOOK_FILE = "rcm_lakehouse_names.pth"
# Python runs this line at every start of the environment. It must be cheap, and silent where the package is gone.
_HOOK_LINE = 'import sys; exec("try:\\n import rcm_lakehouse.lake.names_hook\\nexcept ImportError:\\n pass")\n'


def install(home: Path, console: Console) -> None:
    """Complete the environment for the project in `home`.

    Raises ConfigError without a Java 17, SetupError when Spark is not in this environment or a JAR cannot be had.
    """
    require_java()
    spark_home = _own_spark()
    _install_jars(spark_home, Path(sys.prefix) / "ivy", console)
    install_profile(home, spark_home / "conf")
    install_hook(Path(sysconfig.get_path("purelib")))


def _own_spark() -> Path:
    """The pyspark package of this environment; another environment's is not ours to change."""
    spec = importlib.util.find_spec("pyspark")
    places = [Path(place).resolve() for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if place.is_relative_to(Path(sys.prefix).resolve()) and (place / "jars").is_dir():
            return place
    found = f"pyspark lies in {places[0]}" if places else "pyspark is not installed"
    raise SetupError(f"{found}; expected in {sys.prefix}. Nothing was changed. Run `make install`, which makes .venv and puts Spark into it.")


def _install_jars(spark_home: Path, ivy: Path, console: Console) -> None:
    missing = missing_from(spark_home / "jars")
    if not missing:
        console.print(f"JARs: all {len(JARS)} are there.", highlight=False)
        return
    started = time.monotonic()
    console.print(_announcement(missing), highlight=False, soft_wrap=True)
    with console.status("downloading"):
        fetch(missing, spark_home, ivy)
    put(missing, ivy, spark_home / "jars")
    console.print(f"JARs: {len(missing)} checked and installed in {time.monotonic() - started:.0f} s.", highlight=False)


def _announcement(missing: Sequence[Jar]) -> str:
    size = f"{len(missing)} JAR{'s' * (len(missing) > 1)}, about {sum(jar.size_kb for jar in missing) / 1000:.0f} MB"
    names = ", ".join(jar.name for jar in missing)
    return f"First set-up: downloading {size}, from Maven (a mirror: {IVY_SETTINGS}):\n  {names}"


def install_profile(home: Path, conf: Path) -> None:
    """Copy the project's `conf/spark` into a Spark's conf folder and say there which project it is.

    Where that folder's path has a space, `spark-env.sh` is left out, and with it the table names in Spark's SQL shell and the UTF-8 locale. Raises
    SetupError when the project has no such files.
    """
    conf.mkdir(exist_ok=True)
    for name in PROFILE:
        source = home / "conf" / "spark" / name
        if not source.is_file():
            raise SetupError(f"{source} is missing. The JARs are installed, the profile is not. Run this in the project's folder, or give it as --home.")
        text = source.read_text(encoding="utf-8")
        if name == "spark-defaults.conf":
            text += _place(home)
        elif name == "spark-env.sh":
            if any(character.isspace() for character in str(conf)):
                # Spark does not quote the path of this file: each command would complain.
                (conf / name).unlink(missing_ok=True)
                continue
            text = f"rcm_python={shlex.quote(sys.executable)}\nrcm_home={shlex.quote(str(home.resolve()))}\n{text}"
        _write(conf / name, text)


def install_hook(site_packages: Path) -> None:
    """Have Python import `names_hook` at every start of the environment."""
    _write(site_packages / HOOK_FILE, _HOOK_LINE)


def _place(home: Path) -> str:
    """What only this machine knows; forward slashes, for in this format a backslash escapes."""
    root = home.resolve().as_posix()
    return f"\n# This project.\n{HOME_CONF} {root}\nspark.sql.warehouse.dir {root}/lakehouse/_warehouse\n"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for another process may be starting with it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Install, or say what is missing; exit code 0, or that of the error."""
    options = argparse.ArgumentParser(prog="python -m rcm_lakehouse.lake.install", description=(__doc__ or "").partition(": ")[2])
    options.add_argument("--home", type=Path, default=Path.cwd(), help="project folder (default: here)")
    given = options.parse_args(arguments)
    try:
        install(given.home.resolve(), Console(emoji=False))
    except RcmError as error:
        Console(stderr=True, emoji=False).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
