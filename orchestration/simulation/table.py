"""One extract of the simulated registry through time, and what it shows on one day.

Here: when a row is recorded and deleted, and which later versions of some of its fields the registry overwrites the
earlier with. Not here: what the values are (``persons.py`` and its neighbours) or how they are written
(``deliveries.py``).

Values are coded for speed: dates as days with ``NEVER`` for empty, booleans and integers with -1 for empty, decimals
with NaN for empty. Text and codes are polars strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.simulation.draws import NEVER, Days
from orchestration.simulation.layout import EXTRACTS, Extract

Values = NDArray[Any] | pl.Series
ROW = "row"
"""Position of a row in the table, the same in every delivery; never written."""


def labels(codes: NDArray[Any], values: Sequence[str | None]) -> pl.Series:
    """Texts by position; a negative position is empty."""
    positions = np.where(codes < 0, len(values), codes).astype(np.uint32)
    return pl.Series([*values, None], dtype=pl.String).gather(positions)


def text(value: str, n: int) -> pl.Series:
    """One text n times."""
    return pl.repeat(value, n, dtype=pl.String, eager=True)


def numbered(prefix: str, numbers: NDArray[Any]) -> pl.Series:
    """Identifiers: a letter and ten digits; a negative number is empty."""
    series = pl.Series("id", numbers)
    written = pl.lit(prefix) + pl.col("id").cast(pl.String).str.zfill(10)
    return pl.select(pl.when(series >= 0).then(series).alias("id")).select(written).to_series()


@dataclass(frozen=True)
class Version:
    """Values that replace earlier ones of the same columns on the days ``known`` (``NEVER``: no such version)."""

    known: Days
    values: Mapping[str, Values]


class RegistryTable:
    """An extract over time. Versions are given in time order: the last one known on a day is shown."""

    def __init__(
        self,
        extract: str,
        recorded: Days,
        values: Mapping[str, Values],
        versions: Sequence[Version] = (),
        deleted: Days | None = None,
    ) -> None:
        self.extract: Extract = EXTRACTS[extract]
        self._versions = [tuple(version.values) for version in versions]
        columns: dict[str, Values] = {**values, "recorded": recorded}
        if deleted is not None:
            columns["deleted"] = deleted
        for number, version in enumerate(versions):
            columns[f"known@{number}"] = version.known
            columns |= {f"{name}@{number}": value for name, value in version.values.items()}
        self.frame = pl.DataFrame(columns).with_row_index(ROW)

    @property
    def height(self) -> int:
        """Rows that exist on any day."""
        return self.frame.height

    def shown_on(self, today: int) -> pl.DataFrame:
        """The rows as the registry shows them at the end of a day, in natural types, with their ``ROW``."""
        visible = pl.col("recorded") <= today
        if "deleted" in self.frame.columns:
            visible &= pl.col("deleted") > today
        values = [self._shown(name, kind, today) for name, kind in self.extract.kinds.items()]
        return self.frame.lazy().filter(visible).select(*values, pl.col(ROW)).collect()

    def _shown(self, name: str, kind: str, today: int) -> pl.Expr:
        if name in self.frame.columns:
            value = pl.col(name)
        else:
            value = pl.lit(NEVER, dtype=pl.Int32) if kind == "date" else pl.lit(None)
        for number, columns in enumerate(self._versions):
            if name in columns:
                value = pl.when(pl.col(f"known@{number}") <= today).then(pl.col(f"{name}@{number}")).otherwise(value)
        match kind:
            case "date":
                value = pl.when(value < NEVER).then(value).cast(pl.Date)
            case "bool":
                value = pl.when(value >= 0).then(value == 1)
            case "int":
                value = pl.when(value >= 0).then(value).cast(pl.Int32)
            case "dec":
                value = value.cast(pl.Float64).fill_nan(None)
            case _:
                value = value.cast(pl.String)
        return value.alias(name)
