"""The same registry gives the same figures, to the byte, however it is written and whatever the key."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from orchestration.simulation.deliveries import simulate
from tests.deliveries import COLUMNS, csv_bytes
from tests.night.conftest import CONTRACTS, DELIVERIES, KEY, SEED, UNTIL, put, settings_of
from tests.night.nights import Folder, rows_under
from tests.validation.schemas_frames import KEYS


def rewrite(delivery: Path, draw: random.Random) -> None:
    """The same rows as another program would write them: columns and rows in any order, CRLF, a byte-order mark,
    everything quoted, blank lines, white space around values, ends that are open as 9999-12-31."""
    manifest = json.loads((delivery / "manifest.json").read_text())
    for entry in manifest["files"]:
        path = delivery / entry["path"]
        rows = list(csv.DictReader(io.StringIO(path.read_text(), newline=""), delimiter=";"))
        assert len(rows) == entry["rows"]
        columns = [*COLUMNS[entry["extract"]], "opmerking"]
        draw.shuffle(columns)
        draw.shuffle(rows)
        out = io.StringIO()
        writer = csv.writer(out, delimiter=";", lineterminator="\r\n", quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for row in rows:
            if "einde" in row and not row["einde"]:
                row["einde"] = "9999-12-31"
            writer.writerow([f" {row.get(column, 'niet verwacht')}\u00a0" for column in columns])
            if draw.random() < 0.05:
                out.write("\r\n")
        content = b"\xef\xbb\xbf" + out.getvalue().encode()
        path.write_bytes(content)
        entry["sha256"] = sha256(content).hexdigest().upper()
    (delivery / "manifest.json").write_text(json.dumps(manifest))


def test_tables_as_parquet_give_the_same_marts_and_state(undisturbed: Folder, tmp_path: Path, key_file: Path) -> None:
    folder = Folder(tmp_path, settings_of(key_file))
    as_parquet = simulate(tmp_path / "parquet", CONTRACTS, SEED, UNTIL, DELIVERIES, "parquet", dirty=0.01)
    put(folder, *as_parquet[:2])
    assert folder.night().exit_code == 0
    assert folder.marts() == undisturbed.marts()
    assert folder.published_parquet() == undisturbed.published_parquet()
    assert folder.quarantined() == undisturbed.quarantined()
    assert rows_under(folder.settings.validated) == rows_under(undisturbed.settings.validated)


@pytest.mark.slow
def test_another_form_and_another_key_give_the_same_marts(
    undisturbed: Folder, tmp_path: Path, simulated: list[Path]
) -> None:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(KEY[::-1])
    folder = Folder(tmp_path, settings_of(tmp_path / "key"))
    put(folder, *simulated[:2])
    for delivery in folder.landing.iterdir():
        rewrite(delivery, random.Random(1))
    ran = folder.night()
    assert ran.exit_code == 0, ran.stderr
    assert "column_unexpected" in ran.stderr
    assert folder.rows("select * exclude delivery_id from quality.reconciliation order by all") == undisturbed.rows(
        "select * exclude delivery_id from quality.reconciliation order by all"
    )
    assert folder.marts() == undisturbed.marts()
    assert folder.published_parquet() == undisturbed.published_parquet()
    persons = {
        place.directory: set(
            pl.read_parquet(sorted(place.settings.validated.glob("*/personen.parquet"))[-1])["person_key"]
        )
        for place in (folder, undisturbed)
    }
    assert set.isdisjoint(*persons.values())


def as_delta(before: Path, after: Path) -> dict[str, int]:
    """Rewrite a full delivery as what changed since another; returns how many rows tell of what, for the test's sake.

    A key whose rows are not those of before comes with all of its rows: one of them may contradict another.
    """
    manifest = json.loads((after / "manifest.json").read_text())
    manifest["kind"] = "delta"
    told, files = {"deleted": 0, "unchanged": 0}, []
    for entry in manifest["files"]:
        extract, path = entry["extract"], after / entry["path"]
        old, new = (_by_key(directory / entry["path"], KEYS[extract]) for directory in (before, after))
        rows = [row | {"verwijderd": ""} for key, rows in new.items() if rows != old.get(key) for row in rows]
        gone = [dict(zip(KEYS[extract], key, strict=True)) | {"verwijderd": "true"} for key in old.keys() - new.keys()]
        told |= {extract: len(rows), "deleted": told["deleted"] + len(gone)}
        told["unchanged"] += sum(rows == old.get(key) for key, rows in new.items())
        if not rows + gone:
            path.unlink()
            continue
        content = csv_bytes([*COLUMNS[extract], "verwijderd"], rows + gone)
        path.write_bytes(content)
        files.append(entry | {"rows": len(rows + gone), "sha256": sha256(content).hexdigest()})
    (after / "manifest.json").write_text(json.dumps(manifest | {"files": files}))
    return told


def _by_key(path: Path, key: list[str]) -> dict[tuple[str, ...], list[dict[str, str]]]:
    rows: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(path.read_text(), newline=""), delimiter=";"):
        rows.setdefault(tuple(row[column] for column in key), []).append(row)
    return rows


@pytest.mark.slow
def test_what_changed_alone_gives_the_same_marts_late_numbers_and_all(
    undisturbed: Folder, tmp_path: Path, simulated: list[Path], key_file: Path
) -> None:
    folder = Folder(tmp_path, settings_of(key_file))
    put(folder, *simulated[:2])
    first, second = sorted(folder.landing.iterdir())
    told = as_delta(first, second)
    # Numbers replaced of persons known before, rows that are new, gone and as they were.
    assert min(told["insz_wijzigingen"], told["contracten"], told["deleted"], told["unchanged"]) > 0, told
    ran = folder.night()
    assert (ran.exit_code, [result for _, result, _ in ran.lines]) == (0, ["taken", "taken"]), ran.stderr
    assert folder.marts() == undisturbed.marts()
    assert folder.published_parquet() == undisturbed.published_parquet()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_larger_registries_do_not_depend_on_the_key(tmp_path: Path, seed: int) -> None:
    """Ties between ids that a key makes show in many rows only."""
    deliveries = simulate(tmp_path / "simulated", 5_000, seed, UNTIL, 2, dirty=0.004)
    published = []
    for name, key in (("a", KEY), ("b", KEY[::-1])):
        (tmp_path / f"{name}.key").touch(mode=0o600)
        (tmp_path / f"{name}.key").write_text(key)
        folder = Folder(tmp_path / name, settings_of(tmp_path / f"{name}.key"))
        put(folder, *deliveries)
        assert folder.night().exit_code == 0
        published.append(folder.published_parquet())
        shutil.rmtree(folder.settings.archive)
    assert published[0] == published[1]
