"""SQL in the configuration: one expression over a row, or one SELECT over the lakehouse's tables, and nothing that leaves them.

The text is judged by its tokens before it is parsed, so that no second reading of it (by Spark) can find more in it than was
judged here: no comment can hide code, no quote can end elsewhere, every call is to a function of a list.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sqlglot
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from rcm_lakehouse.config.problems import did_you_mean, hides_marks
from rcm_lakehouse.config.sql_functions import AGGREGATE, BARE, CLOCKS, CLOCKS_WHEN_EMPTY, GENERATOR, OUTSIDE, SCALAR

MAX_EXPRESSION = 4_000
MAX_SELECT = 200_000
MAX_DEPTH = 40
# How much of an expression a message shows before the place where it breaks.
_NEAR = 30

_NO_COMMENT = re.compile(r"[ \t\r\n]*\Z")
# A backslash before the line's end would lengthen the comment for Spark alone.
_LINE_COMMENT = re.compile(r"(?:[ \t\r\n]|--[^\n\\]*(?:\n|\Z))*\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*\Z")
_STRINGS = (TokenType.STRING, TokenType.HEX_STRING, TokenType.RAW_STRING)
_OPENING, _CLOSING = (TokenType.L_PAREN, TokenType.L_BRACKET), (TokenType.R_PAREN, TokenType.R_BRACKET)

_WRITES = frozenset("alter create delete directory drop insert into merge overwrite set table tablesample truncate update".split())
_QUERIES = frozenset("from having intersect lateral over qualify select union values where window with".split())
# FROM is part of the call here: extract(YEAR FROM day), trim(BOTH '0' FROM code).
_TAKES_FROM = frozenset({"extract", "trim", "substring", "substr", "overlay"})
_BEFORE_PAREN = frozenset(
    """
    all and any array as between by case char cube dec decimal distinct div else except exists from group having ilike in intersect is
    join lateral like minus not numeric on or over recursive regexp rlike rollup select sets some then union using values varchar when
    where with
    """.split()
)
# The same behind a value or a table, where no call can stand: t PIVOT (…), count(*) FOR (a, b) IN (…), UNPIVOT INCLUDE NULLS (…), LIMIT (10).
_BEHIND_VALUE = frozenset("for limit nulls offset pivot unpivot".split())
_BEFORE_VALUE = _BEFORE_PAREN | frozenset("both escape interval leading outer placing trailing view".split())
_CLOCK_TEXTS = frozenset({"now", "today", "tomorrow", "yesterday"})


# A call to a function that the SQL may not have; what stands around it can be judged all the same.
MISSPELLED = "misspelled"
_HOSTILE = "hostile"


@dataclass(frozen=True)
class Finding:
    """What makes a text no SQL that is allowed here: in words, with the line of the text, from 1, in which it begins."""

    text: str
    line: int
    kind: str = _HOSTILE


# The same with the position in the text instead of the line.
_Found = tuple[int, str, str]


def wrong_in_expression(text: str) -> list[Finding]:
    """What makes a text no expression over one row; empty when nothing does (it may still not parse).

    Every call to a function that is not on the list is found; of anything else the first alone, for the rest cannot be trusted.
    """
    if len(text) > MAX_EXPRESSION:
        return [Finding(f"an expression has at most {MAX_EXPRESSION:,} characters.", 1)]
    return _wrong(text, SCALAR, _WRITES | _QUERIES, _NO_COMMENT)


def wrong_in_select(text: str) -> list[Finding]:
    """What makes a text no SELECT over tables of the lakehouse, as `wrong_in_expression` says it."""
    if len(text) > MAX_SELECT:
        return [Finding(f"a model has at most {MAX_SELECT:,} characters.", 1)]
    return _wrong(text, SCALAR | AGGREGATE | GENERATOR, _WRITES, _LINE_COMMENT)


def where_it_breaks(error: Exception) -> str:
    """Where an expression ceases to be SQL and what was expected there: `: near 'amount >==' (character 9) a value is missing`; empty when it is not told."""
    told = (getattr(error, "errors", None) or [{}])[0]
    before, at = str(told.get("start_context") or ""), str(told.get("highlight") or "")
    if not at:
        return ""
    said = str(told.get("description"))
    wanted = "a value is missing" if said.startswith("Required") else "an operator or the end is expected"
    closing = re.match(r"Expect(?:ing|ed) (\S+)", said)
    near = f"{before[-_NEAR:]}{at}".strip()
    return f": near '{near}' (character {len(before) + 1}) {f'{closing[1]} is expected' if closing else wanted}"


def _wrong(text: str, functions: frozenset[str], forbidden: frozenset[str], between: re.Pattern[str]) -> list[Finding]:
    for position, words in _marks(text):
        return [Finding(words, _line(text, position))]
    try:
        tokens = sqlglot.tokenize(text, read="spark")
    except SqlglotError:
        return [Finding("this is no SQL: a quote or a bracket is not closed.", 1)]
    if not tokens:
        return [Finding("the SQL is empty.", 1)]
    found = list(_findings(text, tokens, functions, forbidden, between))
    chosen = [one for one in found if one[2] != MISSPELLED][:1] or found
    return list(dict.fromkeys(Finding(words, _line(text, position), kind) for position, words, kind in chosen))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _marks(text: str) -> Iterator[tuple[int, str]]:
    plain = text.replace("\r\n", " \n")
    if hides_marks(plain):
        yield next(number for number, mark in enumerate(plain) if hides_marks(mark)), "the SQL holds a mark that cannot be seen."
    if "${" in text:
        yield text.index("${"), "the SQL holds ${…}, which Spark would replace with a setting or an environment variable."
    found = re.search(r"\\['\"]", text)
    if found:
        yield found.start(), "the SQL holds a quote behind a backslash; double the quote instead."


def _findings(text: str, tokens: Sequence[Token], functions: frozenset[str], forbidden: frozenset[str], between: re.Pattern[str]) -> Iterator[_Found]:
    odd = [(start, gap) for start, gap in _gaps(text, tokens) if not between.match(gap)]
    hint = next((token.start for token in tokens if token.token_type == TokenType.HINT), None)
    comment = next((start for start, gap in odd if "--" in gap or "/*" in gap), hint)
    if comment is not None:
        words = "comments are not allowed here." if between is _NO_COMMENT else "only comments from -- to the line's end are allowed; no hints, no /* */."
        yield comment, words, _HOSTILE
    strange = [token.start for token in tokens if token.token_type not in _STRINGS and not text[token.start : token.end + 1].isascii()]
    if odd or strange:
        yield min([*strange, *(start for start, _ in odd)]), "outside texts in quotes SQL is ASCII here; a letter or blank only looks like one.", _HOSTILE
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            yield token.start, "a semicolon: one expression or one SELECT, nothing after it.", _HOSTILE
        if token.token_type in (TokenType.PARAMETER, TokenType.PIPE_GT):
            yield token.start, f"'{token.text}' is not allowed here.", _HOSTILE
    yield from ((position, words, _HOSTILE) for position, words in (*_depth(tokens), *_words(tokens, forbidden)))
    yield from _calls(tokens, functions)


def _gaps(text: str, tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    position = 0
    for token in tokens:
        yield position, text[position : token.start]
        position = token.end + 1
    yield position, text[position:]


def _depth(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENING or token.text.lower() == "case") - (token.token_type in _CLOSING or token.text.lower() == "end")
        if depth > MAX_DEPTH:
            yield token.start, f"brackets and CASE are nested more than {MAX_DEPTH} deep."


def _is_word(token: Token) -> bool:
    return token.token_type not in (*_STRINGS, TokenType.IDENTIFIER) and bool(_WORD.match(token.text))


def _words(tokens: Sequence[Token], forbidden: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Words that begin another statement or a query where none may be; a column of that name is written in backticks."""
    calls: list[str] = []
    for number, token in enumerate(tokens):
        before, after = tokens[number - 1] if number else None, tokens[number + 1] if number + 1 < len(tokens) else None
        if token.token_type == TokenType.L_PAREN:
            calls.append(before.text.lower() if before is not None else "")
        elif token.token_type == TokenType.R_PAREN and calls:
            calls.pop()
        if not _is_word(token) or (before is not None and before.token_type == TokenType.DOT):
            continue
        words = token.text.lower().split()
        is_part = (calls and calls[-1] in _TAKES_FROM) or (before is not None and before.text.lower() == "distinct")
        found = next((word for word in words if word in forbidden and not (word == "from" and is_part)), None)
        if found:
            kind = "expression over columns" if "select" in forbidden else "SELECT that only reads"
            yield token.start, f"'{found.upper()}' is not allowed here: one {kind}. A column of that name stands in backticks."
        if "using" in words and after is not None and after.token_type in _STRINGS:
            yield token.start, "a script (USING '…') is not allowed here."
        if words[-1] in ("date", "timestamp") and after is not None and after.token_type in _STRINGS and after.text.strip().lower() in _CLOCK_TEXTS:
            yield token.start, f"'{after.text.strip().lower()}' asks the clock, so a second run would differ; a model has :as_of."
    yield from _bare(tokens)


