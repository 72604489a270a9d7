"""The pass over one file: encodings, line ends, quoting, malformed lines, drift, cut files, fixed width and memory. No Spark."""

import csv
import gzip
import io
import json
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rcm_lakehouse.config.connections import FileTableOptions
from rcm_lakehouse.config.errors import SourceDataError
from rcm_lakehouse.sources.files import FileItem, Look, sha256_of
from rcm_lakehouse.sources.files_header import Expected
from rcm_lakehouse.sources.files_parse import Parsed, parse_file

HEADER = "ClaimID,PatientID,ClaimAmount\n"
WIDE = "ClaimID,PatientID,ClaimAmount,PaidAmount,Note\n"


@dataclass
class Reading:
    """What a pass found and the rows it staged."""

    found: Parsed
    rows: list[dict[str, Any]]

    def values(self) -> list[dict[str, str]]:
        return [{name: value for name, value in row.items() if not name.startswith("_")} for row in self.rows if "_corrupt_record" not in row]

    def malformed(self) -> list[tuple[int, str, str]]:
        return [(row["_source_row"], row["_flags"][0], row["_corrupt_record"]) for row in self.rows if "_corrupt_record" in row]


def read(folder: Path, content: str | bytes, expected: Expected | None = None, *, name: str = "claims.csv", item: Any = None, **options: Any) -> Reading:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    known = {"is_hash_verified": False, "manifest_rows": None, **(item or {})}
    file = FileItem(path, name, "new", Look.at(path), sha256_of(path), **known)
    out = folder / "staged.jsonl"
    chosen = FileTableOptions(pattern="*", **options)
    try:
        found = parse_file(file, chosen, expected or Expected(), out)
    except SourceDataError:
        assert not out.exists(), "a refused file leaves nothing staged"
        assert path.exists(), "a refused file stays where it is"
        raise
    return Reading(found, [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]])


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8", "C1,Zoë,1\n".encode()),
        ("utf-8", b"\xef\xbb\xbf" + "C1,Zoë,1\n".encode()),
        ("utf-8-sig", "C1,Zoë,1\n".encode()),
        ("utf-16", "C1,Zoë,1\n".encode("utf-16")),
        ("utf-16", b"\xfe\xff" + "C1,Zoë,1\n".encode("utf-16-be")),
        ("utf-16-le", b"\xff\xfe" + "C1,Zoë,1\n".encode("utf-16-le")),
        ("utf-16-le", "C1,Zoë,1\n".encode("utf-16-le")),
        ("utf-16-be", "C1,Zoë,1\n".encode("utf-16-be")),
        ("latin-1", "C1,Zoë,1\n".encode("latin-1")),
        ("windows-1252", "C1,Zoë,1\n".encode("cp1252")),
    ],
)
def test_F29_every_encoding_gives_the_same_row(tmp_path: Path, encoding: str, content: bytes) -> None:
    reading = read(tmp_path, content, encoding=encoding, header=False, columns=("ClaimID", "PatientID", "ClaimAmount"))
    assert reading.values() == [{"ClaimID": "C1", "PatientID": "Zoë", "ClaimAmount": "1"}]
    assert reading.found.columns == ("ClaimID", "PatientID", "ClaimAmount")


@pytest.mark.parametrize(
    ("encoding", "content", "says"),
    [
        ("utf-8", "ClaimID\nZoë\n".encode("latin-1"), "bytes that are not utf-8"),
        ("utf-8", "ClaimID\nZoë\n".encode("utf-16"), "byte order mark of UTF-16 but encoding is utf-8"),
        ("latin-1", b"\xef\xbb\xbf" + "ClaimID\nZoë\n".encode(), "byte order mark of UTF-8 but encoding is latin-1"),
        ("utf-16", "ClaimID\nZoë\n".encode("utf-16-le"), "no byte order mark"),
        ("utf-16", "ClaimID\nZoë\n".encode("utf-16")[:-1], "bytes that are not utf-16"),
        ("utf-8", "ClaimID\nC1\n".encode("utf-16-le"), "no column name has"),
        ("utf-8", b"ClaimID,PatientID\rC1,P1\rC2,P2\r", "no column name has"),
    ],
)
def test_F29_a_wrong_encoding_or_line_end_refuses_the_file_and_says_what_to_set(tmp_path: Path, encoding: str, content: bytes, says: str) -> None:
    with pytest.raises(SourceDataError, match=says) as error:
        read(tmp_path, content, encoding=encoding, require_final_newline=False)
    assert "Nothing of it was loaded; it stays in the landing folder." in str(error.value)
    assert "Zo" not in str(error.value), "no value of a row is quoted"


