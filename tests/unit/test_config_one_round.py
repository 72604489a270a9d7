"""Mistakes of form and of meaning are told together; what is left out for a mistake of form makes no second mistake elsewhere."""

from pathlib import Path

import pytest
from builders import Edit, Mistake, untold_in_one_round

LAKEHOUSE, CONNECTIONS, WORK_LIST = "conf/lakehouse.yml", "conf/connections.yml", "load_config.csv"
PATIENT, VISIT, MODEL = "conf/cdm/patient.yml", "conf/cdm/visit.yml", "conf/gold/billing.sql"
FEEDS, MONITOR = "conf/monitor/feeds.yml", "conf/monitor/runs.sql"

# case: (what is written, everything that is said)
ONE_ROUND: dict[str, tuple[list[Edit], list[Mistake]]] = {
    "a connection is judged behind its mistakes": (
        [
            (CONNECTIONS, "port: 3306", "prot: 3306"),
            (CONNECTIONS, "time_zone: America/New_York", "time_zone: America/NewYork"),
            (CONNECTIONS, "password: env:EMR_PASSWORD", "password: plain"),
            (CONNECTIONS, "dialect: mariadb", "dialect: marriadb"),
        ],
        [
            (CONNECTIONS, "prot", "emr.prot: this key is not known. Did you mean 'port'?"),
            (CONNECTIONS, "NewYork", "emr: time_zone is no zone"),
            (CONNECTIONS, "plain", "emr: password must be a reference"),
            (CONNECTIONS, "marriadb", "emr.dialect: expected one of h2, mariadb, mysql, postgresql, sqlserver. Did you mean 'mariadb'?"),
        ],
    ),
    "a dialect like no other decides nothing": (
        [(CONNECTIONS, "dialect: mariadb", "dialect: x\n  params: {sslMode: trust}")],
        [(CONNECTIONS, "dialect", "emr.dialect: expected one of")],
    ),
    "a type like no other is told by the other keys": (
        [(CONNECTIONS, "type: jdbc", "type: 7"), (CONNECTIONS, "port: 3306", "port: 70000")],
        [(CONNECTIONS, "type: 7", "emr: type is not one of jdbc, files, api."), (CONNECTIONS, "70000", "emr.port: expected a whole number from 1 to 65,535.")],
    ),
    "a misspelled type key": (
        [(CONNECTIONS, "type: jdbc", "tpye: jdbc"), (CONNECTIONS, "port: 3306", "port: 0")],
        [
            (CONNECTIONS, "tpye", "emr.tpye: this key is not known. Did you mean 'type'?"),
            (CONNECTIONS, "port: 0", "emr.port: expected a whole number from 1 to 65,535."),
        ],
    ),
    "a connection that is none makes no mistake in its rows": ([(CONNECTIONS, "emr:\n", "emr: x\nother:\n")], [(CONNECTIONS, "emr: x", "emr: expected keys")]),
    "options that are left out are not missed": (
        [
            (CONNECTIONS, 'claims: {pattern: "claims/*.csv"}', "claims: {pattern: [claims]}"),
            (CONNECTIONS, "{overlap_seconds: 900, key: [VisitID]}", "{key: 5}"),
        ],
        [(CONNECTIONS, "[claims]", "landing.tables.claims.pattern: expected a text."), (CONNECTIONS, "key: 5", "emr.tables.visits.key: expected a list.")],
    ),
    "options under a misspelled table are told once": (
        [(CONNECTIONS, "    claims: {pattern", "    clams: {pattern")],
        [(CONNECTIONS, "clams", "landing: no mapping and no row of the work list has the table 'clams'. Did you mean 'claims'?")],
    ),
    "queries that cannot be read are asked": (
        [(CONNECTIONS, "{ids_from: visit.npi}", "{queries: NC}"), (WORK_LIST, "landing,hos-a", "registry,network,ref_npi,Full,,1,network\nlanding,hos-a")],
        [(CONNECTIONS, "NC", "registry.tables.ref_npi.queries: expected a list.")],
    ),
    "all cells of a row are judged": (
        [(WORK_LIST, "emr,hos-a,dbo.visits,Incremental,ModifiedDate,1,hosa", "emrr,HOS-A,dbo.vists,Incremntal,,1,../x")],
        [
            (WORK_LIST, "emrr", "column 2: datasource 'HOS-A' is no data source code"),
            (WORK_LIST, "emrr", "column 4: loadtype 'Incremntal' is not one of Full, Incremental. Did you mean 'Incremental'?"),
            (WORK_LIST, "emrr", "column 7: targetpath '../x' is no folder under bronze"),
            (WORK_LIST, "emrr", "database 'emrr' has no entry in conf/connections.yml. Did you mean 'emr'?"),
            (WORK_LIST, "emrr", "tablename 'dbo.vists' is taken by no mapping in conf/cdm. Did you mean 'visits'?"),
        ],
    ),
    "a loadtype is read as the known one": (
        [(WORK_LIST, "dbo.visits,Incremental,ModifiedDate", "dbo.visits,Incremntal,")],
        [
            (WORK_LIST, "Incremntal", "column 4: loadtype 'Incremntal' is not one of"),
            (WORK_LIST, "Incremntal", "watermark is blank; an Incremental load of a database needs the column that orders changes."),
        ],
    ),
    "a row that says in other words that it is not active is not judged as active": (
        [(WORK_LIST, "emr,hos-a,dbo.visits,Incremental,ModifiedDate,1,hosa", "gone,hos-a,dbo.gone,Full,,no,hosa")],
        [(WORK_LIST, "gone", "column 6: is_active 'no' is not 0 or 1.")],
    ),
    "a name that several rows have is one mistake": (
        [(CONNECTIONS, "emr:\n", "emmr:\n")],
        [(WORK_LIST, "dbo.patients", "database 'emr' has no entry in conf/connections.yml. Did you mean 'emmr'? The same in line 3.")],
    ),
    "rows that cannot be read may be what the calendar and the monitors name": (
        [
            (FEEDS, "by:", "bye:"),
            (WORK_LIST, "emr,hos-a,dbo.patients,Incremental,ModifiedDate,1,hosa", "emr,hos-a,patients2,Full,1,hosa"),
            (FEEDS, "hos-a.patients", "hos-a.patients2"),
            (MONITOR, "audit.runs", "bronze.hosa_patients2"),
        ],
        [
            (FEEDS, "bye", "hos-a.patients2.bye: this key is not known. Did you mean 'by'?"),
            (WORK_LIST, "patients2", "6 cells where the header has 7."),
        ],
    ),
    "a feed is judged behind its mistakes": (
        [(FEEDS, '{by: "06:00"}', "{by: 10:00, weekdays: [mon, tues], time_zone: America/NewYork}"), (FEEDS, "hos-a.patients", "hos-a.pateints")],
        [
            (FEEDS, "pateints", "'hos-a.pateints' is no load of load_config.csv. Did you mean 'hos-a.patients'?"),
            (FEEDS, "pateints", 'hos-a.pateints.by: expected a time in quotes, like "06:00".'),
            (FEEDS, "pateints", "hos-a.pateints.weekdays.1: expected one of mon, tue, wed, thu, fri, sat, sun. Did you mean 'tue'?"),
            (FEEDS, "pateints", "hos-a.pateints: time_zone is no zone of the IANA database, like America/New_York. Did you mean"),
        ],
    ),
    "a monitor's header and its SELECT are judged apart": (
        [
            (MONITOR, "severity: warn", "sevrity: warn"),
            (MONITOR, "run_id FROM audit.runs", "run_id, :day AS d\nFROM audit.run"),
            (MONITOR, "meaning: m", "menaing: m"),
        ],
        [
            (MONITOR, "sevrity", "sevrity: this key is not known. Did you mean 'severity'?"),
            (MONITOR, "menaing", "parameters.days.menaing: this key is not known. Did you mean 'meaning'?"),
            (MONITOR, "FROM audit", "it reads 'audit.run', which does not exist. Did you mean 'audit.runs'?"),
            (MONITOR, "parameters", "it uses ':day', which the header's parameters do not name. Did you mean 'days'?"),
        ],
    ),
    "a parameter that is left out is named": (
        [(MONITOR, "meaning: m, ", "")],
        [(MONITOR, "  days", "parameters.days.meaning: this key is required and missing.")],
    ),
    "a model's header and its SELECT are judged apart": (
        [
            (MODEL, "grain: one hospital", "grian: one hospital"),
            (MODEL, "key: [data_source]", "key: [data_sorce]"),
            (MODEL, "silver.patient.billed_amount", "silver.patient.bill_amount"),
            (MODEL, "count_if(first_name", "count_iff(fist_name"),
            (MODEL, ":as_of", ":asof"),
        ],
        [
            (MODEL, "grian", "grian: this key is not known. Did you mean 'grain'?"),
            (MODEL, "data_sorce", "key names 'data_sorce', which the SELECT does not give. Did you mean 'data_source'?"),
            (MODEL, "bill_amount", "ties_out: billed_amount names 'silver.patient.bill_amount', which does not exist; expected silver.<entity>.<column>."),
            (MODEL, "count_iff", "there is no function 'count_iff' that SQL in the configuration may call. Did you mean 'count_if'?"),
            (MODEL, "count_iff", "it names column 'fist_name', which silver.patient does not have. Did you mean 'first_name'?"),
            (MODEL, ":asof", "there is no parameter ':asof'"),
        ],
    ),
    "a model without a header is judged": (
        [(MODEL, "/*\n", "--\n"), (MODEL, "silver.patient WHERE", "silver.patent WHERE")],
        [(MODEL, "--", "expected a leading comment"), (MODEL, "silver.patent WHERE", "it reads 'silver.patent', which does not exist.")],
    ),
    "a model whose header is no YAML is judged": (
        [(MODEL, "grain: one hospital", "grain: [one hospital"), (MODEL, "silver.patient WHERE", "silver.patent WHERE")],
        [(MODEL, "description:", "this is no valid YAML"), (MODEL, "silver.patent WHERE", "it reads 'silver.patent', which does not exist.")],
    ),
    "a model whose SELECT does not parse has a header that is judged": (
        [(MODEL, "GROUP BY data_source", "GROUP data_source"), (MODEL, "silver.patient.billed_amount", "silver.patint.billed_amount")],
        [(MODEL, "GROUP data_source", "the SQL does not parse near"), (MODEL, "patint", "ties_out: billed_amount names 'silver.patint.billed_amount'")],
    ),
    "an environment is judged behind its mistakes": (
        [(LAKEHOUSE, "threads: 2", "thread: two\n  root: conf"), (LAKEHOUSE, "  root: lakehouse\n", ""), (LAKEHOUSE, "catalog: main", "catalog: ma in")],
        [
            (LAKEHOUSE, "thread: two", "local.thread: this key is not known. Did you mean 'threads'?"),
            (LAKEHOUSE, "thread: two", "local.threads: expected a whole number from 1 to 64."),
            (LAKEHOUSE, "root: conf", "local: root lies in a folder of the project itself"),
            (LAKEHOUSE, "ma in", "cluster: catalog is no plain name"),
        ],
    ),
    "a mistake in what environments share is told once": (
        [
            (LAKEHOUSE, "{max_bad_share: 0.2}", "{max_bad_shaer: 0.2, min_batch_rows: many}\n  schemas: {gold: silver}\n  catalog: ma in"),
            (LAKEHOUSE, "catalog: main\n", ""),
        ],
        [
            (LAKEHOUSE, "shaer", "default.quality.max_bad_shaer: this key is not known. Did you mean 'max_bad_share'?"),
            (LAKEHOUSE, "shaer", "default.quality.min_batch_rows: expected a whole number from 0 to 1,000,000,000."),
            (LAKEHOUSE, "gold: silver", "default: gold and silver have the same schema; each layer needs its own."),
            (LAKEHOUSE, "ma in", "default: catalog is no plain name"),
        ],
    ),
    "a block that is given twice is no other's, and one of the two may be any that is missing": (
        [
            (CONNECTIONS, "landing:\n", "emr:  # again\n"),
            (LAKEHOUSE, "cluster:\n", "cluster:  # again\n"),
            (LAKEHOUSE, "local:\n", "cluster:\n"),
            (FEEDS, "hos-a.patients", "hos-a.patients: {}\nhos-a.patients"),
        ],
        [
            (CONNECTIONS, "emr:  # again", "the key 'emr' is given twice."),
            (LAKEHOUSE, "cluster:  # again", "the key 'cluster' is given twice."),
            (FEEDS, '"06:00"', "the key 'hos-a.patients' is given twice."),
        ],
    ),
    "a key that is given twice is left out, and one of the two may be any that is missing": (
        [
            (CONNECTIONS, "time_zone: America/New_York\n  tables:\n    visits", "port: 3307\n  tables:\n    visits"),
            (CONNECTIONS, "type: files", "path: files"),
            (CONNECTIONS, "kind: nppes", "type: nppes"),
            (PATIENT, "grain: one patient", "description: one patient"),
            (PATIENT, "first_name, type: string", "first_name, name: string"),
            (VISIT, "patient_key: PatientID, npi: NPI", "npi: PatientID, npi: NPI"),
            (MODEL, "measures: {billed_amount: US dollars}", "key: {billed_amount: US dollars}"),
            (MONITOR, "meaning: m, default: 1", "default: m, default: 1"),
        ],
        [
            (CONNECTIONS, "port: 3307", "the key 'port' is given twice."),
            (CONNECTIONS, "path: landing", "the key 'path' is given twice."),
            (CONNECTIONS, "type: nppes", "the key 'type' is given twice."),
            (PATIENT, "one patient", "the key 'description' is given twice."),
            (PATIENT, "name: string", "the key 'name' is given twice."),
            (VISIT, "npi: NPI", "the key 'npi' is given twice."),
            (MODEL, "US dollars", "the key 'key' is given twice."),
            (MONITOR, "default: m", "the key 'default' is given twice."),
        ],
    ),
    "a misspelled count of a model's rows is told once": (
        [(MODEL, "{billed_amount: silver.patient.billed_amount}", "{row: silver.patient, nameles: silver.patient.billed_amount, xyz: silver.visit}")],
        [
            (MODEL, "ties_out", "ties_out names 'row', which the SELECT does not give. Did you mean 'rows'?"),
            (MODEL, "ties_out", "ties_out names 'nameles', which the SELECT does not give. Did you mean 'nameless'?"),
            (MODEL, "ties_out", "ties_out names 'xyz', which the SELECT does not give."),
        ],
    ),
    "what a misspelled count of rows ties out to is judged": (
        [(MODEL, "ties_out: {billed_amount: silver.patient.billed_amount}", "ties_out: {row: silver.patent}")],
        [
            (MODEL, "ties_out", "ties_out names 'row', which the SELECT does not give. Did you mean 'rows'?"),
            (MODEL, "ties_out", "ties_out: row names 'silver.patent', which does not exist; expected silver.<entity>. Did you mean 'silver.patient'?"),
        ],
    ),
    "waits that cannot be read are not compared": (
        [(LAKEHOUSE, "threads: 2", "retry: {first_wait_seconds: long, max_wait_seconds: 0.1}")],
        [(LAKEHOUSE, "long", "local.retry.first_wait_seconds: expected a number from 0 to 3,600.")],
    ),
}


@pytest.mark.parametrize("case", ONE_ROUND)
def test_form_and_meaning_are_judged_in_one_round(case: str, tmp_path: Path) -> None:
    edits, expected = ONE_ROUND[case]
    assert untold_in_one_round(tmp_path, edits, expected) == []
