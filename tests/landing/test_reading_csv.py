"""CSV as the contract has it is read to the letter; anything else is refused, without a word of what it says."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import orchestration.reading as reading
from orchestration.manifest import DeliveredFile, Refusal
from orchestration.reading import Read, read_extract

SECRET = "90122500159"
"""Stands in the rows of refused files; no message may repeat it."""
COLUMNS = ["insz", "begin", "einde"]


def read(path: Path, content: bytes, rows: int, columns: Sequence[str] = COLUMNS) -> tuple[Read, list[dict]]:
    (path / "in.csv").write_bytes(content)
    file = DeliveredFile("doelgroepen", "sub/in.csv", "csv", rows, "0" * 64)
    result = read_extract(path / "in.csv", file, columns, path / "out.parquet", "d1")
    return result, pq.read_table(path / "out.parquet").to_pylist()


def values(path: Path, content: bytes, columns: Sequence[str] = COLUMNS, rows: int | None = None) -> list[tuple]:
    """The rows read, as tuples, without their numbers; by default whatever number of rows there is."""
    if rows is None:
        with pytest.raises(Refusal, match="row_count_mismatch") as caught:
            read(path, content, -1, columns)
        rows = int(caught.value.detail.split("holds ")[1].split()[0])
    result, found = read(path, content, rows, columns)
    assert result.rows == rows and [row.pop("line_number") for row in found] == list(range(1, rows + 1))
    return [tuple(row.values()) for row in found]


def refused(path: Path, content: bytes, columns: Sequence[str] = COLUMNS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(path, content, 1, columns)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown and "Arrow" not in shown and "Unicode" not in shown
    assert caught.value.detail.startswith("Delivery d1, file sub/in.csv: ") and caught.value.detail.endswith(".")
    return caught.value


# Read


def test_text_parquet_has_number_and_columns_in_the_expected_order(tmp_path: Path) -> None:
    result, rows = read(tmp_path, b"einde;more;insz;begin\n2020-01-02;x;a;2020-01-01\n;;b;\n", 2)
    assert result == Read(2, ["more"])
    assert rows == [
        {"line_number": 1, "insz": "a", "begin": "2020-01-01", "einde": "2020-01-02"},
        {"line_number": 2, "insz": "b", "begin": None, "einde": None},
    ]
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.types == [pa.int64(), pa.string(), pa.string(), pa.string()]


@pytest.mark.parametrize(
    "content",
    [
        b"insz;begin;einde\na;b;c\nd;e;f\n",
        b"insz;begin;einde\na;b;c\nd;e;f",
        b"insz;begin;einde\r\na;b;c\r\nd;e;f\r\n",
        b"insz;begin;einde\r\na;b;c\r\nd;e;f",
        b"insz;begin;einde\na;b;c\r\nd;e;f\n",
        b"\xef\xbb\xbfinsz;begin;einde\na;b;c\nd;e;f\n",
        b'\xef\xbb\xbf"insz";"begin";"einde"\n"a";"b";"c"\n"d";"e";"f"\n',
        b'insz;begin;einde\na;"b";c\n"d";e;"f"',
        b"\n\r\n\ninsz;begin;einde\n\na;b;c\n\r\n\nd;e;f\n\n\n",
        b"\xef\xbb\xbf\ninsz;begin;einde\na;b;c\nd;e;f\n",
        b"  \ninsz;begin;einde\n \t \na;b;c\n\xc2\xa0\nd;e;f\n  ",
        b" insz ;\tbegin;\xc2\xa0einde \n a ; b;c\t\n\xe3\x80\x80d\xe2\x80\x89;e;f\n",
        b'" insz ";begin;einde\n" a ";b;c\nd;"\te";f\n',
        b"begin;einde;insz\nb;c;a\ne;f;d\n",
        b"insz;;begin;einde;\na;x;b;c;x\nd;x;e;f;x\n",
    ],
)
def test_the_same_rows_however_they_are_written(tmp_path: Path, content: bytes) -> None:
    assert values(tmp_path, content, rows=2) == [("a", "b", "c"), ("d", "e", "f")]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"", None),
        (b'""', None),
        (b"   ", None),
        (b'" \t "', None),
        (b"\xc2\xa0\xe2\x80\x83", None),
        (b'"a;b"', "a;b"),
        (b'"a""b"', 'a"b'),
        (b'""""', '"'),
        (b'""""""', '""'),
        (b'"a\nb"', "a\nb"),
        (b'"a\r\nb"', "a\r\nb"),
        (b'"a\rb"', "a\rb"),
        (b'"a\n\n\nb"', "a\n\n\nb"),
        (b'"\n"', None),
        (b'";"', ";"),
        (b'"";;"'[:2], None),
        (b"a b", "a b"),
        (b"a  b", "a  b"),
        (b"NULL", "NULL"),
        (b"null", "null"),
        (b"NA", "NA"),
        (b"nan", "nan"),
        (b"#N/A", "#N/A"),
        (b"\\N", "\\N"),
        (b"0012", "0012"),
        (b"1e3", "1e3"),
        (b"2020-01-01", "2020-01-01"),
        (b"TRUE", "TRUE"),
        (b"'a;b"[:2], "'a"),
        (b"a\\", "a\\"),
        (b"#a", "#a"),
        ("Ærøskøbing, 東京 🙂".encode(), "Ærøskøbing, 東京 🙂"),
        ("e\u0301".encode(), "e\u0301"),  # not composed
        (b"\xef\xbb\xbfa", "\ufeffa"),  # no white space
        (b"\xe2\x80\x8ba", "\u200ba"),
    ],
)
def test_a_field(tmp_path: Path, written: bytes, value: str | None) -> None:
    content = b"insz;begin;einde\nx;" + written + b";y\n" + b"z;" + written + b";\n"
    assert values(tmp_path, content, rows=2) == [("x", value, "y"), ("z", value, None)]


