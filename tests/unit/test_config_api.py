"""Mistakes in what an API is asked for are found before anything is asked."""

import re
from pathlib import Path

import pytest

from rcm_lakehouse.config.errors import ConfigError
from rcm_lakehouse.config.load import load_project

PROJECT = Path(__file__).resolve().parents[2]
NPPES = "npi: {{type: api, kind: nppes, base_url: 'https://registry.example/api/', tables: {{ref_npi: {0}}}}}"
NLM = "npi: {{type: api, kind: nlm_icd10cm, base_url: 'https://codes.example/search', tables: {{ref_npi: {0}}}}}"
WHO = "npi: {{type: api, kind: who_icd, base_url: 'https://icd.example/icd/release/10/2019', {0}}}"

MISTAKES = {
    "a page larger than the registry gives": (NPPES, "{ids_from: provider.npi, page_size: 500}", "nppes gives at most 200 rows a request"),
    "a page larger than the search gives": (NLM, "{queries: [{terms: E}], page_size: 501}", "nlm_icd10cm gives at most 500 rows a request"),
    "a parameter that does not exist": (NPPES, "{queries: [{stat: NC}]}", r"nppes has no parameter of this name.* Did you mean 'state'\?"),
    "a parameter of our own": (NLM, "{queries: [{terms: E, maxList: '9'}]}", "nlm_icd10cm has no parameter of this name"),
    "a blank value": (NPPES, "{queries: [{state: ' '}]}", "the value of state is blank"),
    "a value with a line end": (NPPES, '{queries: [{state: "N\\nC"}]}', "the value of state is blank, longer than 200 characters or not printable"),
    "a search without a parameter": (NPPES, "{queries: [{}]}", "the registry refuses a search without a parameter"),
    "nothing to ask for": (NPPES, "{page_size: 100}", "'network.ref_npi' asks for nothing"),
    "ids for a service without look-up": (NLM, "{ids_from: provider.npi}", "ids_from is for nppes alone"),
    "ids of an entity that does not exist": (NPPES, "{ids_from: provdier.npi}", r"Did you mean 'provider.npi'\?"),
    "ids of what the load itself makes": (NPPES, "{ids_from: ref_npi.npi}", "each would wait for the other"),
    "half of the credentials": (WHO, "token_url: 'https://icd.example/token', client_id: 'env:A'", "are given together"),
    "a secret in the file": (WHO, "token_url: 'https://icd.example/token', client_id: 'env:A', client_secret: plain", "client_secret must be a reference"),
    "an address without TLS": (NPPES.replace("https", "http"), "{ids_from: provider.npi}", "https"),
}


def project(home: Path, connection: str) -> None:
    for folder in ("cdm", "gold"):
        (home / "conf" / folder).mkdir(parents=True)
    for name in ("lakehouse.yml", *(f"cdm/{entity}.yml" for entity in ("department", "provider", "ref_npi", "ref_icd10cm"))):
        (home / "conf" / name).symlink_to(PROJECT / "conf" / name)
    (home / "conf" / "connections.yml").write_text(connection + "\n")
    (home / "load_config.csv").write_text("database,datasource,tablename,loadtype,watermark,is_active,targetpath\nnpi,network,ref_npi,Incremental,,1,network\n")


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, case: str) -> None:
    connection, options, expected = MISTAKES[case]
    project(tmp_path, connection.format(options))
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)
    found = [line for line in str(caught.value).splitlines() if re.search(expected, line)]
    assert len(found) == 1, str(caught.value)
    assert re.match(r"(conf/connections\.yml:1|load_config\.csv:2): ", found[0])


RIGHT = [(NPPES, "{ids_from: provider.npi}"), (NLM, "{queries: [{terms: E11}], page_size: 500}"), (WHO, "tables: {}")]


@pytest.mark.parametrize(("connection", "options"), RIGHT)
def test_what_is_right_is_taken(tmp_path: Path, connection: str, options: str) -> None:
    project(tmp_path, connection.format(options))
    assert set(load_project(tmp_path).connections) == {"npi"}


def test_the_sample_entries_of_the_project_are_right_when_they_are_taken_out_of_the_comment(tmp_path: Path) -> None:
    lines = (PROJECT / "conf" / "connections.yml").read_text().splitlines()
    first, last = lines.index("# nppes:"), lines.index("# The order file, an entry under `tables` of a files connection such as landing:")
    rows = [match[1] for match in (re.match(r"#   (\w+,network,\w+,\w+,,1,network)\b", line) for line in lines) if match]
    folder = {"type: files", "path: landing", "time_zone: UTC", "tables:"}
    entries = [line[2:] for line in lines[first:last]] + ["landing:", *(f"  {line}" for line in sorted(folder, key="tables:".__eq__))]
    project(tmp_path, "\n".join([*entries, *(line[1:] for line in lines[last + 1 :])]))
    (tmp_path / "load_config.csv").write_text("\n".join(["database,datasource,tablename,loadtype,watermark,is_active,targetpath", *rows]) + "\n")
    found = load_project(tmp_path)
    assert [row.label for row in found.active_loads] == ["network.ref_npi", "network.ref_icd10cm", "network.icd10_who", "network.icd10cm_order"]