def test_F29_lost_characters_are_counted_and_kept_aside_or_refuse_the_file_or_pass_as_configured(tmp_path: Path) -> None:
    content = HEADER + "C1,Zo\ufffd,1\nC2,P2,2\n"
    reading = read(tmp_path, content)
    assert reading.malformed() == [(2, "lost_character", "C1,Zo\ufffd,1")]
    assert (reading.found.records, reading.found.malformed) == (2, {"lost_character": 1})
    assert read(tmp_path, content, lost_characters="allow").found.malformed == {}
    with pytest.raises(SourceDataError, match=r"1 of its lines hold U\+FFFD"):
        read(tmp_path, content, lost_characters="fail")


def test_F29_nul_characters_are_malformed_with_their_text(tmp_path: Path) -> None:
    reading = read(tmp_path, HEADER + 'C1,P\x001,1\nC2,"P\x002",2\nC3,P3,3\n')
    assert reading.malformed() == [(2, "nul_character", "C1,P\x001,1"), (3, "nul_character", 'C2,"P\x002",2')]
    assert [row["ClaimID"] for row in reading.values()] == ["C3"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("delimiter", "quote"), [(",", '"'), ("|", '"'), (";", '"'), ("\t", '"'), (",", "'")])
def test_F29_line_ends_and_delimiters_change_no_value(tmp_path: Path, end: str, delimiter: str, quote: str) -> None:
    lines = [
        ("ClaimID", "PatientID", "Note"),
        ("C1", "P1", f"{quote}12 Main St{delimiter} Springfield{quote}"),
        ("C2", "P2", f"{quote}line 1{end}line 2{end}{end}line 4{quote}"),
        ("C3", "", f"{quote}say {quote}{quote}hi{quote}{quote}{quote}"),
        ("C4", "P4", f"{quote}{quote}"),
    ]
    reading = read(tmp_path, "".join(delimiter.join(cells) + end for cells in lines), delimiter=delimiter, quote=quote)
    assert reading.values() == [
        {"ClaimID": "C1", "PatientID": "P1", "Note": f"12 Main St{delimiter} Springfield"},
        {"ClaimID": "C2", "PatientID": "P2", "Note": "line 1\nline 2\n\nline 4"},
        {"ClaimID": "C3", "Note": f"say {quote}hi{quote}"},
        {"ClaimID": "C4", "PatientID": "P4"},
    ]
    assert [row["_source_row"] for row in reading.rows] == [2, 3, 7, 8]


def test_Q23_malformed_lines_keep_their_text_their_line_and_their_reason(tmp_path: Path) -> None:
    long_text = "x" * 2000
    content = WIDE + "\n".join(
        [
            "C1,P1,10.00,5.00,good",
            "C2,P2,10.00",
            "C3,P3,10.00,5.00,note,one more",
            'C4,P4,10.00,5.00,"never closed',
            "C5,P5,10.00,5.00,good",
            'C6,P6,10.00,5.00,"closed"badly',
            f"C7,P7,10.00,5.00,{long_text}",
            "C8,P8,10.00,5.00,a\rb",
            "",
            "C9,P9,10.00,5.00,good",
            f'C10,P10,10.00,5.00,"{long_text}"',
            "",
        ]
    )
    reading = read(tmp_path, content, max_record_characters=1000)
    assert reading.malformed() == [
        (3, "too_few_values", "C2,P2,10.00"),
        (4, "too_many_values", "C3,P3,10.00,5.00,note,one more"),
        (5, "broken_quote", 'C4,P4,10.00,5.00,"never closed'),
        (7, "broken_quote", 'C6,P6,10.00,5.00,"closed"badly'),
        (8, "too_long", f"C7,P7,10.00,5.00,{long_text}"[:1000]),
        (9, "lone_carriage_return", "C8,P8,10.00,5.00,a\rb"),
        (12, "too_long", f'C10,P10,10.00,5.00,"{long_text}'[:1000]),
    ]
    assert [row["ClaimID"] for row in reading.values()] == ["C1", "C5", "C9"]
    raw_lines = content.count("\n")
    assert reading.found.records + reading.found.blank_lines + 1 == raw_lines, "header, records and blank lines are all lines"
    assert reading.found.blank_lines == 1