def test_a_byte_order_mark_is_one_only_where_the_file_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CHUNK", 1)  # every row begins a chunk
    content = "\ufeffinsz;begin;einde\n\ufeffa;b;c\n\ufeffa;b;c\n".encode()
    assert values(tmp_path, content, rows=2) == [("\ufeffa", "b", "c")] * 2


def test_white_space_is_what_python_strips(tmp_path: Path) -> None:
    spaces = [chr(point) for point in range(0x11000) if chr(point).isspace() and chr(point) not in "\r\n"]
    assert len(spaces) > 20
    content = "insz;begin;einde\n" + "".join(f"{space}a{space}{space}b{space};{space};\n" for space in spaces)
    assert values(tmp_path, content.encode()) == [(f"a{space}{space}b", None, None) for space in spaces]


def test_only_einde_may_be_open_and_only_verwijderd_may_say_false(tmp_path: Path) -> None:
    columns = ["begin", "einde", "onderdeel_mo", "verwijderd"]
    content = (
        b"begin;einde;onderdeel_mo;verwijderd\n9999-12-31;9999-12-31;false;false\n;\xc2\xa09999-12-31 ;true;true\n"
        b";9999-12-30;;False\n;99991231;;0\n"
    )
    assert values(tmp_path, content, columns) == [
        ("9999-12-31", None, "false", None),
        (None, None, "true", "true"),
        (None, "9999-12-30", None, "False"),
        (None, "99991231", None, "0"),
    ]


@pytest.mark.parametrize("content", [b"insz;begin;einde", b"insz;begin;einde\n", b"\ninsz;begin;einde\r\n\r\n \n\n"])
def test_a_header_alone_is_no_rows(tmp_path: Path, content: bytes) -> None:
    assert values(tmp_path, content, rows=0) == []


def test_a_row_of_empty_fields_is_a_row(tmp_path: Path) -> None:
    assert values(tmp_path, b"insz;begin;einde\n;;\n\n;;\n", rows=2) == [(None, None, None)] * 2


def test_a_header_may_run_over_lines(tmp_path: Path) -> None:
    content = b'insz;"a\n;""b";begin;einde\na;x;b;c\n'
    assert read(tmp_path, content, 1)[0].unexpected_columns == ['a\n;"b']


def test_unexpected_columns_may_have_any_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"insz;x;x;begin;;einde;\n1;2;3;4;5;6;7\n", 1)[0].unexpected_columns == ["x", "x", "", ""]


