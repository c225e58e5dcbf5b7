"""The quarantine: rows that broke a rule, kept with their delivery, line, all rule codes and original fields.

Here: how quarantined rows lie on disk, in a restricted folder, and how SQL looks at them. Not here: why a row is
quarantined (``schemas``) or when (``validation.py``). These files hold INSZ numbers; nothing copies out of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.sql import quoted_list

SCHEMA = pa.schema(
    {
        "delivery_id": pa.string(),
        "extract": pa.string(),
        "line_number": pa.int64(),
        "rule_codes": pa.list_(pa.string()),
        "row": pa.string(),
    }
)
"""``row``: the original fields as a JSON object, names as delivered."""


class QuarantineFile:
    """Quarantined rows of one extract of one delivery, written batch by batch; no rows, no file."""

    def __init__(self, directory: Path, delivery_id: str, extract: str) -> None:
        self._path = directory / f"{extract}.parquet"
        self._delivery_id, self._extract = delivery_id, extract
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pl.DataFrame, fields: Sequence[str]) -> None:
        """Add rows: columns ``line_number``, ``rule_codes`` and the original fields as text."""
        if not rows.height:
            return
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._writer = pq.ParquetWriter(self._path, SCHEMA, compression="zstd")
        self._writer.write_table(
            rows.select(
                pl.lit(self._delivery_id).alias("delivery_id"),
                pl.lit(self._extract).alias("extract"),
                pl.col("line_number").cast(pl.Int64),
                "rule_codes",
                pl.struct(fields).struct.json_encode().alias("row"),
            )
            .to_arrow(compat_level=pl.CompatLevel.oldest())
            .cast(SCHEMA)
        )

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def quarantine_query(directory: Path, delivery_ids: Sequence[str]) -> str:
    """The query behind ``quality.quarantined_rows``, over these deliveries' files; columns typed also where none is."""
    files = _files(directory, delivery_ids, "*.parquet")
    if not files:
        return (
            "select null::varchar as delivery_id, null::varchar as extract, null::bigint as line_number, "
            "null::varchar[] as rule_codes, null::json as row, null::varchar as released_by where false"
        )
    rows = f"select delivery_id, extract, line_number, rule_codes, row::json as row from read_parquet({files})"
    released = _files(directory, delivery_ids, "released/*.parquet")
    if not released:
        return f"select *, null::varchar as released_by from ({rows})"
    return (
        f"select rows.*, released.released_by from ({rows}) as rows "
        f"left join read_parquet({released}) as released using (delivery_id, extract, line_number)"
    )


def _files(directory: Path, delivery_ids: Sequence[str], pattern: str) -> str:
    return quoted_list(path for delivery_id in delivery_ids for path in sorted((directory / delivery_id).glob(pattern)))