def test_Q23_two_broken_quotes_do_not_swallow_the_sound_lines_between_them(tmp_path: Path) -> None:
    content = WIDE + 'C1,P1,1,1,"open\nC2,P2,2,2,sound\nC3,P3,3,3,sound\nC4,P4,4,4,x"\n'
    reading = read(tmp_path, content)
    assert reading.malformed() == [(2, "broken_quote", 'C1,P1,1,1,"open')]
    assert [row["ClaimID"] for row in reading.values()] == ["C2", "C3", "C4"]


def test_F31_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    with path.open("w") as stream:
        stream.write(HEADER + "C1,P1,1\n")
        for _ in range(64):
            stream.write("y" * 1_000_000)
        stream.write("\nC2,P2,2\n")
    content = path.read_bytes()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        reading = _read_there(path, max_record_characters=10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(content) > 64_000_000
    assert peak < 4_000_000, f"peak {peak:,} bytes"
    assert reading.malformed() == [(3, "too_long", "y" * 10_000)]
    assert [row["ClaimID"] for row in reading.values()] == ["C1", "C2"]


def _read_there(path: Path, **options: Any) -> Reading:
    out = path.with_name("staged.jsonl")
    found = parse_file(FileItem(path, path.name, "new", Look.at(path), "0"), FileTableOptions(pattern="*", **options), Expected(), out)
    with out.open(encoding="utf-8") as stream:
        return Reading(found, [json.loads(line) for line in stream])


def test_a_big_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    with path.open("w") as stream:
        stream.write(HEADER)
        stream.writelines(f"C{number:07d},{number:0>240d},{number}.25\n" for number in range(50_000))
    item = FileItem(path, path.name, "new", Look.at(path), "0")
    tracemalloc.start()
    try:
        found = parse_file(item, FileTableOptions(pattern="*"), Expected(), tmp_path / "staged.jsonl")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.records, found.malformed) == (50_000, {})
    assert path.stat().st_size > 12_000_000
    assert peak < 500_000, f"peak {peak:,} bytes"