def test_rows_over_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a chunk ends: in a character, a quoted field, between CR and LF, between two quotes."""
    rows = [(f"é{n}" * (n % 9), f'a"\r\n;{n}', "x" * (n % 40) or None) for n in range(400)]
    lines = ["insz;begin;einde"] + [
        ";".join('"' + (field or "").replace('"', '""') + '"' for field in row) for row in rows
    ]
    for chunk in (1, 2, 3, 64, 4096):
        monkeypatch.setattr(reading, "_CHUNK", chunk)
        monkeypatch.setattr(reading, "_ROW_GROUP", chunk)
        got = values(tmp_path, "\r\n".join(lines).encode(), rows=400)
        assert got == [(a or None, b, c) for a, b, c in rows]


def test_a_field_of_many_megabytes(tmp_path: Path) -> None:
    field = 'x;"\n' * (1 << 20)
    written = field.replace('"', '""')
    content = f'insz;begin;einde\na;b;c\na;"{written}";c\na;b;c\n'.encode()
    assert values(tmp_path, content, rows=3)[1] == ("a", field.strip(), "c")


def test_row_groups_are_of_a_size_that_duckdb_likes(tmp_path: Path) -> None:
    read(tmp_path, b"insz;begin;einde\n" + b"a;b;c\n" * 500_000, 500_000)
    file = pq.ParquetFile(tmp_path / "out.parquet").metadata
    sizes = [file.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert all(122_880 <= size <= 400_000 for size in sizes[:-1]) and sum(sizes) == 500_000


# Refused

HEADER = b"insz;begin;einde\n"
GOOD = f"{SECRET};2020-01-01;\n".encode()
UNREADABLE = {
    "quote never closed": (HEADER + GOOD + b'a;"' + GOOD + GOOD, "a quote on line 3 that is never closed"),
    "quote never closed at the end": (HEADER + GOOD + b'a;b;"', "a quote on line 3 that is never closed"),
    "a lone quote": (HEADER + b'"\n', "a quote on line 2"),
    "quote never closed, then quoted fields": (HEADER + b'a;"b;c\n"d";e;f\n', "quote on line 3, or one before it"),
    "quote in the header": (b'insz;"begin;einde\n' + GOOD, "a quote on line 1 that is never closed"),
    "quote within a field": (HEADER + GOOD + SECRET.encode() + b'"x;b;c\n', "on line 3"),
    "two quotes within a field": (HEADER + GOOD + b'a"b"c;b;c\n', "on line 3"),
    "inches": (HEADER + b'a;5";6"\n', "on line 2"),
    "text after the closing quote": (HEADER + b'"a"b;b;c\n', "on line 2"),
    "space after the closing quote": (HEADER + b'"a" ;b;c\n', "on line 2"),
    "space before the opening quote": (HEADER + b'a; "b";c\n', "on line 2"),
    "escape by backslash": (HEADER + b'"a\\"b";b;c\n', "on line 2"),
    "NUL": (HEADER + GOOD + SECRET.encode() + b"\0;b;c\n", "not UTF-8 text on line 3"),
    "NUL in quotes": (HEADER + b'"\n\0";b;c\n', "on line 3"),
    "NUL in a column left out": (b"insz;begin;einde;x\na;b;c;\0\n", "on line 2"),
    "NUL in the header": (b"insz;begin;einde;\0\na;b;c;d\n", "on line 1"),
    "NUL at the end": (HEADER + GOOD + b"\0", "on line 3"),
    "Latin-1": (HEADER + GOOD + b"Andr\xe9;b;c\n", "not UTF-8 text on line 3"),
    "Latin-1 in a column left out": (b"insz;begin;einde;x\na;b;c;\xe9\n", "on line 2"),
    "Latin-1 in the header": (b"insz;begin;einde;ann\xe9e\na;b;c;d\n", "on line 1"),
    "a character cut off": (HEADER + b"a;b;\xc3", "on line 2"),
    "overlong": (HEADER + b"a;b;\xc0\xaf\n", "on line 2"),
    "surrogate": (HEADER + b"a;b;\xed\xa0\x80\n", "on line 2"),
    "UTF-16": ((HEADER + GOOD).decode().encode("utf-16"), "not UTF-8"),
    "UTF-16 without mark": ((HEADER + GOOD).decode().encode("utf-16-le"), "not UTF-8"),
    "Parquet": (b"PAR1\0\0\0\0PAR1", "not UTF-8"),
    "one field more": (
        HEADER + GOOD + b"\n" + GOOD[:-1] + b";\n",
        "4 fields where the header names 3 columns, in data row 2.",
    ),
    "one field less": (
        HEADER + GOOD + b" \n" + GOOD + SECRET.encode() + b";b\n" + GOOD,
        "2 fields where the header names 3 columns, in data row 3.",
    ),
    "one field": (HEADER + SECRET.encode() + b"\n", "1 fields where the header names 3 columns, in data row 1."),
    "a comment": (HEADER + b"# " + GOOD, ""),
    "a quoted blank": (HEADER + b'" "\n', "1 fields where the header names 3 columns, in data row 1."),
    "line break outside quotes": (HEADER + b"a;b\nc;d\n", "2 fields where the header names 3 columns, in data row 1."),
    "other separator in a row": (
        HEADER + GOOD.replace(b";", b","),
        "1 fields where the header names 3 columns, in data row 1.",
    ),
    "rows after quoted line breaks": (HEADER + b'"a\n\n";b;c\n\n' * 3 + GOOD[:-1] + b";\n", "in data row 4"),
    "lone CR as line end": (HEADER.replace(b"\n", b"\r") + GOOD.replace(b"\n", b"\r"), "carriage return of its own"),
    "lone CR in a field": (HEADER + GOOD + b"a\rb;b;c\n", "carriage return of its own on line 3"),
    "lone CR at the end": (HEADER + GOOD + b"\r", "on line 3"),
    "two CR": (HEADER + b"a;b;c\r\r\n", "on line 2"),
    "expected column twice": (b"insz;begin;einde;begin\na;b;c;d\n", "more than one column begin"),
}


@pytest.mark.parametrize(("content", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_file(tmp_path: Path, content: bytes, reason: str) -> None:
    if reason == "":
        assert values(tmp_path, content, rows=1)  # there are no comments: it is a row
        return
    refusal = refused(tmp_path, content)
    assert (refusal.code, reason in refusal.detail) == ("file_unreadable", True), refusal.detail


@pytest.mark.parametrize("chunk", [1, 5, 64, 1 << 20])
def test_a_fault_is_found_on_its_line_wherever_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(reading, "_CHUNK", chunk)
    before = HEADER + b'"a\n\xc3\xa9";b;c\r\n\r\n' * 100
    for fault, reason in {
        b'a;b";c\n': "on line 302",
        b"a;b\0;c\n": "on line 302",
        b"a;\xff;c\n": "on line 302",
        b"a;b\r;c\n": "on line 302",
        b'a;"b;c\n': "on line 302 that is never closed",
        b"a;b\n": "in data row 101",
    }.items():
        assert reason in refused(tmp_path, before + fault + b"x;y;z\n" * 100).detail


@pytest.mark.parametrize("inside_quotes", [False, True])
def test_a_row_beyond_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside_quotes: bool) -> None:
    monkeypatch.setattr(reading, "_LONGEST_ROW", 1 << 10)
    monkeypatch.setattr(reading, "_CHUNK", 1 << 8)
    row = b'a;"' + b"x\n" * 5000 + b'";c\n' if inside_quotes else b"a;" + b"x" * 5000 + b";c\n"
    assert refused(tmp_path, HEADER + b"a;b;c\n" * 99 + row).code == "file_unreadable"
    assert values(tmp_path, HEADER + b"a;b;c\n" * 9999 + b"a;" + b"x" * 500 + b";c\n", rows=10_000)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (b"", "insz, begin, einde"),
        (b"\xef\xbb\xbf", "insz, begin, einde"),
        (b"\n\r\n  \n", "insz, begin, einde"),
        (b"insz;begin\n" + GOOD, "einde"),
        (b"INSZ;begin;einde\n" + GOOD, "insz"),
        (b"insz;be gin;einde\n" + GOOD, "begin"),
        (b"insz,begin,einde\n" + GOOD, "insz, begin, einde"),
        (GOOD, "insz, begin, einde"),  # no header: its values are in no message
        (b"insz;begin;\xef\xbb\xbfeinde\n" + GOOD, "einde"),
        (b'"insz;begin;einde"\n' + GOOD, "insz, begin, einde"),
        (b"x" * 200_000 + b";insz\n" + GOOD, "insz, begin, einde"),
    ],
)
def test_a_missing_column(tmp_path: Path, content: bytes, missing: str) -> None:
    refusal = refused(tmp_path, content)
    assert (refusal.code, f"no column {missing}." in refusal.detail) == ("column_missing", True), refusal.detail


def test_a_delta_needs_its_column(tmp_path: Path) -> None:
    refusal = refused(tmp_path, HEADER + GOOD, [*COLUMNS, "verwijderd"])
    assert refusal.code == "column_missing" and "verwijderd" in refusal.detail


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_another_number_of_rows_than_announced(tmp_path: Path, rows: int) -> None:
    with pytest.raises(Refusal) as caught:
        read(tmp_path, HEADER + GOOD + b"\n" + GOOD + b"\n\n", rows)
    assert caught.value.code == "row_count_mismatch"
    assert f"holds 2 data rows, the manifest says {rows}" in caught.value.detail


def test_a_full_disk_is_not_the_files_fault(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HEADER + GOOD)
    file = DeliveredFile("doelgroepen", "in.csv", "csv", 1, "0" * 64)
    with pytest.raises(FileNotFoundError):
        read_extract(tmp_path / "in.csv", file, COLUMNS, tmp_path / "nowhere" / "out.parquet", "d1")
