"""Quotes in lines of a CSV file: values that go on over lines, and stray quotes that make no record of several. No Spark."""

from pathlib import Path

import pytest
from files_read import WIDE, read


def test_Q23_two_broken_quotes_do_not_swallow_the_sound_lines_between_them(tmp_path: Path) -> None:
    content = WIDE + 'C1,P1,1,1,"open\nC2,P2,2,2,sound\nC3,P3,3,3,sound\nC4,P4,4,4,x"\nC5,P5,5,5,sound\n'
    reading = read(tmp_path, content)
    assert reading.malformed() == [(2, "broken_quote", 'C1,P1,1,1,"open'), (5, "broken_quote", 'C4,P4,4,4,x"')]
    assert [row["ClaimID"] for row in reading.values()] == ["C2", "C3", "C5"]


@pytest.mark.parametrize(
    ("first", "last"),
    [('"C1, P1, 1, 1, open', 'C4", P4, 4, 4, x'), ('C1, P1, 1, 1,"open', 'C4, P4"'), ('"C1, P1', 'C4, P4, 4", 4, 4, 4, x')],
)
def test_Q23_a_sound_line_of_a_file_that_has_blanks_behind_its_delimiters_is_a_record(tmp_path: Path, first: str, last: str) -> None:
    reading = read(tmp_path, WIDE + f"{first}\nC2, P2, 2, 2, sound\n{last}\n")
    assert [row["ClaimID"] for row in reading.values()] == ["C2"]
    assert [text for _, _, text in reading.malformed()] == [first, last]


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        (WIDE, 'C1,P1,1,"10,one', 'C2,P2,2,20",two'),
        (WIDE, 'C1,"Smith, Ann",1,"10,one', 'C2,P2,2,20","two, 2"'),
        (WIDE, '"C1,P1,1,10,one', 'C2",P2,2,20,two'),
        (WIDE, 'C1, P1, 1, 10,"one', 'C2, P2, 2, 20, two"'),
        ("Code,Text,Unit,Status\n", '1,"five,ml,on', '2,six",ml,on'),
        ("Code,Text,Unit\n", '1,"five,', '2,six",'),
        ("Code,Text\n", '1,"five', '2,six"'),
    ],
)
def test_Q23_stray_quotes_in_two_lines_make_no_record_of_both(tmp_path: Path, header: str, first: str, second: str) -> None:
    width = header.count(",") + 1
    sound = "9," * (width - 1) + "9"
    content = "\n".join([header + sound, first, second, sound, ""])
    reading = read(tmp_path, content)
    assert reading.malformed() == [(3, "broken_quote", first), (4, "broken_quote", second)]
    assert [row["_source_row"] for row in reading.rows] == [2, 3, 4, 5]
    assert reading.values() == [dict.fromkeys(header.strip().split(","), "9")] * 2


@pytest.mark.parametrize(
    ("header", "record", "value"),
    [
        (WIDE, 'C1,P1,1,1,"two lines:\nof words"', "two lines:\nof words"),
        (WIDE, 'C1,"12 Main St, Rear\nSpringfield, IL",1,1,x', "12 Main St, Rear\nSpringfield, IL"),
        (WIDE, '"C1\nand more",P1,1,1,x', "C1\nand more"),
        (WIDE, 'C1,P1,1,1,"see\n\nP1, P2, P3, and so on"', "see\n\nP1, P2, P3, and so on"),
        (WIDE, 'C1,P1,1,1,"Dear John, this is\nSmith, John, 12, Main St, NY\nbye"', "Dear John, this is\nSmith, John, 12, Main St, NY\nbye"),
        (WIDE, 'C1,P1,"seen by, as\nSmith, John, 12, Main St, NY\nsays, me",1,x', "seen by, as\nSmith, John, 12, Main St, NY\nsays, me"),
        (WIDE, 'C1,10.00,1,1,"Vitals:\n120, 37, 98, 16, stable\nall fine"', "Vitals:\n120, 37, 98, 16, stable\nall fine"),
        ("Code,Text\n", '1,"five lines\nof words, and more"', "five lines\nof words, and more"),
        ("Code,Text\n", '1,"five lines\nof words"', "five lines\nof words"),
        ("Code,Text,Unit\n", '1,"Smith, Ann\nWu, Li",x', "Smith, Ann\nWu, Li"),
        ("Text\n", '"a\nb"', "a\nb"),
    ],
)
def test_a_quoted_value_goes_on_over_lines_that_are_no_records(tmp_path: Path, header: str, record: str, value: str) -> None:
    reading = read(tmp_path, header + record + "\n")
    assert (reading.found.records, reading.found.malformed) == (1, {})
    assert value in reading.values()[0].values()
