"""Deliveries of the simulated registry: which days, which files, and how they are written.

Here: dates, CSV and Parquet files, the manifest, and the rename that makes a delivery appear whole. Not here: what the
registry holds (``registry.py``) or which rows are damaged (``dirt.py``).
"""

from __future__ import annotations

import calendar
import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.simulation.dirt import damage
from orchestration.simulation.draws import calendar_date
from orchestration.simulation.layout import EXTRACTS, Extract
from orchestration.simulation.registry import BATCH_SIZE, simulate_batch
from orchestration.simulation.table import ROW
from orchestration.simulation.trajectories import first_signature

Format = Literal["csv", "parquet"]
BRUSSELS = ZoneInfo("Europe/Brussels")
EXTRACTED = time(23, 0)
MINISTER_ANSWERED = date(2016, 9, 8)
"""Where there is a series of deliveries, its first is of this day: the day of the published answer."""
EARLIEST_UNTIL = date(2014, 1, 1)
MOST_CONTRACTS = 40 * BATCH_SIZE
"""Beyond this a day of birth has too few synthetic numbers: births would have to move to other years."""
MOST_DAMAGED = 0.5

_POLARS_TYPES = {"date": pl.Date, "bool": pl.Boolean, "int": pl.Int32, "dec": pl.Float64}


