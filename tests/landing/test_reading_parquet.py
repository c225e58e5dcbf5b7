"""Parquet of natural types, or of text, is read as the CSV that says the same."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import orchestration.reading as reading
from orchestration.manifest import DeliveredFile, Refusal
from orchestration.reading import Read, read_extract

SECRET = "90122500159"


def read(
    path: Path, source: pa.Table | bytes, columns: Sequence[str], rows: int | None = None
) -> tuple[Read, pa.Table]:
    if isinstance(source, bytes):
        (path / "in.parquet").write_bytes(source)
    else:
        pq.write_table(source, path / "in.parquet")
        rows = source.num_rows if rows is None else rows
    file = DeliveredFile("mo_cursussen", "in.parquet", "parquet", rows or 0, "0" * 64)
    result = read_extract(path / "in.parquet", file, columns, path / "out.parquet", "d1")
    return result, pq.read_table(path / "out.parquet")


def texts(path: Path, array: pa.Array, column: str = "x") -> list[str | None]:
    result, table = read(path, pa.table({column: array}), [column])
    assert result.rows == len(array)
    assert table.schema.types == [pa.int64(), pa.string()]
    assert table["line_number"].to_pylist() == list(range(1, len(array) + 1))
    return table[column].to_pylist()


def refused(path: Path, source: pa.Table | bytes, columns: Sequence[str] = ("x",), rows: int | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(path, source, columns, rows)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown and "Arrow" not in shown
    assert caught.value.detail.startswith("Delivery d1, file in.parquet: ") and caught.value.detail.endswith(".")
    return caught.value


STRINGS = ["a", None, "", " b\u00a0", "  ", 'é\n;"', "9999-12-31", "NaN"]
READ_AS = ["a", None, None, "b", None, "é\n;\"", "9999-12-31", "NaN"]  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_text_in_every_guise(tmp_path: Path, kind: pa.DataType) -> None:
    assert texts(tmp_path, pa.array(STRINGS).cast(kind)) == READ_AS


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([True, False, None], pa.bool_(), ["true", "false", None]),
        ([0, -7, None, 2**31 - 1], pa.int32(), ["0", "-7", None, "2147483647"]),
        ([-(2**63), 2**63 - 1], pa.int64(), ["-9223372036854775808", "9223372036854775807"]),
        ([2**64 - 1], pa.uint64(), ["18446744073709551615"]),
        ([-128, None], pa.int8(), ["-128", None]),
        ([date(2014, 1, 2), None, date(1900, 2, 28), date(9999, 12, 31)], pa.date32(),
         ["2014-01-02", None, "1900-02-28", "9999-12-31"]),
        ([date(2014, 1, 2), None], pa.date64(), ["2014-01-02", None]),
        ([5.0, -5.0, 55.5, 0.1, 1 / 3, None], pa.float64(), ["5", "-5", "55.5", "0.1", "0.3333333333333333", None]),
        ([1e15, 1e16, 1e21, 1.5e-7, -2e-9, 123456789012.25], pa.float64(),
         ["1000000000000000", "10000000000000000", "1000000000000000000000", "0.00000015", "-0.000000002",
          "123456789012.25"]),
        ([5.0, 0.1, 1e10, None], pa.float32(), ["5", "0.1", "10000000000", None]),
        ([Decimal("5.00"), Decimal("55.50"), Decimal("-0.05"), Decimal("100.00"), Decimal("0.00"), None],
         pa.decimal128(10, 2), ["5", "55.5", "-0.05", "100", "0", None]),
        ([Decimal("0E-10"), Decimal("0.0000001"), Decimal("20")], pa.decimal128(28, 10), ["0", "0.0000001", "20"]),
        ([Decimal("500"), Decimal("0")], pa.decimal128(5, 0), ["500", "0"]),
        ([None, None], pa.null(), [None, None]),
    ],
)  # fmt: skip
def test_natural_types(tmp_path: Path, values: list[Any], kind: pa.DataType, expected: list[str | None]) -> None:
    assert texts(tmp_path, pa.array(values, kind)) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([float("nan")], pa.float64()),
        ([float("inf")], pa.float64()),
        ([datetime(2014, 1, 2)], pa.timestamp("us")),
        ([datetime(2014, 1, 2)], pa.timestamp("ns", "Europe/Brussels")),
        ([time(9, 30)], pa.time64("us")),
        ([10**8], pa.date32()),
    ],
)
def test_a_wrong_value_stays_visible_to_be_judged(tmp_path: Path, values: list[Any], kind: pa.DataType) -> None:
    array = pa.array(values, pa.int32()).cast(kind) if kind == pa.date32() else pa.array(values, kind)
    (text,) = texts(tmp_path, array)
    assert text
    with pytest.raises(ValueError, match=r"."):
        date.fromisoformat(text)
    assert text.strip("-0123456789.")


def test_einde_is_open_as_date_too(tmp_path: Path) -> None:
    last = pa.array([date(9999, 12, 31), date(2020, 1, 1)], pa.date32())
    assert texts(tmp_path, last, "einde") == [None, "2020-01-01"]
    assert texts(tmp_path, last, "begin") == ["9999-12-31", "2020-01-01"]
    assert texts(tmp_path, pa.array([" 9999-12-31", "9999-12-30"]), "einde") == [None, "9999-12-30"]
    assert texts(tmp_path, pa.array([False, True, None]), "verwijderd") == [None, "true", None]


def test_columns_by_exact_name_in_any_order(tmp_path: Path) -> None:
    table = pa.table({"b": ["2"], "nested": [[1, 2]], "a": ["1"], "a.b": ["3"], "B": ["4"]})
    result, read_back = read(tmp_path, table, ["a", "b"])
    assert result == Read(1, ["nested", "a.b", "B"])
    assert read_back.to_pylist() == [{"line_number": 1, "a": "1", "b": "2"}]


def test_many_row_groups_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH_ROWS", 1000)
    monkeypatch.setattr(reading, "_ROW_GROUP", 2500)
    numbers = pa.chunked_array([pa.array(range(n, n + 700)) for n in range(0, 7000, 700)])
    words = pa.array([f"w{n % 13}" for n in range(7000)]).dictionary_encode()
    pq.write_table(pa.table({"n": numbers, "w": words}), tmp_path / "grouped.parquet", row_group_size=900)
    result, table = read(tmp_path, (tmp_path / "grouped.parquet").read_bytes(), ["w", "n"], 7000)
    assert result.rows == 7000
    assert table["line_number"].to_pylist() == list(range(1, 7001))
    assert table["n"].to_pylist() == [str(n) for n in range(7000)]
    assert table["w"].to_pylist() == [f"w{n % 13}" for n in range(7000)]


def test_no_rows(tmp_path: Path) -> None:
    result, table = read(tmp_path, pa.table({"x": pa.array([], pa.int32())}), ["x"])
    assert (result.rows, table.num_rows, table.column_names) == (0, 0, ["line_number", "x"])


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_another_number_of_rows_than_announced(tmp_path: Path, rows: int) -> None:
    refusal = refused(tmp_path, pa.table({"x": [SECRET, None, None]}), rows=rows)
    assert refusal.code == "row_count_mismatch"
    assert f"holds 3 data rows, the manifest says {rows}" in refusal.detail


@pytest.mark.parametrize("columns", [["y"], ["X"], [" x"], []])
def test_a_missing_column(tmp_path: Path, columns: list[str]) -> None:
    table = pa.table({column: [SECRET] for column in columns})
    refusal = refused(tmp_path, table, rows=1)
    assert (refusal.code, "no column x." in refusal.detail) == ("column_missing", True)


def test_a_column_twice(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([SECRET]), pa.array(["b"])], names=["x", "x"])
    assert refused(tmp_path, table).code == "file_unreadable"
    repeated_elsewhere = pa.Table.from_arrays([pa.array(["a"])] * 3, names=["y", "y", "x"])
    assert read(tmp_path, repeated_elsewhere, ["x"])[0].unexpected_columns == ["y", "y"]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[SECRET]]),
        pa.array([{"x": SECRET}]),
        pa.array([[("a", SECRET)]], pa.map_(pa.string(), pa.string())),
        pa.array([5], pa.duration("s")),
    ],
    ids=lambda array: str(array.type),
)
def test_a_type_without_text(tmp_path: Path, array: pa.Array) -> None:
    refusal = refused(tmp_path, pa.table({"x": array}))
    assert (refusal.code, "column x" in refusal.detail) == ("file_unreadable", True)


@pytest.mark.parametrize("content", [b"\xff" + SECRET.encode(), b"\xed\xa0\x80", b"a\0b" + SECRET.encode(), b"\0"])
@pytest.mark.parametrize(
    "declared", [pa.binary(), pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_what_is_not_text(tmp_path: Path, content: bytes, declared: pa.DataType) -> None:
    array = pa.array([b"good", content])
    if pa.types.is_dictionary(declared):
        values = pa.StringArray.from_buffers(2, *array.buffers()[1:])
        array = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), values)
    elif declared == pa.large_string():
        wide = array.cast(pa.large_binary())
        array = pa.LargeStringArray.from_buffers(2, *wide.buffers()[1:])
    elif declared == pa.string():
        array = pa.StringArray.from_buffers(2, *array.buffers()[1:])
    assert refused(tmp_path, pa.table({"x": array})).code == "file_unreadable"


def damaged(damage: str, good: bytes) -> bytes:
    middle = len(good) // 3
    return {
        "empty": b"",
        "csv": b"x\n" + SECRET.encode() + b"\n",
        "cut off": good[:-20],
        "head only": good[:middle],
        "no head": good[middle:],
        "zeroed pages": good[:4] + bytes(2000) + good[2004:],
        "zeroed footer": good[:-200] + bytes(192) + good[-8:],
        "footer too long": good[:-8] + b"\xff\xff\xff\x7f" + good[-4:],
        "encrypted": good[:-4] + b"PARE",
    }[damage]


@pytest.mark.parametrize(
    "damage",
    [
        "empty",
        "csv",
        "cut off",
        "head only",
        "no head",
        "zeroed pages",
        "zeroed footer",
        "footer too long",
        "encrypted",
    ],
)
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_broken_parquet(tmp_path: Path, damage: str, compression: str) -> None:
    table = pa.table({"x": [f"{SECRET}{n}" for n in range(5000)]})
    pq.write_table(table, tmp_path / "good.parquet", compression=compression, use_dictionary=False)
    good = (tmp_path / "good.parquet").read_bytes()
    read(tmp_path, good, ["x"], 5000)
    assert refused(tmp_path, damaged(damage, good), rows=5000).code == "file_unreadable"


def test_a_flipped_bit_is_refused_or_read_but_never_raises_otherwise(tmp_path: Path) -> None:
    table = pa.table({"x": [f"w{n}" for n in range(50)], "n": pa.array(range(50), pa.int32())})
    pq.write_table(table, tmp_path / "good.parquet", compression="snappy")
    good = (tmp_path / "good.parquet").read_bytes()
    for position in range(0, len(good), 7):
        flipped = good[:position] + bytes([good[position] ^ 0x20]) + good[position + 1 :]
        try:
            read(tmp_path, flipped, ["x", "n"], 50)
        except Refusal as refusal:
            assert refusal.code in {"file_unreadable", "column_missing", "row_count_mismatch"}


def test_a_file_that_is_gone_is_not_the_files_fault(tmp_path: Path) -> None:
    file = DeliveredFile("mo_cursussen", "in.parquet", "parquet", 1, "0" * 64)
    with pytest.raises(FileNotFoundError):
        read_extract(tmp_path / "in.parquet", file, ["x"], tmp_path / "out.parquet", "d1")
