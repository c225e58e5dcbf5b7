"""Reads a delivered CSV or Parquet file of an extract into text Parquet, or refuses it.

Here: everything that makes a file unreadable as such, and the few changes the contract makes to every value before it
is judged (spec, extracts section 1): white space, empty fields, open ends. Not here: whether the bytes are the ones
announced (``landing.py``), what a good value is (``schemas/``), dossiers (``dossiers/``).

pyarrow parses CSV fast but kindly: it closes an open quote at the end of the file, drops quotes in the middle of a
field, ends a row at a lone CR and never looks at columns left out. So it is given chunks of whole rows that were held
against the contract's grammar before, a chunk at a time and no row by itself; those can be read in one way only.

A pyarrow error may quote the row it is about, so none is ever shown or chained.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from itertools import chain
from pathlib import Path

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
    chunks = _whole_rows(path)
    header: list[str] = []
    rest = b""
    while not header and (rows := next(chunks, None)):
        header, rest = _split_header(rows)
    unexpected = _unexpected(header, columns)
    wanted = [header.index(column) for column in columns]
    return unexpected, _csv_batches(chain([rest], chunks), len(header), wanted)


def _csv_batches(chunks: Iterable[bytes], width: int, wanted: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The fields at positions ``wanted`` of chunks of whole rows, each ``width`` fields wide; empty ones are null."""
    rows_before = blank_lines = 0
    refusal = _unreadable("is not CSV that can be parsed. Write it as RFC 4180 has it.")

    def judge_odd_row(row: pa.csv.InvalidRow) -> str:
        nonlocal refusal, blank_lines
        if not row.text.strip():  # blank to the eye; pyarrow itself skips only lines of no character at all
            blank_lines += 1
            return "skip"
        refusal = _unreadable(
            f"has {row.actual_columns} fields where the header names {row.expected_columns} columns, in data row "
            f"{rows_before + row.number - blank_lines}. Quote fields that hold a semicolon, quote or line break."
        )
        return "error"

    # Columns go by position: those left out may have any name, or the same.
    include = [str(position) for position in wanted]
    parse_options = pa.csv.ParseOptions(delimiter=";", newlines_in_values=True, invalid_row_handler=judge_odd_row)
    convert_options = pa.csv.ConvertOptions(
        include_columns=include,
        column_types=dict.fromkeys(include, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        check_utf8=False,  # checked before, columns left out included
    )
    for chunk in filter(None, chunks):
        read_options = pa.csv.ReadOptions(
            column_names=[str(position) for position in range(width)],
            block_size=len(chunk) + 1,
            use_threads=False,  # only then does pyarrow know the number of an odd row
        )
        # The line break keeps pyarrow from taking a first field that begins with U+FEFF for a byte-order mark.
        source = pa.BufferReader(b"\n" + chunk)
        try:
            table = pa.csv.read_csv(source, read_options, parse_options, convert_options)
        except pa.ArrowInvalid:
            raise refusal from None
        yield from table.to_batches()
        rows_before += table.num_rows
        blank_lines = 0


def _whole_rows(path: Path) -> Iterator[bytes]:
    """A CSV file in chunks of whole rows, about ``_CHUNK`` each, held against the grammar, whatever their fields say.

    pyarrow gets nothing else: left to itself, it loses the LF of a CRLF within quotes where one of its blocks ends
    (https://github.com/apache/arrow/issues/51368).
    """
    with path.open("rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        chunk = b""
        while True:
            start = file.tell() - len(chunk)
            more = file.read(max(_CHUNK, len(chunk)))
            chunk += more
            quotes = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _QUOTE) if _QUOTE in chunk else _NOWHERE
            if (at := _stray_quote(chunk, quotes)) is not None:
                raise _unreadable(
                    f"has a stray quote on line {_line(path, start + at)}, or one before it that was never closed. "
                    "Quotes enclose a whole field and are doubled within it, as RFC 4180 has it."
                )
            end = _end_of_rows(chunk, quotes) if more else len(chunk)
            rows, chunk = chunk[:end], chunk[end:]
            if (at := _not_text(rows)) is not None:
                raise _unreadable(
                    f"is not UTF-8 text on line {_line(path, start + at)}. Write it in UTF-8, without NUL bytes."
                )
            if (at := _lone_return(rows, quotes)) is not None:
                raise _unreadable(
                    f"has a carriage return of its own on line {_line(path, start + at)}. End lines with LF or CRLF."
                )
            if not more and len(quotes) % 2:
                at = int(quotes[-1])
                raise _unreadable(
                    f"has a quote on line {_line(path, start + at)} that is never closed. Close it, or double it."
                )
            if len(chunk) > _LONGEST_ROW:
                raise _unreadable(
                    f"has a row of more than {_LONGEST_ROW // _MIB} MiB from line {_line(path, start + end)} on. Look "
                    "for a quote that is never closed, or a missing line end."
                )
            if rows:
                yield rows
            if not more:
                return


def _end_of_rows(chunk: bytes, quotes: np.ndarray) -> int:
    """How much of ``chunk``, which begins with a row, is whole rows: up to the last line feed outside quotes."""
    if not len(quotes):
        return chunk.rfind(b"\n") + 1
    feeds = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _FEED)
    outside = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _line(path: Path, offset: int) -> int:
    """The line of the file, from 1, on which a byte stands."""
    line = 1
    with path.open("rb") as file:
        while offset > 0 and (chunk := file.read(min(offset, _CHUNK))):
            line += chunk.count(b"\n")
            offset -= len(chunk)
    return line


def _not_text(rows: bytes) -> int | None:
    """Where the first byte stands that is NUL or not UTF-8."""
    nul = rows.find(b"\0")
    if nul >= 0:
        return nul
    try:
        if not rows.isascii():
            rows.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _stray_quote(chunk: bytes, quotes: np.ndarray) -> int | None:
    """Where the first quote stands that neither opens nor closes a field; two in a row close it and open it again.

    At the ends of ``chunk`` the neighbour of a quote is clipped to itself, and beside a quote it may stand: at the
    beginning because a row begins there, at the end because the next bytes will tell.
    """
    data = np.frombuffer(chunk, np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    stray = [
        *opening[~_BEFORE_OPENING[data[np.maximum(opening - 1, 0)]]][:1],
        *closing[~_AFTER_CLOSING[data[np.minimum(closing + 1, len(data) - 1)]]][:1],
    ]
    return int(min(stray)) if stray else None


def _lone_return(rows: bytes, quotes: np.ndarray) -> int | None:
    """Where the first carriage return stands that is outside quotes and not before a line feed."""
    if b"\r" not in rows:
        return None
    data = np.frombuffer(rows, np.uint8)
    returns = np.flatnonzero(data == _RETURN)
    lone = returns[data[np.minimum(returns + 1, len(data) - 1)] != _FEED]
    outside = lone[np.searchsorted(quotes, lone) % 2 == 0]
    return int(outside[0]) if len(outside) else None


def _split_header(rows: bytes) -> tuple[list[str], bytes]:
    """The names in the first row that is not a blank line (none if there is no such row), and the rows after it."""
    lines = BytesIO(rows)
    record: list[str] = []
    is_open = False
    for line in map(bytes.decode, lines):
        if is_open or line.strip():
            record.append(line)
            is_open ^= line.count('"') % 2 == 1
            if not is_open:
                break
    try:
        names = next(csv.reader(record, delimiter=";", strict=True), [])
    except csv.Error:  # a name of more than 128 KiB
        names = []
    return [name.strip() for name in names], rows[lines.tell() :]


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
