"""What a stranger mistypes in the repository's own configuration, all at once: every mistake is told with its line, and nothing beside them."""

import re
from collections.abc import Iterator
from pathlib import Path

from builders import ProjectFolder, real_project, spoiled, told, watched_project

LAKEHOUSE, CONNECTIONS, WORK_LIST, FEEDS = "conf/lakehouse.yml", "conf/connections.yml", "load_config.csv", "conf/monitor/feeds.yml"

# What a stranger mistypes in the repository's own configuration: (file, what stands there, what is written, the text in whose line it is, what is said).
STRANGER: list[tuple[str, str, str, str, str]] = [
    # The work list.
    (WORK_LIST, "hospital-b,hos-b,dbo.departments", "hospitalb,hos-b,dbo.departments", "hospitalb", "database 'hospitalb' has no entry"),
    (WORK_LIST, "hos-b,dbo.patients,Incremental", "hos-b,dbo.patients,Incremntal", "Incremntal", "column 4: loadtype 'Incremntal' is not one of"),
    (
        WORK_LIST,
        "hos-a,dbo.encounters",
        "hos-a,dbo.encouters",
        "encouters",
        "tablename 'dbo.encouters' is taken by no mapping in conf/cdm. Did you mean 'encounters'?",
    ),
    (WORK_LIST, "hos-a,claims,Incremental,,1,hosa", "hos-a,claims,Incremental,,1,../hosa", "../hosa", "column 7: targetpath '../hosa' is no folder"),
    # The environments.
    (LAKEHOUSE, "threads: 2", "threads: two", "threads: two", "local.threads: expected a whole number from 1 to 64."),
    (
        LAKEHOUSE,
        "max_bad_share: 0.20",
        "max_bad_shares: 0.20",
        "max_bad_shares",
        "default.quality.max_bad_shares: this key is not known. Did you mean 'max_bad_share'?",
    ),
    (
        LAKEHOUSE,
        "ageing_basis: service",
        "ageing_basis: sevice",
        "sevice",
        "default.gold.ageing_basis: expected one of service, visit. Did you mean 'service'?",
    ),
    (LAKEHOUSE, "catalog: main", "catalog: ma-in!", "ma-in!", "databricks: catalog is no plain name"),
    # The connections.
    (CONNECTIONS, "dialect: h2", "dialect: h3", "dialect: h3", "hospital-a.dialect: expected one of h2, mariadb"),
    (CONNECTIONS, "time_zone: America/Chicago", "time_zone: America/Chcago", "Chcago", "hospital-b: time_zone is no zone of the IANA database"),
    (
        CONNECTIONS,
        "transactions: {overlap_seconds",
        "transactoins: {overlap_seconds",
        "transactoins",
        "hospital-b: no mapping and no row of the work list has the table",
    ),
    (CONNECTIONS, "  archive: lakehouse", "  archve: lakehouse", "archve", "landing.archve: this key is not known. Did you mean 'archive'?"),
    # Contracts: form and meaning in the same files, entries that are left out and what names them.
    ("conf/cdm/claim.yml", "grain: one claim", "grian: one claim", "grian", "grian: this key is not known. Did you mean 'grain'?"),
    (
        "conf/cdm/claim.yml",
        "clean: payer_name",
        "clean: payr_name",
        "payr_name",
        "column 'payer_key': there is no cleaner 'payr_name'. Did you mean 'payer_name'?",
    ),
    (
        "conf/cdm/claim.yml",
        "paid_amount <= billed",
        "paid_amount <= bill",
        "<= bill_amount",
        "rule 'paid_le_billed' names column 'bill_amount', which the contract does",
    ),
    (
        "conf/cdm/claim.yml",
        "references: transaction,",
        "references: transacton,",
        "transacton,",
        "rule 'transaction_known' references entity 'transacton' by one column",
    ),
    ("conf/cdm/claim.yml", "{name: service_date, type: date", "{name: service_date, type: [date]", "[date]", "columns.8.type: expected a text."),
    (
        "conf/cdm/patient.yml",
        "phi: quasi, clean: gender",
        "phi: quasy, clean: gender",
        "quasy",
        "columns.6.phi: expected one of none, quasi, direct. Did you mean 'quasi'?",
    ),
    ("conf/cdm/patient.yml", 'check: "last_name IS', 'chek: "lst_name IS', "lst_name", "rules.1.chek: this key is not known. Did you mean 'check'?"),
    (
        "conf/cdm/patient.yml",
        "",
        "",
        "lst_name",
        "rule 'last_name_present' names column 'lst_name', which the contract does not have. Did you mean 'last_name'?",
    ),
    (
        "conf/cdm/transaction.yml",
        "after: [patient, encounter",
        "after: [pateint, encounter",
        "pateint",
        "after: there is no entity 'pateint'. Did you mean 'patient'?",
    ),
    ("conf/cdm/transaction.yml", "      charge_amount: Amount", "      chrge_amount: Amount", "chrge", "mapping 'emr' names column 'chrge_amount'"),
    ("conf/cdm/encounter.yml", "tables: [encounters]", "tabels: [encounters]", "tabels", "sources.0.tabels: this key is not known. Did you mean 'tables'?"),
    # Gold.
    (
        "conf/gold/fact_claims.sql",
        "key: [claim_key]",
        "key: [clam_key]",
        "clam_key",
        "key names 'clam_key', which the SELECT does not give. Did you mean 'claim_key'?",
    ),
    (
        "conf/gold/fact_claims.sql",
        "silver.claim.paid_amount",
        "silver.claim.payd_amount",
        "payd_amount",
        "ties_out: paid_amount names 'silver.claim.payd_amount'",
    ),
    (
        "conf/gold/fact_claims.sql",
        "a.billed_amount, a.paid",
        "a.billd_amount, a.paid",
        "billd",
        "it names column 'a.billd_amount', which the query 'claims' does not give.",
    ),
    ("conf/gold/fact_encounters.sql", "measures:", "measurs:", "measurs", "measurs: this key is not known. Did you mean 'measures'?"),
    (
        "conf/gold/fact_encounters.sql",
        "gold.dim_provider v",
        "gold.dim_provder v",
        "dim_provder",
        "it reads 'gold.dim_provder', which does not exist. Did you mean",
    ),
    (
        "conf/gold/dim_payer.sql",
        "FROM silver.payer",
        "FROM silver.payer WHERE is_curent",
        "is_curent",
        "it names column 'is_curent', which silver.payer does not have.",
    ),
    (
        "conf/gold/dim_date.sql",
        "weekofyear(date)",
        "weekofyeer(date)",
        "weekofyeer",
        "there is no function 'weekofyeer' that SQL in the configuration may call.",
    ),
    # Monitors and the calendar.
    (FEEDS, "hos-b.claims: {by", "hos-b.clams: {by", "clams", "'hos-b.clams' is no load of load_config.csv. Did you mean 'hos-b.claims'?"),
    (FEEDS, "max_age_days: 400", "max_age_days: many", "many", "network.procedure_codes.max_age_days: expected a whole number from 1 to 36,500."),
    ("conf/monitor/late_feeds.sql", "severity: error", "severity: eror", "eror", "severity: expected one of info, warn, error. Did you mean 'error'?"),
    (
        "conf/monitor/late_feeds.sql",
        "FROM audit.load_logs",
        "FROM audit.load_log",
        "FROM audit.load_log",
        "it reads 'audit.load_log', which does not exist. Did you mean",
    ),
    ("conf/monitor/late_feeds.sql", ":lookback_days)", ":lokback_days)", "parameters:", "it uses ':lokback_days', which the header's parameters do not name."),
]


