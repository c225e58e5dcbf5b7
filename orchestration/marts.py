"""The marts that are published, and the two forms in which a release holds them.

Here: which tables those are, their rows in the order of their grain, the DuckDB file, the Parquet files, and the hash
by which rows are compared. Not here: what is in a row (dbt), when a release is made and served (``publication.py``).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.csv import WriteOptions, write_csv

from orchestration.sql import quoted

MARTS: Mapping[str, tuple[str, ...]] = {
    "mart_q1_pass_rate": ("as_of_date", "counting_unit", "component"),
    "mart_q2_pass_rate_by_participation": ("as_of_date", "counting_unit", "component", "participation_type"),
    "mart_q3_certificates": ("as_of_date", "counting_unit", "participation_type"),
    "mart_q4_completed_and_certified": ("as_of_date", "counting_unit", "participation_type"),
    "mart_q5_completed_not_certified": ("as_of_date", "counting_unit", "participation_type"),
    "mart_non_success_reasons": ("as_of_date", "counting_unit", "component", "participation_type", "reason"),
    "mart_revisions": (
        "known_after",
        "delivery_id",
        "mart",
        "as_of_date",
        "counting_unit",
        "component",
        "participation_type",
        "reason",
        "measure",
    ),
    "mart_outcome_cube": (
        "as_of_date",
        "regime_code",
        "cohort_quarter",
        "component",
        "participation_type",
        "sex",
        "age_group",
        "nationality_group",
        "region",
        "agency_kbo",
        "outcome",
    ),
}
"""Every mart that is published, with its grain: the columns that identify a row and by which its rows are ordered."""
_CSV_BATCH = 1 << 16
_CSV_THREADS = 2
_LARGE = 100_000
"""Rows of a mart from which on their order is worth a thought."""
_LARGEST_NUMBER = (1 << 63) - 1


class PublicationError(Exception):
    """The warehouse is not in a state to be published. What was published stays as it is."""


def copy_marts(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Real tables with their comments, in a file that any DuckDB from 1.0 on opens."""
    connection.execute(f"attach {quoted(path)} as published (storage_version 'v1.0.0')")
    connection.execute("create schema published.marts")
    # Of no use to these columns, and to try it on ten million rows takes a tenth of the time that writing them does.
    connection.execute("set disabled_compression_methods = 'fsst'")
    for mart in MARTS:
        table = f"published.marts.{mart}"
        connection.execute(f"create table {table} as {_in_order(connection, mart)}")
        of_mart = "database_name = 'warehouse' and schema_name = 'marts' and table_name = ? and comment is not null"
        for (comment,) in connection.execute(f"select comment from duckdb_tables() where {of_mart}", [mart]).fetchall():
            connection.execute(f"comment on table {table} is {quoted(comment)}")
        for column, comment in connection.execute(
            f"select column_name, comment from duckdb_columns() where {of_mart}", [mart]
        ).fetchall():
            connection.execute(f'comment on column {table}."{column}" is {quoted(comment)}')


def _in_order(connection: duckdb.DuckDBPyConnection, mart: str) -> str:
    """A query of a mart's rows in the order of its grain.

    Of a large one every row's texts become one number, of their places among those that occur, and back: to sort ten
    million rows by ten texts costs three times as much.
    """
    first, *others = MARTS[mart]
    table = f"warehouse.marts.{mart}"
    plain = f"from {table} order by {', '.join(MARTS[mart])}"
    types = {name: kind for name, kind, *_ in connection.execute(f"describe {table}").fetchall()}
    (n_rows,) = connection.execute(f"select count(*) from {table}").fetchone()
    if n_rows < _LARGE or any(types[name] != "VARCHAR" for name in others):
        return plain
    lists = ", ".join(f"list(distinct {name} order by {name})" for name in others)
    filled = " and ".join(f"{name} is not null" for name in others)
    n_filled, *values = connection.execute(f"select count(*) filter ({filled}), {lists} from {table}").fetchone()
    size = prod(map(len, values))
    if n_filled < n_rows or size > _LARGEST_NUMBER:
        return plain
    number, restored = "0::bigint", {}
    for name, texts in zip(others, values, strict=True):
        listed = ", ".join(map(quoted, texts))
        number = f"({number}) * {len(texts)} + enum_code({name}::enum({listed}))"
        size //= len(texts)
        restored[name] = f"[{listed}][number // {size} % {len(texts)} + 1] as {name}"
    connection.execute(
        f"create or replace temp table in_order as select * exclude ({', '.join(others)}), {number} as number "
        f"from {table} order by {first}, number"
    )
    return f"select {', '.join(restored.get(name, name) for name in types)} from in_order"


def export_marts(connection: duckdb.DuckDBPyConnection, directory: Path) -> dict[str, int]:
    """One Parquet file per mart, from the published tables. Returns rows per mart, the same in all three places."""
    rows = {}
    for mart in MARTS:
        file = quoted(directory / f"{mart}.parquet")
        connection.execute(f"copy published.marts.{mart} to {file} (format parquet, compression zstd)")
        counts = connection.execute(
            " union all ".join(
                f"select count(*) from {place}"
                for place in (f"warehouse.marts.{mart}", f"published.marts.{mart}", file)
            )
        ).fetchall()
        if len(set(counts)) != 1:
            raise PublicationError(f"marts.{mart} has {counts} rows in warehouse, published file and Parquet.")
        (rows[mart],) = counts[0]
    return rows


def content_sha256(path: Path) -> str:
    """Hash of the rows of a Parquet file, whatever wrote it: SHA-256 of the CSV of its rows in the order of the file.

    The CSV is UTF-8: a header of column names, commas, LF, no quotes (a value that would need them is an error: no
    mart has any); NULL is empty, integers are digits, rates have six decimals, dates are ISO 8601.
    """
    file = pq.ParquetFile(path)
    digest = hashlib.sha256((",".join(file.schema_arrow.names) + "\n").encode())
    # A batch is hashed while the next ones become text: a large mart in half the time.
    with ThreadPoolExecutor(_CSV_THREADS) as threads:
        texts: deque[Future[pa.Buffer]] = deque()
        for batch in file.iter_batches(_CSV_BATCH):
            texts.append(threads.submit(_as_csv, batch))
            if len(texts) > 2 * _CSV_THREADS:
                digest.update(texts.popleft().result())
        for text in texts:
            digest.update(text.result())
    return digest.hexdigest()


def _as_csv(batch: pa.RecordBatch) -> pa.Buffer:
    text = pa.BufferOutputStream()
    write_csv(batch, text, WriteOptions(include_header=False, quoting_style="none"))
    return text.getvalue()