def _bare(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Functions called without parentheses. Backticks do not help: Spark takes such a name for the function all the same."""
    for number, token in enumerate(tokens):
        around = (tokens[number - 1] if number else None, tokens[number + 1] if number + 1 < len(tokens) else None)
        is_part = any(other is not None and other.token_type == TokenType.DOT for other in around)
        is_alias = around[0] is not None and around[0].text.lower() == "as"
        if token.token_type not in _STRINGS and token.text.lower() in BARE and not is_part and not is_alias:
            yield token.start, f"'{token.text.lower()}' asks the session or the clock, so a second run would differ; a model has :as_of."


def _calls(tokens: Sequence[Token], functions: frozenset[str]) -> Iterator[_Found]:
    for number, (token, after) in enumerate(pairwise(tokens)):
        if after.token_type != TokenType.L_PAREN:
            continue
        before = tokens[number - 1] if number else None
        name = token.text.lower()
        if token.token_type in (*_CLOSING, *_STRINGS, TokenType.NUMBER):
            yield token.start, "a bracket opens behind a value; a function is called by its name.", _HOSTILE
        elif before is not None and before.token_type == TokenType.DOT and _is_name(token):
            yield token.start, "a function is called by its plain name, without catalog or schema.", _HOSTILE
        elif _is_word(token) and _is_no_call(name, before):
            continue
        elif _is_name(token) and name not in functions and not _names_columns(tokens, number):
            words = f"columns behind the alias of a table need AS: AS {token.text}(…)." if _is_alias_of_table(tokens, number) else _unknown(name, functions)
            yield token.start, words, _HOSTILE if name in OUTSIDE | CLOCKS else MISSPELLED
        elif name in CLOCKS_WHEN_EMPTY and number + 2 < len(tokens) and tokens[number + 2].token_type == TokenType.R_PAREN:
            yield token.start, f"'{name}()' asks the clock, so a second run would differ.", _HOSTILE


def _is_name(token: Token) -> bool:
    return _is_word(token) or token.token_type in (TokenType.IDENTIFIER, TokenType.VAR)


def _is_no_call(name: str, before: Token | None) -> bool:
    """True for a word of SQL before a bracket, and for a type behind AS."""
    is_behind = before is not None and (before.text.lower() == "as" or (name in _BEHIND_VALUE and _ends_value(before)))
    return is_behind or name.split()[-1] in _BEFORE_PAREN


def _ends_value(token: Token) -> bool:
    if _is_word(token):
        return token.text.lower().split()[-1] not in _BEFORE_VALUE | _BEHIND_VALUE
    return token.token_type in (*_CLOSING, *_STRINGS, TokenType.NUMBER, TokenType.IDENTIFIER)


def _names_columns(tokens: Sequence[Token], number: int) -> bool:
    """True for an alias with its columns where Spark takes no call: behind a bracket, `(SELECT …) t(a, b)`, or before a query, `WITH t(a, b) AS (SELECT …`."""
    end = _end_of_names(tokens, number + 1)
    if end is None or (number and tokens[number - 1].token_type == TokenType.R_PAREN):
        return end is not None
    following = [token.token_type for token in tokens[end + 1 : end + 3]]
    # Names alone would be those that a call gives to its columns.
    return following == [TokenType.ALIAS, TokenType.L_PAREN] and _end_of_names(tokens, end + 2) is None


def _end_of_names(tokens: Sequence[Token], start: int) -> int | None:
    """Where a bracket closes that holds names alone."""
    for name, mark in zip(range(start + 1, len(tokens), 2), range(start + 2, len(tokens), 2), strict=False):
        if not _is_name(tokens[name]) or tokens[mark].token_type not in (TokenType.COMMA, TokenType.R_PAREN):
            return None
        if tokens[mark].token_type == TokenType.R_PAREN:
            return mark
    return None


def _is_alias_of_table(tokens: Sequence[Token], number: int) -> bool:
    """True for what can only be meant as the alias of a table with its columns, `FROM silver.visit v(a, b)`."""
    before, second = tokens[max(number - 1, 0)], tokens[max(number - 2, 0)]
    is_table = _is_name(before) and (second.token_type == TokenType.DOT or second.text.lower() in ("from", "join"))
    return is_table and tokens[number].text.lower() not in OUTSIDE | CLOCKS and _end_of_names(tokens, number + 1) is not None


def _unknown(name: str, functions: frozenset[str]) -> str:
    if name in OUTSIDE:
        return f"'{name}' may not be called here: it reaches outside the row."
    if name in CLOCKS:
        return f"'{name}' may not be called here: a second run would differ; a model has :as_of."
    if name in AGGREGATE | GENERATOR:
        return f"'{name}' may not be called here: an expression takes one row and gives one value."
    return f"there is no function '{name[:40]}' that SQL in the configuration may call.{did_you_mean(name, functions)}"