def simulate(
    out: Path,
    contracts: int,
    seed: int,
    until: date,
    deliveries: int = 1,
    format: Format = "csv",
    dirty: float = 0.0,
    progress: Callable[[str], None] = lambda message: None,
) -> list[Path]:
    """Write full deliveries of a simulated registry, the last of the day ``until``, and return their directories.

    The same arguments give the same bytes. The last delivery, where nothing is damaged, holds exactly ``contracts``
    contracts. ``dirty`` is the share of rows damaged, over all the contract's rules; from about 0.02 on, with the
    children of damaged rows, more is quarantined than a warehouse accepts by default.

    Raises:
        ValueError: an argument is out of its range; the message says which and what would do.
        FileExistsError: a delivery of one of these days is already in ``out``.
    """
    _check(contracts, seed, until, deliveries, format, dirty)
    days = delivery_dates(until, deliveries)
    out = Path(out)
    taken = [day.isoformat() for day in days if (out / day.isoformat()).exists()]
    if taken:
        raise FileExistsError(f"{out} already holds the delivery {taken[0]}: choose another directory or remove it.")
    out.mkdir(parents=True, exist_ok=True)
    batches = -(-contracts // BATCH_SIZE)
    writers = [_DeliveryWriter(out, day, format, as_text=dirty > 0) for day in days]
    try:
        for batch in range(batches):
            size = min(BATCH_SIZE, contracts - batch * BATCH_SIZE)
            tables = simulate_batch(seed, batch, batches, size, days[0], until)
            for rank, writer in enumerate(writers):
                for name, table in tables.items():
                    shown = table.shown_on(writer.day)
                    bad = None
                    if dirty > 0:
                        shown, bad = damage(shown, table, dirty, seed, batch, rank)
                    writer.add(name, shown.drop(ROW), bad)
            progress(f"{min(contracts, (batch + 1) * BATCH_SIZE):,} of {contracts:,} contracts simulated")
        return [writer.finish() for writer in writers]
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise


def delivery_dates(until: date, deliveries: int) -> list[date]:
    """Days of the deliveries: a month apart up to ``until``; the first of three or more is of the minister's day."""
    days = [_months_before(until, months) for months in reversed(range(deliveries))]
    if deliveries >= 3 and days[0] > MINISTER_ANSWERED:
        days[0] = MINISTER_ANSWERED
    return days


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month; the last day of a month stays the last."""
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    length = calendar.monthrange(years, month + 1)[1]
    at_end = day.day == calendar.monthrange(day.year, day.month)[1]
    return date(years, month + 1, length if at_end else min(day.day, length))


def _check(contracts: int, seed: int, until: date, deliveries: int, format: str, dirty: float) -> None:
    if not 1 <= contracts <= MOST_CONTRACTS:
        raise ValueError(f"contracts: from 1 to {MOST_CONTRACTS:,} can be simulated, not {contracts:,}.")
    if seed < 0:
        raise ValueError("seed: a whole number from 0.")
    if until < EARLIEST_UNTIL:
        raise ValueError(f"until: from {EARLIEST_UNTIL.isoformat()}, not {until.isoformat()}.")
    if deliveries < 1:
        raise ValueError("deliveries: at least 1.")
    if delivery_dates(until, deliveries)[0] <= calendar_date(first_signature(until)):
        raise ValueError(f"deliveries: {deliveries} monthly ones up to {until.isoformat()} begin before the registry.")
    if format not in ("csv", "parquet"):
        raise ValueError(f"format: csv or parquet, not {format}.")
    if not 0 <= dirty <= MOST_DAMAGED:
        raise ValueError(f"dirty: a share from 0 to {MOST_DAMAGED}, not {dirty}.")


class _HashedFile:
    """A file that is hashed while it is written."""

    closed = False

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _ExtractFile:
    """One file of a delivery, written batch by batch."""

    def __init__(self, directory: Path, extract: Extract, format: Format, as_text: bool) -> None:
        self.extract, self.format, self.rows = extract, format, 0
        self.path = f"{extract.name}.{format}"
        self._file = _HashedFile(directory / self.path)
        self._as_text = as_text
        self._parquet: pq.ParquetWriter | None = None
        # A header, or a schema, is due even where no row comes.
        types = {name: pl.String if as_text else _POLARS_TYPES.get(kind, pl.String)
                 for name, kind in extract.kinds.items()}  # fmt: skip
        empty = pl.DataFrame(schema=types)
        if format == "csv":
            empty.write_csv(self._file, separator=";")
        else:
            self._schema: pa.Schema = empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema
            self._parquet = pq.ParquetWriter(pa.PythonFile(self._file, mode="w"), self._schema, compression="zstd")

    def add(self, frame: pl.DataFrame) -> None:
        if not frame.height:
            return
        self.rows += frame.height
        if self._parquet is None:
            frame.write_csv(self._file, separator=";", include_header=False)
        else:
            if self._as_text:
                frame = frame.cast(pl.String)
            arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            self._parquet.write_table(arrow.cast(self._schema))

    def close(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()

    def entry(self) -> dict[str, str | int]:
        return {
            "extract": self.extract.name,
            "path": self.path,
            "format": self.format,
            "rows": self.rows,
            "sha256": self._file.sha256,
        }


class _DeliveryWriter:
    """A delivery, written aside under a hidden name.

    It appears whole: the directory is renamed without its manifest, for only a manifest says that a delivery is there;
    then the manifest is moved in. So a reader never finds one in a directory that is about to change its name.
    """

    def __init__(self, out: Path, day: date, format: Format, as_text: bool) -> None:
        self.date, self.day = day, (day - date(1970, 1, 1)).days
        self._target = out / day.isoformat()
        self._aside = out / f".{day.isoformat()}.partial"
        self._manifest = out / f".{day.isoformat()}.manifest.json"
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir()
        self._files = {name: _ExtractFile(self._aside, extract, format, as_text) for name, extract in EXTRACTS.items()}

    def add(self, name: str, shown: pl.DataFrame, damaged: pl.DataFrame | None) -> None:
        file = self._files[name]
        file.add(shown)
        if damaged is not None:
            file.add(damaged)

    def finish(self) -> Path:
        for file in self._files.values():
            file.close()
        manifest = {
            "delivery_id": self.date.isoformat(),
            "extracted_at": datetime.combine(self.date, EXTRACTED, tzinfo=BRUSSELS).isoformat(),
            "kind": "full",
            "synthetic": True,
            "files": [file.entry() for file in self._files.values()],
        }
        self._manifest.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        self._aside.rename(self._target)
        self._manifest.replace(self._target / "manifest.json")
        return self._target

    def abandon(self) -> None:
        """Leave nothing behind of what has not appeared."""
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        shutil.rmtree(self._aside, ignore_errors=True)
        self._manifest.unlink(missing_ok=True)