def test_F25_a_cut_or_broken_gzip_is_refused_whole(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + "".join(f"C{n},P{n},{n}.00\n" for n in range(20_000))).encode())
    assert read(tmp_path, whole, name="claims.csv.gz").found.records == 20_000
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    for content in (whole[: len(whole) // 2], whole[:-4], b"", bytes(broken), b"ClaimID,PatientID,ClaimAmount\n"):
        with pytest.raises(SourceDataError, match="its gzip stream is cut or broken"):
            read(tmp_path, content, name="claims.csv.gz")


def test_F26_a_file_cut_inside_a_line_or_inside_its_last_value_is_refused(tmp_path: Path) -> None:
    for cut in ("C1,P1,15372.00\nC2,P2,15372.00"[:-3], "C1,P1,15372.00\nC2,P", ""):
        with pytest.raises(SourceDataError, match="may be cut inside its last value"):
            read(tmp_path, (HEADER + cut).removesuffix("\n"))
    manifest_by_rows = {"manifest_rows": 2}
    with pytest.raises(SourceDataError, match="may be cut inside its last value"):
        read(tmp_path, HEADER + "C1,P1,15372.00\nC2,P2,153", item=manifest_by_rows)
    verified = {"manifest_rows": 2, "is_hash_verified": True}
    assert read(tmp_path, HEADER + "C1,P1,15372.00\nC2,P2,15372.00", item=verified).found.records == 2
    assert read(tmp_path, HEADER + "C1,P1,15372.00", require_final_newline=False).found.records == 1


def test_F26_a_manifest_with_another_count_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(SourceDataError, match="it has 1 records but its manifest says 2"):
        read(tmp_path, HEADER + "C1,P1,1\n", item={"manifest_rows": 2})
    assert read(tmp_path, HEADER + 'C1,P1,"1\n2"\nshort\n', item={"manifest_rows": 2}).found.malformed == {"too_few_values": 1}


def test_I25_a_header_alone_and_an_empty_file_follow_the_policy(tmp_path: Path) -> None:
    for content, name in ((HEADER, "a.csv"), ("", "b.csv"), ("ClaimID\r\n", "c.csv"), (gzip.compress(b""), "d.csv.gz"), (b"\xff\xfe", "e.csv")):
        encoding = "utf-16" if name == "e.csv" else "utf-8"
        assert read(tmp_path, content, name=name, encoding=encoding).found.records == 0
        with pytest.raises(SourceDataError, match="it has no record"):
            read(tmp_path, content, name=name, encoding=encoding, zero_rows="fail")


def test_I31_columns_are_met_by_name_in_any_order_and_case(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID", "PatientID"), required=("ClaimID",), known=("ClaimID", "PatientID", "ClaimAmount"))
    reading = read(tmp_path, "claimamount,PATIENTID,claimId\n1.10,P1,C1\n", expected)
    assert reading.values() == [{"ClaimAmount": "1.10", "PatientID": "P1", "ClaimID": "C1"}]
    assert reading.found.columns == ("ClaimAmount", "PatientID", "ClaimID")
    assert reading.found.added == ()


def test_D03_a_missing_required_column_is_refused_with_the_nearest_name_and_an_optional_one_is_told(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID", "PatientID", "ModifiedDate"), required=("ClaimID", "ModifiedDate"))
    with pytest.raises(SourceDataError, match=r"its header lacks the column 'ClaimID' \(Did you mean 'Claim_ID'\?\)"):
        read(tmp_path, "Claim ID,PatientID,ModifiedDate\nC1,P1,2026-01-01\n", expected)
    with pytest.raises(SourceDataError, match="its header lacks the columns 'ClaimID', 'ModifiedDate'"):
        read(tmp_path, "PatientID\nP1\n", expected)
    reading = read(tmp_path, "ClaimID,ModifiedDate\nC1,2026-01-01\n", expected)
    assert reading.found.missing == ("PatientID",)


@pytest.mark.parametrize("name", ["_load_id", "_ROW_HASH", "data_source", "_source_file"])
def test_D09_a_column_named_like_ours_is_refused_and_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceDataError, match=f"the column '{name}', a name that the lakehouse gives"):
        read(tmp_path, f"ClaimID,{name}\nC1,x\n", Expected(reserved=("_load_id", "_row_hash", "data_source", "_source_file")))


def test_D04_a_column_twice_or_without_a_name_is_refused_and_blanks_become_underscores(tmp_path: Path) -> None:
    with pytest.raises(SourceDataError, match="has the column 'ClaimID' twice"):
        read(tmp_path, "ClaimID,claimid\n1,2\n")
    with pytest.raises(SourceDataError, match="has the column 'CPT_Codes' twice"):
        read(tmp_path, "CPT Codes,CPT_Codes\n1,2\n")
    with pytest.raises(SourceDataError, match="column 2 of its header has no name"):
        read(tmp_path, "ClaimID,,x\n1,2,3\n")
    with pytest.raises(SourceDataError, match="broken quote"):
        read(tmp_path, '"ClaimID,PatientID\n1,2\n')
    assert read(tmp_path, ' CPT Codes ,"a;b(c)=`d`"\n1,2\n').found.columns == ("CPT_Codes", "a_b_c___d_")


def test_D01_the_drift_policy_decides_about_a_new_column(tmp_path: Path) -> None:
    expected = Expected(used=("ClaimID",), known=("ClaimID", "PatientID"))
    content = "ClaimID,PatientID,Extra\nC1,P1,\nC2,P2,news\nC3,P3,more\n"
    evolved = read(tmp_path, content, expected, drift="evolve")
    assert (evolved.found.added, evolved.found.columns) == (("Extra",), ("ClaimID", "PatientID", "Extra"))
    assert evolved.values()[1] == {"ClaimID": "C2", "PatientID": "P2", "Extra": "news"}
    with pytest.raises(SourceDataError, match="new column 'Extra' and the drift policy is freeze"):
        read(tmp_path, content, expected, drift="freeze")
    discarded = read(tmp_path, content, expected, drift="discard")
    assert (discarded.found.discarded, discarded.found.columns) == ({"Extra": 2}, ("ClaimID", "PatientID"))
    assert discarded.values() == [{"ClaimID": f"C{n}", "PatientID": f"P{n}"} for n in (1, 2, 3)]
    quarantined = read(tmp_path, content, expected, drift="quarantine")
    assert quarantined.values() == [{"ClaimID": "C1", "PatientID": "P1"}]
    assert quarantined.malformed() == [(3, "unknown_column", "C2,P2,news"), (4, "unknown_column", "C3,P3,more")]


def test_D01_without_an_earlier_file_nothing_is_new_unless_columns_are_given(tmp_path: Path) -> None:
    first = Expected(used=("ClaimID",))
    assert read(tmp_path, "ClaimID,Extra\nC1,x\n", first, drift="freeze").found.columns == ("ClaimID", "Extra")
    with pytest.raises(SourceDataError, match="new column 'Extra'"):
        read(tmp_path, "ClaimID,PatientID,Extra\nC1,P1,x\n", first, drift="freeze", columns=("ClaimID", "PatientID"))


def test_an_icd10cm_order_file_is_read_by_position_and_a_cut_line_is_malformed(tmp_path: Path) -> None:
    columns, widths = ("order", "code", "is_billable", "short", "long"), ((1, 5), (7, 13), (15, 15), (17, 76), (78, None))
    long_text = "A made-up condition of some length, with commas, \"quotes\" and more than a hundred characters in its long description"
    lines = [
        f"{'00001':<5} {'Z9X':<7} 0 {'Made-up group':<60} Made-up group",
        f"{'00002':<5} {'Z9X1':<7} 1 {'Made-up condition, short':<60} {long_text}",
        f"{'00003':<5} {'Z9X2':<7} 1 Cut in its short tit",
        f"{'00004':<5} {'Z9X3':<7} 1 {'No long text':<60}",
    ]
    reading = read(tmp_path, "\r\n".join(lines) + "\r\n", format="fixed", columns=columns, widths=widths)
    assert reading.values() == [
        {"order": "00001", "code": "Z9X", "is_billable": "0", "short": "Made-up group", "long": "Made-up group"},
        {"order": "00002", "code": "Z9X1", "is_billable": "1", "short": "Made-up condition, short", "long": long_text},
    ]
    assert [(line, reason) for line, reason, _ in reading.malformed()] == [(3, "too_short"), (4, "too_short")]
    assert reading.found.records == 4


def test_money_stays_the_text_it_was(tmp_path: Path) -> None:
    amounts = ["0.10", "12345678901234.56", "1e3", "$1,000.10", "-0.005", "00012.50"]
    reading = read(tmp_path, HEADER + "".join(f'C{n},P,"{amount}"\n' for n, amount in enumerate(amounts)))
    assert [row["ClaimAmount"] for row in reading.values()] == amounts


_CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\ufffd\r"), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(_CELL.filter(lambda text: text.strip() != ""), _CELL, _CELL), max_size=8),
    st.sampled_from([",", "|", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read_back_record_by_record(tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, end: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([("a", "b", "c"), *rows])
    reading = read(tmp_path, text.getvalue(), delimiter=delimiter)
    wanted = [{name: cell for name, cell in zip("abc", row, strict=True) if cell != ""} for row in rows]
    assert reading.values() == wanted
    assert reading.found.malformed == {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(lines=['"', '",,\x00'])
@given(st.lists(st.text(st.sampled_from('ab,"\r \t\ufffd\x00'), max_size=14), max_size=12))
def test_F31_whatever_the_lines_are_none_is_lost(tmp_path: Path, lines: list[str]) -> None:
    reading = read(tmp_path, "a,b,c\n" + "".join(line + "\n" for line in lines))
    numbers = [row["_source_row"] for row in reading.rows]
    assert numbers == sorted(set(numbers))
    assert reading.found.records == len(numbers)
    covered = set(numbers)
    inner = {at for row in reading.rows for at in _lines_of(row)}
    blank = {at for at, line in enumerate(lines, 2) if not line.removesuffix("\r") or line.removesuffix("\r").isspace()}
    assert set(range(2, len(lines) + 2)) <= covered | inner | blank
    for number, _, text in reading.malformed():
        # A record over several lines that is malformed as a whole keeps the text of all of them.
        spanned = lines[number - 2 : number - 1 + text.count("\n")]
        assert text == "\n".join(line.removesuffix("\r") for line in spanned)


def _lines_of(row: dict[str, Any]) -> range:
    ends = sum(str(value).count("\n") for name, value in row.items() if not name.startswith("_") or name == "_corrupt_record")
    return range(row["_source_row"], row["_source_row"] + ends + 1)
