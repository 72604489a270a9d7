"""What a database's refusal means for the reader: down, refused, or asked for something that is not there."""

import re

from rcm_lakehouse.config.errors import RcmError, SourceAuthError, SourceDataError, SourceUnavailableError, StorageFullError, is_storage_full

_DEEPEST = 10
_AUTH = (
    r"access denied|password authentication failed|login failed|wrong user name or password|28000|28P01|no password was provided"
    r"|authentication failed|permission (was )?denied|does not have permission|not authorized"
)
_UNKNOWN = (
    r"unknown database|cannot open database|database .* does not exist|database .* not found|unknown column|column .* not found|invalid column"
    r"|table .* (not found|doesn't exist)|relation .* does not exist|invalid object name|90146|42S02|42S22"
    r"|UNRECOGNIZED_SQL_TYPE"
)
# A host that is not known and a name service that is down look alike: drivers drop the reason.
_NO_HOST = r"unknownhost|unknown host|name or service not known|name resolution"
_DAMAGED = r"\[90030-|file corrupted"
_DOWN = (
    r"connection refused|connect timed out|connection reset|communications link|could not connect|connection attempt failed|socket"
    r"|server shutdown|terminating connection|unexpected end of stream|closed connection|connection is closed|broken pipe|timed? ?out|no route"
    r"|i/o error|connection to .* refused|08S01|08001|08006|57P01|lost connection|database may be already in use|connection is broken"
    r"|FAILED_JDBC\.CONNECTION"
)


def translated(error: BaseException, connection: str, doing: str) -> RcmError:
    """The error of the taxonomy for a driver's error; the driver's own text is dropped, for it may quote rows or credentials."""
    text = _whole_text(error)
    if is_storage_full(error):
        return StorageFullError(
            f"connection '{connection}': a disk is full (the lakehouse's, Spark's scratch folder's or the source's own) while {doing}. Nothing of "
            "this load was committed; its watermark is unchanged. Free space and run again."
        )
    # SQL Server says in one text that the database is not there and that the login failed.
    if re.search(_AUTH, text, re.IGNORECASE) and "cannot open database" not in text.lower():
        return SourceAuthError(
            f"connection '{connection}': the database refused the credentials or the right to read while {doing}. Its watermark is "
            "unchanged. Check user, password reference and grants in conf/connections.yml; a retry cannot help."
        )
    if re.search(_UNKNOWN, text, re.IGNORECASE):
        return SourceDataError(
            f"connection '{connection}': the database does not have what was asked for while {doing} (database, table, column or a type that can be read). "
            "Its watermark is unchanged. Compare load_config.csv and conf/connections.yml with the source."
        )
    if re.search(_NO_HOST, text, re.IGNORECASE):
        return SourceUnavailableError(
            f"connection '{connection}': its host is not known while {doing}. Nothing of this load was committed; its watermark is unchanged. "
            "Check `host` in conf/connections.yml and this machine's name service, then run again."
        )
    if re.search(_DAMAGED, text, re.IGNORECASE):
        return SourceDataError(
            f"connection '{connection}': the database says that its file is damaged while {doing}. Nothing of this load was committed; its "
            "watermark is unchanged. Restore the database from its backup; the demo's is made anew by `make demo`."
        )
    if re.search(_DOWN, text, re.IGNORECASE):
        return SourceUnavailableError(
            f"connection '{connection}': the database did not answer or went away while {doing}. Nothing of this load was committed; "
            "its watermark is unchanged. Check host, port and the server, then run again."
        )
    return SourceUnavailableError(
        f"connection '{connection}': reading failed while {doing} ({type(error).__name__}). Nothing of this load was committed; its "
        "watermark is unchanged."
    )


def _whole_text(error: BaseException) -> str:
    """An error's text and those of its causes: Spark says only that it could not connect, the driver below says why."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < _DEEPEST:
        texts.append(str(current))
        below: BaseException | None = getattr(current, "_cause", None)
        current = below or current.__cause__
    return "\n".join(texts)
