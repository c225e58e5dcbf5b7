"""Properties: the same rows are the same text, however a delivery writes them; no other grammar is taken."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

import orchestration.reading as reading
from orchestration.manifest import DeliveredFile, Refusal
from orchestration.reading import read_extract

COLUMNS = ["insz", "einde", "reden"]
FIELD = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "a", "9999-12-31", " 9999-12-31\t", "2020-01-01", "\u00a0", '"', '""', ";", "\r\n", "\r", "\n"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.text(st.sampled_from(' ";\r\nab\u00e9\u3000\ufeff'), max_size=8),
)
ROW = st.tuples(FIELD, FIELD, FIELD)
BLANK = st.sampled_from(["", "", "", "\n", "\r\n", "\n\n", " \n", "\t\u00a0 \r\n"])


def text_of(content: bytes, format: str, rows: int) -> list[dict]:
    """What is read from a file; chunks of a few bytes, so that everything falls on a border once."""
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / "in").write_bytes(content)
        file = DeliveredFile("doelgroepen", "in", format, rows, "0" * 64)  # type: ignore[arg-type]
        read_extract(path, file, COLUMNS, Path(folder) / "out", "d1")
        return pq.read_table(Path(folder) / "out").to_pylist()


def expected(rows: list[tuple]) -> list[dict]:
    """The contract in plain Python."""
    read = []
    for number, row in enumerate(rows, 1):
        fields = {column: (value or "").strip() or None for column, value in zip(COLUMNS, row, strict=True)}
        if fields["einde"] == "9999-12-31":
            fields["einde"] = None
        read.append({"line_number": number, **fields})
    return read


def must_quote(field: str) -> bool:
    return any(character in field for character in '";\r\n')


@settings(max_examples=300, deadline=None)
@given(data=st.data(), rows=st.lists(ROW, max_size=8), order=st.permutations(range(4)))
def test_csv_and_parquet_of_the_same_rows(data: st.DataObject, rows: list[tuple], order: list[int]) -> None:
    names = [*COLUMNS, "unexpected"]
    lines = []
    for row in [tuple(COLUMNS), *rows]:
        fields = [*(field or "" for field in row), data.draw(FIELD) or "" if row != tuple(COLUMNS) else names[3]]
        written = [
            '"' + field.replace('"', '""') + '"' if must_quote(field) or data.draw(st.booleans()) else field
            for field in (fields[position] for position in order)
        ]
        lines.append(data.draw(BLANK) + ";".join(written))
    ends = [data.draw(st.sampled_from(["\n", "\r\n"])) for _ in lines]
    ends[-1] = data.draw(st.sampled_from(["", "\n", "\r\n", "\n\n \n"]))
    mark = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    content = mark + "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()

    table = pa.table({names[at]: pa.array([(*row, "x")[at] for row in rows], pa.string()) for at in order})
    pq.write_table(table, packed := io.BytesIO())

    chunk, reading._CHUNK = reading._CHUNK, data.draw(st.integers(1, 40))
    try:
        assert text_of(content, "csv", len(rows)) == expected(rows)
    finally:
        reading._CHUNK = chunk
    assert text_of(packed.getvalue(), "parquet", len(rows)) == expected(rows)


ROWS = ["a;b;c\n", 'é;"";"x;"\r\n', ";;\r\n", '"a\r\n\n""b";;"\r"\n', "\n", " \r\n"]
PIECE = st.one_of(*[st.sampled_from(ROWS)] * 4, st.sampled_from(['"', '""', ";", "\r", "\n", "\r\n", "a", " "]))


@settings(max_examples=1000, deadline=None)
@given(body=st.lists(PIECE, max_size=8).map("".join), chunk=st.integers(1, 20))
@example(body='a;"b\r\n";""\r\n\n \n"";;"', chunk=1)
@example(body='a;"b\r\n";""\r\n\n \n"";;""', chunk=1)
def test_whatever_stands_there_is_read_by_the_grammar_or_refused(body: str, chunk: int) -> None:
    content = "insz;einde;reden\n" + body
    rows = by_the_grammar(content)
    kept, reading._CHUNK = reading._CHUNK, chunk
    try:
        found = text_of(content.encode(), "csv", len(rows or ()) - 1)
    except Refusal as refusal:
        event(f"refused, {refusal.code}")
        assert rows is None and refusal.code == "file_unreadable", refusal.detail
    else:
        event("read, nothing" if not found else "read, rows")
        assert rows is not None
        assert found == expected([tuple(row) for row in rows[1:]])
    finally:
        reading._CHUNK = kept


QUOTED = re.compile(r'"((?:[^"]|"")*)"')
BARE = re.compile(r'[^";\r\n]*')


def by_the_grammar(content: str) -> list[list[str]] | None:
    """RFC 4180 with ``;``, a token at a time: rows of three fields, lines of white space left out; None if broken."""
    rows: list[list[str]] = []
    position = 0
    while position < len(content):
        row: list[str] = []
        line_begins = position
        while True:
            field = QUOTED.match(content, position) or BARE.match(content, position)
            assert field
            row.append(field[1].replace('""', '"') if field.re is QUOTED else field[0])
            position = field.end()
            if content[position : position + 1] != ";":
                break
            position += 1
        end = re.compile(r"\r?\n|\Z").match(content, position)
        if not end:
            return None
        if content[line_begins:position].strip():
            rows.append(row)
        position = end.end()
    return rows if all(len(row) == 3 for row in rows) else None
