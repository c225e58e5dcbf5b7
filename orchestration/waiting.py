"""Rows that wait: quarantined for nothing but a parent that is not there, they may be released by a later delta.

Here: how waiting rows and their release lie on disk, beside the quarantine and under its restrictions, for they hold
persons' numbers. Not here: when a row waits or is released (``validation.py``), the verdict itself (``schemas``).

``waiting/<extract>.parquet`` of a delivery holds every row that waits once the delivery is taken, as text, with where
it was quarantined; ``released/<extract>.parquet`` names the rows that the delivery released. Neither is ever changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from schemas import LINE_NUMBER, Extract

PARENT_CODES = ("parent_missing", "parent_quarantined")
FROM_DELIVERY, FROM_LINE = "from_delivery", "from_line"
"""Delivery and line under which a waiting row lies in the quarantine."""


class WaitingRows:
    """The waiting rows of one extract, gathered while a delivery is judged."""

    def __init__(self, extract: Extract) -> None:
        self._names = list(extract.names)
        self._rows: list[pl.DataFrame] = []

    def add_new(self, broken: pl.DataFrame, delivery_id: str) -> None:
        """Of the rows quarantined now (columns of the extract, ``line_number``, ``rule_codes``), those that wait."""
        waits = pl.col("rule_codes").list.eval(pl.element().is_in(PARENT_CODES)).list.all()
        self._add(
            broken.filter(waits).with_columns(
                pl.lit(delivery_id).alias(FROM_DELIVERY), pl.col(LINE_NUMBER).alias(FROM_LINE)
            )
        )

    def add_still(self, rows: pl.DataFrame) -> None:
        """Rows that waited before and go on waiting."""
        self._add(rows)

    def write(self, directory: Path, extract: str) -> None:
        """Write them, numbered anew, in the same order however they came; no rows, no file."""
        rows = pl.concat(self._rows) if self._rows else None
        if rows is not None and rows.height:
            (directory / "waiting").mkdir(exist_ok=True, mode=0o700)
            ordered = rows.sort(FROM_DELIVERY, FROM_LINE).with_row_index(LINE_NUMBER, 1)
            numbered = ordered.with_columns(pl.col(LINE_NUMBER).cast(pl.Int64))
            numbered.write_parquet(_waiting_file(directory, extract))

    def _add(self, rows: pl.DataFrame) -> None:
        self._rows.append(rows.select(*self._names, FROM_DELIVERY, pl.col(FROM_LINE).cast(pl.Int64)))


def waiting_files(directory: Path, extracts: Sequence[str]) -> dict[str, Path]:
    """The files of rows that wait after a delivery, given its quarantine directory."""
    files = {extract: _waiting_file(directory, extract) for extract in extracts}
    return {extract: path for extract, path in files.items() if path.exists()}


def write_released(directory: Path, extract: str, rows: pl.DataFrame, delivery_id: str) -> None:
    """Record that a delivery released these rows (columns ``FROM_DELIVERY``, ``FROM_LINE``)."""
    if rows.height:
        (directory / "released").mkdir(exist_ok=True, mode=0o700)
        rows.select(
            pl.col(FROM_DELIVERY).alias("delivery_id"),
            pl.lit(extract).alias("extract"),
            pl.col(FROM_LINE).alias("line_number"),
            pl.lit(delivery_id).alias("released_by"),
        ).write_parquet(directory / "released" / f"{extract}.parquet")


def _waiting_file(directory: Path, extract: str) -> Path:
    return directory / "waiting" / f"{extract}.parquet"
