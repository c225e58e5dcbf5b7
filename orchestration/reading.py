"""Reads a delivered CSV or Parquet file of an extract into text Parquet, or refuses it.

Here: everything that makes a file unreadable as such, and the few changes the contract makes to every value before it
is judged (spec, extracts section 1): white space, empty fields, open ends. Not here: whether the bytes are the ones
announced (``landing.py``), what a good value is (``schemas/``), dossiers (``dossiers.py``).

pyarrow parses CSV fast but kindly: it closes an open quote at the end of the file, drops quotes in the middle of a
field, ends a row at a lone CR and never looks at columns left out. So the bytes are first held against the contract's
grammar, a chunk of whole lines at a time; whatever passes can be read in one way only.

A pyarrow error may quote the row it is about, so none is ever shown or chained.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from orchestration.manifest import DeliveredFile, Refusal, about
from schemas.extract import DELETED, LINE_NUMBER

_MIB = 1 << 20
_CHUNK = _MIB
"""Bytes of CSV looked at, and parsed, at a time. Larger ones only take more memory and page faults."""
_LONGEST_ROW = 64 * _MIB
_BATCH_ROWS = 16_384
"""Rows of Parquet read at a time."""
_ROW_GROUP = 122_880
"""Rows of text Parquet written at a time, at least: what DuckDB reads at a time."""

_BOM = b"\xef\xbb\xbf"
_QUOTE, _RETURN, _FEED = b'"\r\n'
_NOWHERE = np.empty(0, np.int64)
_BEFORE_OPENING = np.isin(np.arange(256), list(b';\n"'))
_AFTER_CLOSING = np.isin(np.arange(256), list(b';\r\n"'))

_EMPTY_WHEN = {"einde": "9999-12-31", DELETED: "false"}
"""What a column may say to mean nothing: a period without an end, a row that is not deleted."""


@dataclass(frozen=True)
class Read:
    """What was found in a file: data rows, and the columns beyond the expected ones, which were left out."""

    rows: int
    unexpected_columns: list[str]


def read_extract(path: Path, file: DeliveredFile, columns: Sequence[str], into: Path, delivery_id: str) -> Read:
    """Write the rows of ``path`` to ``into`` as text Parquet (docs/architecture.md), in bounded memory.

    ``path`` is where the bytes of ``file`` lie. ``columns`` are the expected ones, in a delta with ``verwijderd``; they
    are the columns of ``into`` after ``line_number``. Column names of a CSV are stripped, those of Parquet taken as is.

    Raises:
        Refusal: ``file_unreadable``, ``column_missing``, ``row_count_mismatch``; ``into`` may be half written then.
    """
    with about(f"Delivery {delivery_id}, file {file.path}"):
        opened = _open_parquet if file.format == "parquet" else _open_csv
        unexpected_columns, batches = opened(path, columns)
        rows = _write_text(batches, columns, into)
        if rows != file.rows:
            raise Refusal(
                "row_count_mismatch",
                f"holds {rows} data rows, the manifest says {file.rows}. Deliver the whole file with its true count.",
            )
        return Read(rows, unexpected_columns)


def _write_text(batches: Iterator[pa.RecordBatch], columns: Sequence[str], into: Path) -> int:
    """Clean, number and write batches that hold ``columns`` as strings; returns the number of rows."""
    schema = pa.schema([(LINE_NUMBER, pa.int64()), *((column, pa.string()) for column in columns)])
    rows = 0
    pending: list[pa.RecordBatch] = []
    # Read once, whole and soon: no statistics, and snappy, which takes a fifth less CPU here than zstd.
    with pq.ParquetWriter(into, schema, compression="snappy", write_statistics=False) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_batches(pending, schema))
            pending.clear()

        for batch in batches:
            numbers = pa.array(np.arange(rows + 1, rows + batch.num_rows + 1, dtype=np.int64))
            values = [_cleaned(texts, column) for texts, column in zip(batch.columns, columns, strict=True)]
            pending.append(pa.record_batch([numbers, *values], schema=schema))
            rows += batch.num_rows
            if sum(map(len, pending)) >= _ROW_GROUP:
                flush()
        flush()
    return rows


def _cleaned(texts: pa.StringArray, column: str) -> pa.StringArray:
    """A column as the contract has it judged: white space removed, and null where it says nothing."""
    texts = pc.utf8_trim_whitespace(texts)  # white space as in str.strip()
    if pc.min(pc.binary_length(texts)).as_py() == 0:
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
    if column in _EMPTY_WHEN:
        texts = pc.if_else(pc.equal(texts, _EMPTY_WHEN[column]), None, texts)
    return texts


def _unexpected(found: Sequence[str], columns: Sequence[str]) -> list[str]:
    """The names beyond the expected ones, once each of those is there once.

    Raises a refusal that never repeats an unknown name: in a file without a header that is a value of its first row.
    """
    if missing := [column for column in columns if column not in found]:
        raise Refusal(
            "column_missing",
            f"has no column {', '.join(missing)}. Every column of the extract must be there, in any order, even where "
            "it has no values.",
        )
    if repeated := [column for column in columns if found.count(column) > 1]:
        raise _unreadable(f"has more than one column {', '.join(repeated)}. Name each column once.")
    return [name for name in found if name not in columns]


def _unreadable(sentence: str) -> Refusal:
    return Refusal("file_unreadable", sentence)


# CSV


def _open_csv(path: Path, columns: Sequence[str]) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    longest = _check_grammar(path)
    header, data_starts = _read_header(path)
    unexpected = _unexpected(header, columns)
    # Columns go by position: those left out may have any name, or the same.
    read_options = pa.csv.ReadOptions(
        column_names=[str(position) for position in range(len(header))],
        block_size=min(longest, _LONGEST_ROW),
        use_threads=False,  # only then does pyarrow know the number of an odd row; here it is no slower
    )
    return unexpected, _csv_batches(path, data_starts, read_options, [str(header.index(column)) for column in columns])


def _csv_batches(
    path: Path, data_starts: int, read_options: pa.csv.ReadOptions, wanted: list[str]
) -> Iterator[pa.RecordBatch]:
    if path.stat().st_size == data_starts:  # to pyarrow, no data at all is an error
        return
    refusal = _too_long()
    blank_lines = 0

    def judge_odd_row(row: pa.csv.InvalidRow) -> str:
        nonlocal refusal, blank_lines
        if not row.text.strip():  # a blank line to the eye, which pyarrow sees only where it holds no space
            blank_lines += 1
            return "skip"
        refusal = _unreadable(
            f"has {row.actual_columns} fields in data row {row.number - blank_lines}, its header names "
            f"{row.expected_columns} columns. Quote fields that hold a semicolon, a quote or a line break."
        )
        return "error"

    parse_options = pa.csv.ParseOptions(delimiter=";", newlines_in_values=True, invalid_row_handler=judge_odd_row)
    convert_options = pa.csv.ConvertOptions(
        include_columns=wanted,
        column_types=dict.fromkeys(wanted, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        check_utf8=False,  # checked before, columns left out included
    )
    with pa.OSFile(str(path)) as file:
        file.seek(data_starts)
        try:
            yield from pa.csv.open_csv(file, read_options, parse_options, convert_options)
        except pa.ArrowInvalid:
            raise refusal from None


def _check_grammar(path: Path) -> int:
    """Hold a file against RFC 4180 with ``;``, UTF-8 and no NUL, whatever its fields say.

    Returns a number of bytes that no row exceeds: far too large by up to ``_CHUNK``, and more where quotes span lines.
    """
    longest = span = 0
    inside = False  # of quotes, where a chunk begins
    opened = 0
    with path.open("rb") as file:
        _skip_bom(file)
        while (start := file.tell(), chunk := file.read(_CHUNK))[1]:
            if not chunk.endswith(b"\n"):  # to the end of the line, so that no character or line end is split
                rest = file.readline(_LONGEST_ROW)
                if len(rest) == _LONGEST_ROW:
                    raise _too_long()
                chunk += rest
            span = len(chunk) + (span if inside else 0)
            longest = max(longest, span)
            data = np.frombuffer(chunk, np.uint8)
            quotes = np.flatnonzero(data == _QUOTE) if _QUOTE in chunk else _NOWHERE
            for at, what, remedy in (
                (_not_text(chunk), "is not UTF-8 text", "Write it in UTF-8, without NUL bytes."),
                (
                    _stray_quote(data, quotes, inside),
                    "has a stray quote, or one that was never closed before it,",
                    "Quotes enclose a whole field and are doubled within it, as RFC 4180 has it.",
                ),
                (_lone_return(data, quotes, inside), "has a carriage return of its own", "End lines with LF or CRLF."),
            ):
                if at is not None:
                    raise _unreadable(f"{what} on line {_line(path, start + at)}. {remedy}")
            if len(quotes) % 2:
                inside = not inside
                opened = start + int(quotes[-1])
    if inside:
        raise _unreadable(f"has a quote on line {_line(path, opened)} that is never closed. Close it, or double it.")
    return longest


def _skip_bom(file: BinaryIO) -> None:
    if file.read(len(_BOM)) != _BOM:
        file.seek(0)


def _too_long() -> Refusal:
    return _unreadable(f"has a row of more than {_LONGEST_ROW // _MIB} MiB. Look for a missing line end or quote.")


def _line(path: Path, offset: int) -> int:
    """The line of the file, from 1, on which a byte stands."""
    line = 1
    with path.open("rb") as file:
        while offset > 0 and (chunk := file.read(min(offset, _CHUNK))):
            line += chunk.count(b"\n")
            offset -= len(chunk)
    return line


def _not_text(chunk: bytes) -> int | None:
    nul = chunk.find(b"\0")
    if nul >= 0:
        return nul
    try:
        if not chunk.isascii():
            chunk.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _stray_quote(data: np.ndarray, quotes: np.ndarray, inside: bool) -> int | None:
    """Where the first quote stands that neither opens nor closes a field; two in a row close it and open it again.

    ``data`` is whole lines, at whose ends a quote may stand. So clipping its neighbour to itself there is right: beside
    a quote it may stand too.
    """
    opening, closing = quotes[int(inside) :: 2], quotes[1 - int(inside) :: 2]
    stray = [
        *opening[~_BEFORE_OPENING[data[np.maximum(opening - 1, 0)]]][:1],
        *closing[~_AFTER_CLOSING[data[np.minimum(closing + 1, len(data) - 1)]]][:1],
    ]
    return int(min(stray)) if stray else None


def _lone_return(data: np.ndarray, quotes: np.ndarray, inside: bool) -> int | None:
    """Where the first carriage return stands that is outside quotes and before no line feed."""
    returns = np.flatnonzero(data == _RETURN)
    lone = returns[data[np.minimum(returns + 1, len(data) - 1)] != _FEED]
    outside = lone[(np.searchsorted(quotes, lone) + inside) % 2 == 0]
    return int(outside[0]) if len(outside) else None


def _read_header(path: Path) -> tuple[list[str], int]:
    """The names in the first line that is not blank (none if there is no such line), and where the data start."""
    with path.open("rb") as file:
        _skip_bom(file)
        record: list[str] = []
        quotes = 0
        while line := file.readline().decode():
            if not record and not line.strip():
                continue
            record.append(line)
            quotes += line.count('"')
            if quotes % 2 == 0:
                break
        try:
            names = next(csv.reader(record, delimiter=";", strict=True), [])
        except csv.Error:  # a name of more than 128 KiB
            names = []
        return [name.strip() for name in names], file.tell()


# Parquet


def _open_parquet(path: Path, columns: Sequence[str]) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    with _broken_parquet():
        file = pq.ParquetFile(path, buffer_size=_MIB, pre_buffer=False)
        schema = file.schema_arrow
    unexpected = _unexpected(schema.names, columns)
    for column in columns:
        if not _has_text(kind := schema.field(column).type):
            raise _unreadable(f"has type {kind} in column {column}. Write text, date32, bool, int or double.")
    return unexpected, _parquet_batches(file, columns)


def _parquet_batches(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _broken_parquet(), file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns)):
            yield pa.record_batch([_text(batch.column(column), column) for column in columns], names=list(columns))


@contextmanager
def _broken_parquet() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's fault, not the file's
            raise
        raise _unreadable("is not Parquet that can be read to its end. Write it again.") from None


def _has_text(kind: pa.DataType) -> bool:
    """Whether values of this type have a text to judge: a wrong type is the rows' error, none at all the file's."""
    try:
        pa.nulls(0, kind).cast(pa.string())
    except pa.ArrowNotImplementedError:
        return False
    return not pa.types.is_duration(kind)  # its text is a bare number, which would pass for one


def _text(values: pa.Array, column: str) -> pa.StringArray:
    """Values as a CSV would have them: whole doubles without decimals, no number with an exponent."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    texts = pc.cast(values, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        texts = _without_exponent(texts)
        if pa.types.is_decimal(kind) and kind.scale > 0:
            texts = pc.replace_substring_regex(texts, r"\.?0+$", "")
    elif not pa.types.is_primitive(kind):
        texts.validate(full=True)  # UTF-8, which the file only promises
        if pc.any(pc.match_substring(texts, "\0")).as_py():
            raise _unreadable(f"has a NUL byte in column {column}. Deliver text without NUL.")
    return texts


def _without_exponent(texts: pa.StringArray) -> pa.StringArray:
    """Decimal notation of the same number. ``1e+20`` is rare, so it may cost a Python call per distinct value."""
    mask = pc.match_substring(texts, "e", ignore_case=True)
    if not pc.any(mask).as_py():
        return texts
    odd = pc.filter(texts, mask).dictionary_encode()
    plain = pa.array([f"{Decimal(text.as_py()):f}" for text in odd.dictionary], pa.string())
    return pc.replace_with_mask(texts, mask, plain.take(odd.indices))
