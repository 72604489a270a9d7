"""What a database's refusal means for the reader: down, refused, or asked for something that is not there."""

import re
from dataclasses import dataclass

from rcm_lakehouse.config.errors import RcmError, SourceAuthError, SourceDataError, SourceUnavailableError, StorageFullError, is_storage_full

_DEEPEST = 10
_JAVA_CLASS = re.compile(r"\b(?:java|org\.(?:h2|mariadb|postgresql)|com\.(?:microsoft|mysql))\.[\w.]*?\b([A-Z]\w*(?:Exception|Error))\b")
_UNCHANGED = "Nothing of this load was committed; its watermark is unchanged."
_STORAGE_FULL = f"a disk is full (the lakehouse's, Spark's scratch folder's or the source's own) while {{doing}}. {_UNCHANGED} Free space and run again."


@dataclass(frozen=True)
class _Refusal:
    """Words and codes of drivers (any of them, whatever the case), their error and what to do; `{doing}` is what was asked."""

    pattern: str
    error: type[RcmError]
    advice: str
    # Words that tell of another refusal although the pattern is there.
    unless: str = "(?!)"


# The first that fits counts.
_REFUSALS = (
    _Refusal(
        r"access denied|password authentication failed|login failed|wrong user name or password|28000|28P01|no password was provided"
        r"|authentication failed|permission (was )?denied|does not have permission|not authorized",
        SourceAuthError,
        f"the database refused the credentials or the right to read while {{doing}}. {_UNCHANGED} Check user, password reference and grants in "
        "conf/connections.yml; a retry cannot help.",
        # SQL Server says in one text that the database is not there and that the login failed.
        unless="cannot open database",
    ),
    _Refusal(
        r"unknown database|cannot open database|database .* does not exist|database .* not found|unknown column|column .* not found|invalid column"
        r"|table .* (not found|doesn't exist)|relation .* does not exist|invalid object name|90146|42S02|42S22"
        r"|UNRECOGNIZED_SQL_TYPE",
        SourceDataError,
        f"the database does not have what was asked for while {{doing}} (database, table, column or a type that can be read). {_UNCHANGED} "
        "Compare load_config.csv and conf/connections.yml with the source.",
    ),
    _Refusal(
        r"bad value for type bigdecimal ?: ?-?(nan|inf)",
        SourceDataError,
        f"a number in the source is none (NaN or infinity) while {{doing}}. {_UNCHANGED} A retry cannot help. Mend that row, or give load_config.csv a view "
        "of the table that has NULL in its place, in PostgreSQL by NULLIF(the_column, 'NaN').",
    ),
    _Refusal(
        r"numeric value out of range|arithmetic overflow|numeric field overflow|out of range for type|data conversion error|division by zero",
        SourceDataError,
        f"the database could not compute with a value of its own while {{doing}}. {_UNCHANGED} A retry cannot help: look for amounts that are no amounts "
        "in that table.",
    ),
    # A host that is not known and a name service that is down look alike: drivers drop the reason.
    _Refusal(
        r"unknownhost|unknown host|name or service not known|name resolution",
        SourceUnavailableError,
        f"its host is not known while {{doing}}. {_UNCHANGED} Check `host` in conf/connections.yml and this machine's name service, then run again.",
    ),
    _Refusal(
        r"\[90030-|file corrupted",
        SourceDataError,
        f"the database says that its file is damaged while {{doing}}. {_UNCHANGED} Restore the database from its backup; the demo's is made anew by "
        "`make demo`.",
    ),
    _Refusal(
        r"connection refused|connect timed out|connection reset|communications link|could not connect|connection attempt failed|socket"
        r"|server shutdown|terminating connection|unexpected end of stream|closed connection|connection is closed|broken pipe|timed? ?out|no route"
        r"|i/o error|connection to .* refused|08S01|08001|08006|57P01|lost connection|database may be already in use|connection is broken"
        r"|FAILED_JDBC\.CONNECTION",
        SourceUnavailableError,
        f"the database did not answer or went away while {{doing}}. {_UNCHANGED} Check host, port and the server, then run again.",
    ),
)


def translated(error: BaseException, connection: str, doing: str) -> RcmError:
    """The error of the taxonomy for a driver's error; the driver's own text is dropped, for it may quote rows or credentials."""
    if is_storage_full(error):
        return StorageFullError(f"connection '{connection}': {_STORAGE_FULL.format(doing=doing)}")
    text = _whole_text(error)
    for refusal in _REFUSALS:
        if re.search(refusal.pattern, text, re.IGNORECASE) and not re.search(refusal.unless, text, re.IGNORECASE):
            return refusal.error(f"connection '{connection}': {refusal.advice.format(doing=doing)}")
    return SourceUnavailableError(
        f"connection '{connection}': reading failed while {doing} ({_class_of(error, text)}). {_UNCHANGED} The driver's own words are left out, because they "
        "may quote a row: the database's log has them, or run the same query by hand."
    )


def _class_of(error: BaseException, text: str) -> str:
    """The innermost class of a driver or of Java that a text names, else the error's own class: a class quotes no row."""
    found = list(_JAVA_CLASS.finditer(text))
    return found[-1][1] if found else type(error).__name__


def _whole_text(error: BaseException) -> str:
    """An error's text and those of its causes: Spark says only that it could not connect, the driver below says why."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < _DEEPEST:
        texts.append(str(current))
        below: BaseException | None = getattr(current, "_cause", None)
        current = below or current.__cause__
    return "\n".join(texts)
