"""What simulated deliveries are as files: whole, described truly, the same for the same seed."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from orchestration.simulation import deliveries, delivery_dates, simulate
from tests.deliveries import COLUMNS

UNTIL = date(2017, 6, 30)


def _bytes(directories: list[Path]) -> dict[str, str]:
    return {
        f"{directory.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for directory in directories
        for path in sorted(directory.iterdir())
    }


@pytest.mark.parametrize(("format", "dirty"), [("csv", 0.02), ("csv", 0.0), ("parquet", 0.02), ("parquet", 0.0)])
def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, format: Any, dirty: float) -> None:
    first = _bytes(simulate(tmp_path / "a", 700, 3, UNTIL, 3, format, dirty))
    # Nothing outside the arguments may count, the state of global generators least of all.
    random.seed(1)
    np.random.seed(1)
    assert _bytes(simulate(tmp_path / "b", 700, 3, UNTIL, 3, format, dirty)) == first
    assert len(first) == 3 * 15


def test_another_seed_gives_another_registry(tmp_path: Path) -> None:
    one, other = (
        pl.read_csv(simulate(tmp_path / str(seed), 300, seed, UNTIL)[0] / "personen.csv", separator=";")
        for seed in (1, 2)
    )
    assert one.join(other, on="kbi_nummer", how="semi").is_empty()


def test_a_delivery_is_described_truly(clean: list[Path], dirty: list[Path]) -> None:
    for directory in [*clean, *dirty]:
        manifest = json.loads((directory / "manifest.json").read_text())
        assert manifest["delivery_id"] == directory.name == manifest["extracted_at"][:10]
        assert (manifest["kind"], manifest["synthetic"]) == ("full", True)
        assert [file["extract"] for file in manifest["files"]] == list(COLUMNS)
        assert {path.name for path in directory.iterdir()} == {
            "manifest.json", *(file["path"] for file in manifest["files"])
        }  # fmt: skip
        for file in manifest["files"]:
            content = (directory / file["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file["sha256"]
            assert content.count(b"\n") == file["rows"] + 1
            assert content.splitlines()[0].decode().split(";") == COLUMNS[file["extract"]]


def test_the_clock_of_extraction_follows_summer_time(tmp_path: Path) -> None:
    for day, offset in ((date(2016, 9, 8), "+02:00"), (date(2016, 12, 31), "+01:00")):
        manifest = json.loads((simulate(tmp_path, 5, 1, day)[0] / "manifest.json").read_text())
        assert manifest["extracted_at"] == f"{day}T23:00:00{offset}"


def test_a_delivery_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[tuple[set[str], set[str]]] = []
    rename, replace = Path.rename, Path.replace

    def _look() -> None:
        assert not list(tmp_path.glob(".*/manifest.json")), "a manifest stands in a directory that is being written"
        there = {path.parent.name for path in tmp_path.glob("*/manifest.json")}
        moments.append(({path.name for path in tmp_path.glob("2*")}, there))

    def _rename(self: Path, target: Path) -> Path:
        _look()
        moved = rename(self, target)
        _look()
        return moved

    def _replace(self: Path, target: Path) -> Path:
        assert len(list(target.parent.iterdir())) == len(COLUMNS), "the manifest comes last"
        moved = replace(self, target)
        _look()
        return moved

    monkeypatch.setattr(Path, "rename", _rename)
    monkeypatch.setattr(Path, "replace", _replace)
    simulate(tmp_path, 20, 1, UNTIL)
    day = UNTIL.isoformat()
    assert moments == [(set(), set()), ({day}, set()), ({day}, {day})]
    assert [path.name for path in tmp_path.iterdir()] == [day]


def test_what_breaks_off_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deliveries, "simulate_batch", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, 20, 1, UNTIL, 3, format="parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dirty", [0.0, 0.01])
def test_parquet_holds_what_csv_holds(tmp_path: Path, dirty: float) -> None:
    texts = simulate(tmp_path / "csv", 1_500, 5, UNTIL, 2, "csv", dirty)
    typed = simulate(tmp_path / "parquet", 1_500, 5, UNTIL, 2, "parquet", dirty)
    for text_directory, typed_directory in zip(texts, typed, strict=True):
        for extract, columns in COLUMNS.items():
            text = pl.read_csv(text_directory / f"{extract}.csv", separator=";", infer_schema=False)
            parquet = pl.read_parquet(typed_directory / f"{extract}.parquet")
            assert text.columns == parquet.columns == columns
            assert parquet.cast(pl.String).equals(text), extract


def test_undamaged_parquet_has_natural_types_and_damaged_is_text(tmp_path: Path) -> None:
    typed = simulate(tmp_path / "typed", 50, 5, UNTIL, 1, "parquet")[0]
    schema = pq.read_schema(typed / "afgelegde_testen.parquet")
    assert [str(schema.field(name).type) for name in ("datum", "score_praktisch")] == ["date32[day]", "int32"]
    courses = pq.read_schema(typed / "mo_cursussen.parquet")
    assert [str(courses.field(name).type) for name in ("individueel", "lesuren", "taal")] == [
        "bool", "double", "large_string"
    ]  # fmt: skip
    damaged = simulate(tmp_path / "text", 50, 5, UNTIL, 1, "parquet", 0.1)[0]
    assert set(pl.read_parquet(damaged / "mo_cursussen.parquet").dtypes) == {pl.String}


def test_deliveries_are_monthly_and_a_series_begins_on_the_day_of_the_answer() -> None:
    answered = date(2016, 9, 8)
    assert delivery_dates(UNTIL, 1) == [UNTIL]
    assert delivery_dates(UNTIL, 2) == [date(2017, 5, 31), UNTIL]
    assert delivery_dates(UNTIL, 3) == [answered, date(2017, 5, 31), UNTIL]
    assert delivery_dates(date(2016, 3, 30), 2) == [date(2016, 2, 29), date(2016, 3, 30)]
    assert delivery_dates(date(2016, 10, 15), 4) == [date(2016, month, 15) for month in (7, 8, 9, 10)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"contracts": 0}, "contracts: from 1 to 4,000,000"),
        ({"contracts": 4_000_001}, "contracts: from 1 to 4,000,000"),
        ({"seed": -1}, "seed: a whole number from 0"),
        ({"until": date(2013, 12, 31)}, "until: from 2014-01-01"),
        ({"deliveries": 0}, "deliveries: at least 1"),
        ({"until": date(2014, 1, 1), "deliveries": 30}, "deliveries: 30 monthly ones up to 2014-01-01"),
        ({"format": "xlsx"}, "format: csv or parquet, not xlsx"),
        ({"dirty": -0.1}, "dirty: a share from 0 to 0.5"),
        ({"dirty": 0.6}, "dirty: a share from 0 to 0.5"),
        ({"dirty": float("nan")}, "dirty: a share from 0 to 0.5"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    arguments = {"contracts": 10, "seed": 1, "until": UNTIL} | changed
    with pytest.raises(ValueError, match=message):
        simulate(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_delivery_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    simulate(tmp_path, 10, 1, UNTIL)
    before = _bytes([tmp_path / UNTIL.isoformat()])
    with pytest.raises(FileExistsError, match="already holds the delivery 2017-06-30: choose another directory"):
        simulate(tmp_path, 10, 2, UNTIL, 2)
    assert _bytes([tmp_path / UNTIL.isoformat()]) == before
    assert [path.name for path in tmp_path.iterdir()] == [UNTIL.isoformat()]


def test_progress_is_told_by_batch(tmp_path: Path) -> None:
    told: list[str] = []
    simulate(tmp_path, 10, 1, UNTIL, progress=told.append)
    assert told == ["10 of 10 contracts simulated"]
