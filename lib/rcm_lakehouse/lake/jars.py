"""Delta and the JDBC drivers as JARs beside Spark's own, so that a bare `spark-submit` finds them without a network.

They are resolved from Maven once, through the Ivy that Spark brings, so that a company's mirror works (`RCM_IVY_SETTINGS`).
"""

import hashlib
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rcm_lakehouse.config.errors import RcmError

IVY_SETTINGS = "RCM_IVY_SETTINGS"
_PATIENCE_SECONDS = 1_800


class SetupError(RcmError):
    """The environment is not complete; nothing half-done was left in it. Do what the message says and run `make install` again."""

    kind = "config"
    exit_code = 2


@dataclass(frozen=True)
class Jar:
    """A JAR of a fixed version: its place in Maven, the hash of its bytes and the names that other versions of it have."""

    group: str
    artifact: str
    version: str
    sha256: str
    size_kb: int
    other_versions: str

    @property
    def name(self) -> str:
        """The file's name: `h2-2.4.240.jar`."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """The place in Maven: `com.h2database:h2:2.4.240`."""
        return f"{self.group}:{self.artifact}:{self.version}"


JARS = (
    Jar("io.delta", "delta-spark_4.2_2.13", "4.4.0", "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead", 9_516, "delta-spark_*.jar"),
    Jar("io.delta", "delta-storage", "4.4.0", "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc", 114, "delta-storage-*.jar"),
    Jar("com.h2database", "h2", "2.4.240", "29b70e427cc1c40cdc376283adbb0cc62853073797bb5fe5761f81fe73d57ce0", 2_622, "h2-*.jar"),
    Jar("org.mariadb.jdbc", "mariadb-java-client", "3.5.3", "85c4ba2f221d0dfd439c26affbb294f784960763544263c65aba9c2c76858706", 746, "mariadb-java-*.jar"),
    Jar("org.postgresql", "postgresql", "42.7.7", "157963d60ae66d607e09466e8c0cdf8087e9cb20d0159899ffca96bca2528460", 1_099, "postgresql-*.jar"),
    Jar("com.microsoft.sqlserver", "mssql-jdbc", "12.10.1.jre11", "d0b614f17f3dece1e813ae534d3037f6e5a65868832b6d23fba07249b14a21d2", 1_499, "mssql-*.jar"),
)
# What these JARs name as dependencies is either in Spark already (another version of it beside would break Spark) or not used here.
_EXCLUDED = (
    "com.fasterxml.jackson.core:*",
    "com.fasterxml.jackson.datatype:*",
    "com.google.code.findbugs:*",
    "io.delta:delta-kernel-api",
    "io.delta:delta-kernel-defaults",
    "io.delta:delta-kernel-unitycatalog",
    "io.unitycatalog:*",
    "org.apache.hadoop:*",
    "org.apache.logging.log4j:*",
    "org.apache.parquet:*",
    "org.checkerframework:*",
    "org.roaringbitmap:*",
    "org.slf4j:*",
)


def missing_from(folder: Path, jars: Iterable[Jar] = JARS) -> list[Jar]:
    """The JARs that are not in the folder, or not with the bytes they must have."""
    return [jar for jar in jars if not _is_right(folder / jar.name, jar)]


def fetch(jars: Iterable[Jar], spark_home: Path, ivy: Path) -> None:
    """Resolve JARs into the Ivy folder, where `put` takes them from; those that lie there already are not asked for again.

    Raises SetupError when Maven or the mirror does not deliver them; Spark's own folder is unchanged.
    """
    wanted = [jar for jar in jars if not _is_right(_in_ivy(ivy, jar), jar)]
    if not wanted:
        return
    ivy.mkdir(parents=True, exist_ok=True)
    log = ivy / "resolve.log"
    with log.open("w", encoding="utf-8") as told:
        try:
            answer = subprocess.run(
                _command(wanted, ivy), stdin=subprocess.DEVNULL, stdout=told, stderr=told, env=_environment(spark_home), timeout=_PATIENCE_SECONDS, check=False
            )
            code: int | str = answer.returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            code = type(error).__name__
    if code != 0:
        raise SetupError(_not_delivered(wanted, spark_home / "jars", log, code))


def put(jars: Iterable[Jar], ivy: Path, folder: Path) -> None:
    """Copy fetched JARs under their plain names, each after its hash was checked; other versions of them are removed.

    Raises SetupError when a JAR has other bytes than it must have; it is removed from the Ivy folder and not copied.
    """
    for jar in jars:
        source = _in_ivy(ivy, jar)
        if not _is_right(source, jar):
            found = _hash(source) if source.exists() else "no file"
            shutil.rmtree(ivy / "cache" / jar.group / jar.artifact, ignore_errors=True)
            source.unlink(missing_ok=True)
            raise SetupError(
                f"{jar.coordinate}: sha256 is {found}, expected {jar.sha256}. It was not installed and its copy was removed. Check what the "
                f"mirror delivers ({IVY_SETTINGS} is {os.environ.get(IVY_SETTINGS) or 'not set'}), then run `make install` again."
            )
        part = folder / f".{jar.name}.part"
        shutil.copyfile(source, part)
        part.replace(folder / jar.name)
        for other in folder.glob(jar.other_versions):
            if other.name != jar.name:
                other.unlink()


def _in_ivy(ivy: Path, jar: Jar) -> Path:
    return ivy / "jars" / f"{jar.group}_{jar.name}"


def _is_right(path: Path, jar: Jar) -> bool:
    return path.is_file() and _hash(path) == jar.sha256


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _command(jars: Iterable[Jar], ivy: Path) -> list[str]:
    submit = Path(sysconfig.get_path("scripts")) / ("spark-submit.cmd" if os.name == "nt" else "spark-submit")
    settings = os.environ.get(IVY_SETTINGS)
    mirror = ["--conf", f"spark.jars.ivySettings={Path(settings).expanduser().resolve()}"] if settings else []
    asked = ["--packages", ",".join(jar.coordinate for jar in jars), "--exclude-packages", ",".join(_EXCLUDED)]
    # A class that Spark has anyway and that ends at once: only the resolution before it is wanted.
    return [str(submit), "--conf", f"spark.jars.ivy={ivy}", *mirror, *asked, "--class", "org.apache.hadoop.util.VersionInfo", "spark-internal"]


def _environment(spark_home: Path) -> dict[str, str]:
    foreign = ("SPARK_CONF_DIR", "SPARK_DIST_CLASSPATH", "PYSPARK_SUBMIT_ARGS")
    return {**{name: value for name, value in os.environ.items() if name not in foreign}, "SPARK_HOME": str(spark_home)}


def _not_delivered(jars: list[Jar], folder: Path, log: Path, code: int | str) -> str:
    lines = "\n".join(f"  {jar.coordinate}  (sha256 {jar.sha256})" for jar in jars)
    return (
        f"These JARs are missing and could not be downloaded from Maven (Ivy ended with {code}; what it said is in {log}):\n{lines}\n"
        "Nothing was changed. One of these helps, then run `make install` again:\n"
        "  connect this machine to the network for this one time;\n"
        f"  set {IVY_SETTINGS} to an Ivy settings file that names your company's Maven mirror;\n"
        f"  copy the files by hand to {folder}."
    )