def test_every_typo_of_a_stranger_is_told_with_its_line_and_nothing_else(tmp_path: Path) -> None:
    folder = real_project(tmp_path)
    spoiled(folder, [(file, old, new) for file, old, new, _, _ in STRANGER if old])
    assert told(folder, [(file, marked, says) for file, _, _, marked, says in STRANGER]) == []


# Names that nothing else gives: their owner may call them as they like.
FREE = ("dbo", "registry", "ref_npi", "default", "local", "cluster")
# What may have any name is missed where it is named.
MISSED_AT = {"erm": "load_config.csv:2: ", "landign": "load_config.csv:4: ", "dasy": "conf/monitor/runs.sql:5: "}
KEY = re.compile(r"(?<![\w.:/\"])(\w[\w.-]+)(?=:(?:\s|$))", re.MULTILINE)


def misspellings(folder: ProjectFolder) -> Iterator[tuple[str, str, str]]:
    """Every key of the project's YAML with its last letters turned round: its file, the key, and the text of the file."""
    for path in sorted(folder.home.rglob("conf/**/*.*")):
        text = path.read_text(encoding="utf-8")
        header = text if path.suffix == ".yml" else text[: text.index("*/")]
        for found in KEY.finditer(header):
            key = found[1]
            turned = key[:-2] + key[-1] + key[-2]
            if key not in FREE and turned != key:
                yield path.relative_to(folder.home).as_posix(), turned, text[: found.start()] + turned + text[found.end() :]


def test_every_key_that_is_misspelled_is_one_mistake_in_its_own_line(tmp_path: Path) -> None:
    folder = watched_project(tmp_path)
    tries = list(misspellings(folder))
    assert len(tries) > 80
    wrong = {}
    for file, key, text in tries:
        sound = (tmp_path / file).read_text(encoding="utf-8")
        mistakes = folder.write(file, text).mistakes()
        place = MISSED_AT.get(key) or f"{file}:{folder.line(file, key)}: "
        if len(mistakes) != 1 or not mistakes[0].startswith(place):
            wrong[f"{file}: {key}"] = mistakes
        folder.write(file, sound)
    assert wrong == {}
