"""Tombstones: by what somebody who was erased is recognised again, and nothing else is known of them.

Here: keyed hashes of persons and of the identifiers of their rows, how they lie on disk, and which of given values they
stand for. Without the key nobody can tell from a tombstone whose it is; with it only whoever has the number already.
Not here: which rows are a person's (``redacting.py``), erasing (``erasing.py``).

One of a person who was purged holds only for rows that are dated before a day (``until``): who has something of that
day or later is back.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import polars as pl

from orchestration.disk import ends_as_parquet, reading, write_whole
from orchestration.pseudonyms import Key

SCHEMA = {"stone": pl.String, "until": pl.Date}
PERSON = "person"
"""The kind of tombstone that stands for a pseudonym; the others are named after the extract of an identifier."""


class Tombstones:
    """Those of one data folder.

    ``frame``: columns of ``SCHEMA``; ``until`` is null where a person was erased for good.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    @classmethod
    def read(cls, path: Path) -> Tombstones:
        """Those that lie at a path; none where nothing does."""
        if not path.exists():
            return cls(pl.DataFrame(schema=SCHEMA))
        with reading(path, "Restore it from a backup: without it those who were erased would be taken again."):
            if not ends_as_parquet(path):
                raise ValueError("cut off")
            return cls(pl.read_parquet(path))

    def __len__(self) -> int:
        return self.frame.height

    def write(self, path: Path) -> None:
        """Put them in place, whole or not at all, for their owner only."""
        content = io.BytesIO()
        self.frame.write_parquet(content)
        write_whole(path, content.getvalue(), mode=0o600)

    def of(self, key: Key, kind: str, values: pl.Series) -> pl.DataFrame:
        """Those of the values for which there is a tombstone: ``value``, ``until``. Give distinct ones.

        Args:
            values: pseudonyms for ``PERSON``, else identifiers.
        """
        marked = pl.DataFrame({"value": values, "stone": stones(key, kind, values)})
        return marked.join(self.frame, on="stone", how="inner").select("value", "until")

    def with_more(self, more: pl.DataFrame) -> Tombstones:
        """With further ones (columns of ``SCHEMA``). Erased for good goes before purged, and a later day first."""
        both = pl.concat([self.frame, more.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())])
        ranked = both.sort(pl.col("until").fill_null(date.max), descending=True)
        return Tombstones(ranked.unique("stone", keep="first").sort("stone"))

    def without(self, lifted: pl.Series) -> Tombstones:
        """Without some, but for those of persons erased for good."""
        return Tombstones(self.frame.filter(pl.col("until").is_null() | ~pl.col("stone").is_in(lifted.implode())))


def stones(key: Key, kind: str, values: Iterable[str]) -> pl.Series:
    """The tombstones of values of one kind, in their order."""
    return pl.Series("stone", [key.derived_id("erased", kind, value) for value in values], dtype=pl.String)
