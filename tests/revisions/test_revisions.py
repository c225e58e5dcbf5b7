"""The revision log tells every difference between what was published after one delivery and after the next."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.marts import MARTS
from orchestration.revisions import CAUSES, GRAIN
from orchestration.simulation.deliveries import simulate
from tests.deliveries import combined, insz, minimal_registry, write_delivery
from tests.night.nights import Folder

DIMENSIONS = [column for column in GRAIN if column != "mart"]
NOT_LOGGED = ("known_on", "pass_rate_evaluated_gap", "pass_rate_ended_gap")
"""Gaps are differences of two rates that are logged."""

Figures = Mapping[tuple[Any, ...], Any]


def figures(release: Path) -> Figures:
    """Every figure of Q1 to Q5 in a release: (mart, dimensions …, measure) → value."""
    found = {}
    for mart, grain in MARTS.items():
        if mart in ("mart_outcome_cube", "mart_revisions"):
            continue
        for row in pl.read_parquet(release / "internal" / "parquet" / f"{mart}.parquet").iter_rows(named=True):
            key = (mart, *(row.get(column) if column in grain else None for column in DIMENSIONS))
            found |= {(*key, name): row[name] for name in row if name not in (*grain, *NOT_LOGGED)}
    return found


def differences(before: Figures, after: Figures) -> Mapping[tuple[Any, ...], tuple[Any, Any]]:
    """Old and new of the figures of both that differ."""
    return {key: (before[key], after[key]) for key in before.keys() & after.keys() if before[key] != after[key]}


def logged(release: Path, delivery_id: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = pl.read_parquet(release / "internal" / "parquet" / "mart_revisions.parquet").filter(delivery_id=delivery_id)
    return {(*(row[column] for column in GRAIN), row["measure"]): row for row in rows.iter_rows(named=True)}


def is_told(release: Path, delivery_id: str, before: Path, after: Path) -> int:
    """Assert that the log of a release tells what one delivery changed; return how many figures it did."""
    expected, told = differences(figures(before), figures(after)), logged(release, delivery_id)
    # The date of a delivery is a reporting date only until the next one, unless it is the end of a month.
    assert told.keys() == expected.keys()
    for key, (old, new) in expected.items():
        row = told[key]
        assert [row["old_value"], row["new_value"]] == [None if v is None else Decimal(v) for v in (old, new)], key
        by_cause = [row[f"n_{cause}"] for cause in CAUSES]
        if isinstance(new, int):
            assert sum(by_cause) == new - old == row["difference"], key
        else:
            assert by_cause == [None] * len(CAUSES)
    return len(expected)


@pytest.fixture(scope="module")
def night_by_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, dict[str, Path]]:
    """A simulated registry, published after each of its deliveries: delivery → release."""
    folder = Folder(tmp_path_factory.mktemp("night-by-night"), {"KBI_MAX_QUARANTINE_RATE": "1"})
    waiting = tmp_path_factory.mktemp("waiting")
    releases = {}
    for delivery in simulate(waiting, 300, 7, date(2017, 6, 30), 3, "csv", 0.01):
        delivery.rename(folder.landing / delivery.name)
        ran = folder.night()
        assert ran.exit_code == 0, ran.stderr
        releases[delivery.name] = (folder.settings.published / "current").resolve()
    return folder, releases


def test_every_difference_between_two_releases_is_told(night_by_night: tuple[Folder, dict[str, Path]]) -> None:
    _, releases = night_by_night
    ids = list(releases)
    assert pl.read_parquet(releases[ids[0]] / "internal" / "parquet" / "mart_revisions.parquet").height == 0
    for previous, delivery in pairwise(ids):
        # The release of that day tells it, and every later one tells the same.
        for release in [releases[one] for one in ids[ids.index(delivery) :]]:
            assert is_told(release, delivery, releases[previous], releases[delivery]) > 50


@pytest.mark.slow
def test_one_night_for_all_tells_the_same(night_by_night: tuple[Folder, dict[str, Path]], tmp_path: Path) -> None:
    folder, _ = night_by_night
    at_once = Folder(tmp_path / "at-once", folder.variables)
    for delivery in folder.landing.iterdir():
        shutil.copytree(delivery, at_once.landing / delivery.name)
    ran = at_once.night()
    assert ran.exit_code == 0, ran.stderr
    assert at_once.marts()["mart_revisions"] == folder.marts()["mart_revisions"]


# -- causes ---------------------------------------------------------------------------------------------------------


def person(n: int) -> dict[str, list[dict[str, Any]]]:
    """One person with a contract of 2016, both components asked, nothing begun."""
    tables = minimal_registry(n)
    for extract in ("addenda", "opschortingen", "trajecten", "trajectonderdelen", "mo_cursussen", "nt2_cursussen"):
        tables[extract] = []
    for extract in ("afgelegde_testen", "attesten", "inbreuken", "wachtlijst", "insz_wijzigingen"):
        tables[extract] = []
    tables["contracten"][0]["datum_registratie"] = "2016-03-10"
    return tables


def test(n: int, result: str, day: str = "2016-06-01") -> dict[str, Any]:
    return {"test_id": f"X{n}", "insz": insz(2 * n), "type": "MO", "datum": day, "resultaat": result}


test.__test__ = False  # type: ignore[attr-defined]

BEFORE, AFTER = "2016-09-30", "2016-10-31"
OF = {cause: n for n, cause in enumerate(CAUSES, start=101)}


def first() -> dict[str, list[dict[str, Any]]]:
    tables = combined(*(person(n) for n in [*OF.values(), 150, 151]))
    tables["afgelegde_testen"] = [
        test(OF["repaired_from_quarantine"], "MISSCHIEN"),
        test(OF["deleted_row"], "GESLAAGD"),
        test(OF["corrected_decision"], "NT_GESLAAGD"),
        # The person of 101 has passed under an old number that nobody knows to be hers yet.
        test(150, "GESLAAGD"),
    ]
    return tables


def second() -> dict[str, list[dict[str, Any]]]:
    def brought(**fields: Any) -> dict[str, Any]:
        return {**fields, "verwijderd": None}

    target_group = first()["doelgroepen"][list(OF.values()).index(OF["other"])]
    return {
        "insz_wijzigingen": [
            brought(oude_insz=insz(2 * 150), nieuwe_insz=insz(2 * OF["replaced_number"]), datum="2016-10-01")
        ],
        "doelgroepen": [brought(**{**target_group, "type": "RECHT"})],
        "afgelegde_testen": [
            brought(**test(OF["repaired_from_quarantine"], "GESLAAGD")),
            {"test_id": f"X{OF['deleted_row']}", "verwijderd": "true"},
            brought(**test(OF["corrected_decision"], "GESLAAGD")),
            brought(**test(OF["late_registration"], "GESLAAGD")),
            # Neither late nor a change of any day before: it is of after the delivery before.
            brought(**test(151, "GESLAAGD", "2016-10-15")),
        ],
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("planted"), {"KBI_MAX_QUARANTINE_RATE": "1"})
    write_delivery(folder.landing, BEFORE, f"{BEFORE}T22:00:00+02:00", first())
    write_delivery(folder.landing, AFTER, f"{AFTER}T22:00:00+01:00", second(), kind="delta")
    ran = folder.night()
    assert ran.exit_code == 0, ran.stderr
    return folder


def causes_of(folder: Folder, where: str) -> dict[str, int]:
    columns = ", ".join(f"n_{cause}" for cause in CAUSES)
    (row,) = folder.rows(f"select {columns} from marts.mart_revisions where as_of_date = '{BEFORE}' and {where}")
    return {cause: n for cause, n in zip(CAUSES, row, strict=True) if n}


def test_each_planted_change_has_its_cause(planted: Folder) -> None:
    passed = "mart = 'mart_q1_pass_rate' and counting_unit = 'person' and component = 'mo' and measure = 'n_passed'"
    # With the replaced number one who had passed and one who had not become one who has.
    assert causes_of(planted, passed) == {
        "repaired_from_quarantine": 1,
        "deleted_row": -1,
        "corrected_decision": 1,
        "late_registration": 1,
    }
    population = (
        "mart = 'mart_q1_pass_rate' and counting_unit = 'person' and component = 'mo' and measure = 'n_population'"
    )
    assert causes_of(planted, population) == {"replaced_number": -1}
    moved = (
        "mart = 'mart_q2_pass_rate_by_participation' and counting_unit = 'person' and component = 'mo' "
        "and participation_type = 'voluntary' and measure = 'n_population'"
    )
    assert causes_of(planted, moved) == {"other": 1}


def test_a_rate_shows_old_and_new(planted: Folder) -> None:
    rate = (
        "select old_value, new_value from marts.mart_revisions where mart = 'mart_q1_pass_rate' and "
        f"as_of_date = '{BEFORE}' and counting_unit = 'person' and component = 'mo' and measure = 'pass_rate_evaluated'"
    )
    # Before: 2 passed, 1 failed. After: the deleted one is gone, three more passed, one failed no longer.
    ((old, new),) = planted.rows(rate)
    assert (float(old), float(new)) == (0.666667, 1.0)


def test_files_hold_counts_only(planted: Folder) -> None:
    (path,) = planted.settings.revisions.iterdir()
    rows = pl.read_parquet(path)
    assert set(rows["cause"]) <= set(CAUSES)
    text = json.dumps(rows.to_dicts(), default=str)
    assert "X10" not in text and "C10" not in text
    assert not any(insz(2 * n) in text for n in OF.values())


# -- explained to people --------------------------------------------------------------------------------------------


def test_the_difference_between_two_releases_is_explained(night_by_night: tuple[Folder, dict[str, Path]]) -> None:
    folder, releases = night_by_night
    first, *_, last = releases.values()
    arguments = ("explain", "--as-of", "2016-08-31", "--from", first.name, "--to", last.name)
    ran = folder.kbi(*arguments, "--format", "json")
    assert ran.exit_code == 0, ran.stderr
    told = json.loads(ran.stdout)
    expected = {k: v for k, v in differences(figures(first), figures(last)).items() if k[1] == date(2016, 8, 31)}
    counts = {k: v for k, v in expected.items() if isinstance(v[1], int)}
    assert counts and len(
        [d for d in told["differences"] if "rate" not in d["measure"] and d["measure"] != "share"]
    ) == len(counts)
    for difference in told["differences"]:
        assert difference["unexplained"] == 0
        if difference["causes"]:
            assert sum(difference["causes"].values()) == difference["new"] - difference["old"] != 0
    said = folder.kbi(*arguments).stdout
    assert "Vraag 1. Geslaagd" in said and "late registratie" in said and "SYNTHETISCH" in said


def test_what_cannot_be_explained_is_wrong_usage(night_by_night: tuple[Folder, dict[str, Path]]) -> None:
    folder, releases = night_by_night
    first, *_, last = (release.name for release in releases.values())
    for arguments, words in (
        (("--as-of", "2016-08-30", "--from", first, "--to", last), "does not report"),
        (("--as-of", "2016-08-31", "--from", "nothing", "--to", last), first),
    ):
        ran = folder.kbi("explain", *arguments)
        assert ran.exit_code == 2 and words in ran.stderr and ran.stdout == ""
