"""What an API may be asked for: parameters by kind of service, page sizes, credentials, and ids that exist."""

from collections.abc import Callable, Mapping

from rcm_lakehouse.config.connections import ApiConnection, ApiTableOptions
from rcm_lakehouse.config.contracts import Contract
from rcm_lakehouse.config.known import Contracts
from rcm_lakehouse.config.matching import mapping_for, options_may_differ, table_options
from rcm_lakehouse.config.parts import Lost
from rcm_lakehouse.config.problems import did_you_mean
from rcm_lakehouse.config.validated import Sound
from rcm_lakehouse.config.worklist import LoadRow

PARAMETERS: Mapping[str, frozenset[str]] = {
    "nppes": frozenset(
        "number enumeration_type taxonomy_description first_name last_name use_first_name_alias organization_name address_purpose city state "
        "postal_code country_code".split()
    ),
    "nlm_icd10cm": frozenset({"terms"}),
    "who_icd": frozenset({"code"}),
}
LARGEST_PAGE = {"nppes": 200, "nlm_icd10cm": 500}
_LONGEST_VALUE = 200


def check_api_tables(connection: ApiConnection, lost: Lost, note: Callable[..., None]) -> None:
    """Note credentials that are given in part, and options that the kind of service does not have."""
    credentials = ("token_url", "client_id", "client_secret")
    given = [name for name in credentials if getattr(connection, name) is not None]
    if given and connection.kind != "who_icd":
        note(f"{given[0]} is for who_icd alone; {connection.kind} takes no credentials.", given[0])
    elif given and not all(name in given or lost.at(name) for name in credentials):
        note("token_url, client_id and client_secret are given together, or none of them (a local copy without tokens).", given[0])
    for table, options in connection.tables.items():
        for text, key in _wrong_in_options(connection.kind, options, lost.at("tables", table, "queries")):
            note(text, "tables", table, key)


def _wrong_in_options(kind: str, options: ApiTableOptions, is_cut: bool) -> list[tuple[str, str]]:
    """What is wrong with the options of a table, each with its key."""
    found = []
    largest = LARGEST_PAGE.get(kind)
    if largest is not None and options.page_size > largest:
        found.append((f"page_size is {options.page_size}; {kind} gives at most {largest} rows a request.", "page_size"))
    if options.ids_from is not None and kind != "nppes":
        found.append((f"ids_from is for nppes alone; {kind} looks nothing up by id.", "ids_from"))
    for query in options.queries:
        for name, value in query.items():
            if name not in PARAMETERS[kind]:
                hint = did_you_mean(name, PARAMETERS[kind])
                found.append((f"queries: {kind} has no parameter of this name; there are {', '.join(sorted(PARAMETERS[kind]))}.{hint}", "queries"))
            elif not value.strip() or len(value) > _LONGEST_VALUE or not value.isprintable():
                found.append((f"queries: the value of {name} is blank, longer than {_LONGEST_VALUE} characters or not printable.", "queries"))
    if kind == "nppes" and {} in options.queries and not is_cut:
        found.append(("queries: the registry refuses a search without a parameter.", "queries"))
    return found


def wrong_in_api(row: LoadRow, sound: Sound[ApiConnection], known: Contracts) -> list[str]:
    """What is wrong between a row of the work list, what its connection asks for, and the contracts."""
    connection, contracts = sound.value, known.values
    options = table_options(connection.tables, row)
    place = f"`tables` of '{row.database}' in conf/connections.yml"
    is_cut = sound.lost.at("kind") or options_may_differ(sound, row)
    if connection.kind != "who_icd" and not is_cut and (options is None or not (options.queries or options.ids_from)):
        return [f"'{row.label}' asks for nothing: {place} has no entry of it with `queries`{' or `ids_from`' if connection.kind == 'nppes' else ''}."]
    if options is None or options.ids_from is None:
        return []
    entity = options.ids_from.partition(".")[0]
    if any(mapping_for(contracts[name], row) is not None for name in _with_upstream(entity, contracts)):
        return [f"ids_from under {place}: '{entity}' is itself made from '{row.label}', so each would wait for the other."]
    return []


def _with_upstream(entity: str, contracts: Mapping[str, Contract]) -> set[str]:
    seen: set[str] = set()
    waiting = [entity]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in contracts:
            seen.add(name)
            waiting.extend(contracts[name].after)
    return seen
