"""Nothing is ever half there: a night killed anywhere, and readers in the middle of one."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import duckdb
import pytest

from orchestration.status import status
from tests.night.conftest import put, settings_of
from tests.night.nights import Folder, bytes_under, kill, rows_under, wait_until

DYING = Path(__file__).with_name("dying.py")


def is_as(undisturbed: Folder, folder: Folder) -> None:
    """The next night makes what an undisturbed one would have made, and leaves nothing else."""
    ran = folder.night()
    assert ran.exit_code == 0, ran.stderr
    assert {result for _, result, _ in ran.lines} <= {"taken", "unchanged"} and len(ran.lines) == 2
    assert folder.ledger() == undisturbed.ledger()
    assert rows_under(folder.settings.validated) == rows_under(undisturbed.settings.validated)
    assert bytes_under(folder.settings.archive) == bytes_under(undisturbed.settings.archive)
    assert folder.quarantined() == undisturbed.quarantined()
    assert folder.marts() == undisturbed.marts()
    assert len(folder.published_parquet()) == len(folder.marts())
    assert folder.published_parquet() == undisturbed.published_parquet()
    assert folder.releases() == undisturbed.releases()
    places = [{path.name for path in one.data.iterdir()} for one in (folder, undisturbed)]
    assert places[0] == places[1]
    scratch = [{path.name for path in one.settings.work.iterdir()} for one in (folder, undisturbed)]
    assert scratch[0] <= scratch[1] | {"spill"}


def is_whole(undisturbed: Folder, folder: Folder) -> None:
    """What a reader finds after the kill was there before it or is complete."""
    for delivery_id in folder.ledger():
        here, there = folder.settings, undisturbed.settings
        assert rows_under(here.validated / delivery_id) == rows_under(there.validated / delivery_id)
        assert bytes_under(here.archive / delivery_id) == bytes_under(there.archive / delivery_id)
    status(folder.settings)
    if folder.settings.warehouse.exists():
        assert folder.rows("select count(*) from marts.mart_q1_pass_rate") == undisturbed.rows(
            "select count(*) from marts.mart_q1_pass_rate"
        )
    if (folder.settings.published / "current").exists():
        assert folder.marts() == undisturbed.marts()


@pytest.fixture
def waiting(tmp_path: Path, simulated: list[Path], key_file: Path) -> Folder:
    """A folder in which two deliveries wait, and whose dbt project is compiled."""
    folder = Folder(tmp_path, settings_of(key_file))
    put(folder, *simulated[:2])
    return folder


STEPS = (
    *("rename landing/2016-09-08", "rename quarantine/2016-09-08", "rename validated/2016-09-08"),
    *("replace ledger/2016-09-08", "rmtree work/intake/2016-09-08"),
    *("rename landing/2017-05-31", "rename quarantine/2017-05-31", "rename validated/2017-05-31"),
    *("replace ledger/2017-05-31", "rmtree work/intake/2017-05-31", "rmtree work/intake$"),
    *("replace revisions/2017-05-31", "rmtree work/build", "replace warehouse.duckdb"),
    *("rename published/2017-05-31", "symlink published/", "rename published/current"),
)
"""What a night puts in its place or takes away, in order: it is killed just before."""
QUICK_STEPS = ("rename published/current",)
"""By default too. ``tests/histories`` kills the taking of deliveries by default."""


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in QUICK_STEPS else pytest.mark.slow) for step in STEPS]
)
def test_a_night_killed_between_two_steps_leaves_nothing_half(
    undisturbed: Folder, waiting: Folder, tmp_path: Path, step: str
) -> None:
    done = tmp_path / "steps.txt"
    done.touch()
    process = waiting.start(step, done, "night", program=(sys.executable, DYING))
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == -9, f"there is no such step any more: {stderr}"
    # The order of the commits is what the others rely on.
    kept = [earlier for earlier in STEPS[: STEPS.index(step)] if "work/" not in earlier]
    assert [known for line in done.read_text().splitlines() for known in kept if line.startswith(known)] == kept
    is_whole(undisturbed, waiting)
    is_as(undisturbed, waiting)


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "2016-09-08: contracten: reading",
        "2017-05-31: personen: judging",
        "2017-05-31: wachtlijst: judging",
        "intermediate.int_evidence: ok",
        "facts.fct_trajectory: ok",
        "marts.mart_q5_completed_not_certified: ok",
    ],
)
def test_a_night_killed_at_work_leaves_nothing_half(undisturbed: Folder, waiting: Folder, line: str) -> None:
    process = waiting.start("night")
    assert process.stderr and any(line in told for told in process.stderr)
    kill(process)
    assert process.returncode == -9
    is_whole(undisturbed, waiting)
    is_as(undisturbed, waiting)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_night_killed_anywhere_leaves_nothing_half(undisturbed: Folder, waiting: Folder, seed: int) -> None:
    process = waiting.start("night")
    assert wait_until(lambda: (waiting.settings.work / "intake").exists(), process)
    # Seconds since the work began; on two cores it takes some eight.
    time.sleep(random.Random(seed).uniform(0, 8))
    kill(process)
    is_whole(undisturbed, waiting)
    is_as(undisturbed, waiting)


def test_readers_see_one_state_or_the_other_and_a_second_night_waits(continued: Folder, simulated: list[Path]) -> None:
    put(continued, simulated[2])
    before = continued.release()
    first_release = bytes_under(continued.settings.published / before["release_id"])
    seen = {name: set() for name in ("answer", "warehouse", "release")}
    process = continued.start("night")
    assert wait_until(lambda: (continued.settings.work / "intake").exists(), process)
    busy = continued.night()
    assert (busy.exit_code, busy.stdout) == (5, "") and "Another night" in busy.stderr
    while process.poll() is None:
        seen["warehouse"] |= {
            continued.rows(
                "select (select known_on::varchar from registry.knowledge), (select max(as_of_date)::varchar from "
                "marts.mart_outcome_cube), (select count(*) from facts.fct_trajectory)"
            )[0]
        }
        answered = continued.kbi("answer", "--as-of", "2016-09-08", "--format", "json")
        assert answered.exit_code == 0, answered.stderr
        seen["answer"] |= {json.loads(answered.stdout)["known_on"]}
        told = continued.kbi("status", "--format", "json")
        assert told.exit_code == 0, told.stderr
        served = (continued.settings.published / "current").resolve()
        manifest = json.loads((served / "manifest.json").read_bytes())
        with duckdb.connect(str(served / "internal" / "kbi_marts.duckdb"), read_only=True) as connection:
            for mart in manifest["marts"]:
                assert connection.execute(f"select count(*) from marts.{mart['name']}").fetchone() == (mart["rows"],)
        seen["release"] |= {manifest["release_id"]}
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert [line.split("\t")[1] for line in stdout.splitlines()] == ["unchanged", "unchanged", "taken"]

    after = continued.release()
    assert after["known_on"] > before["known_on"] and after["release_id"] != before["release_id"]
    assert seen["answer"] <= {before["known_on"], after["known_on"]}
    assert seen["release"] <= {before["release_id"], after["release_id"]}
    now = continued.rows("select count(*) from facts.fct_trajectory")[0][0]
    then = {state for state in seen["warehouse"] if state[0] == before["known_on"]}
    assert len(then) == 1 and seen["warehouse"] - then <= {(after["known_on"], after["known_on"], now)}
    # An earlier release stays as it was, for whoever still reads it.
    assert bytes_under(continued.settings.published / before["release_id"]) == first_release
    assert continued.releases() == sorted([before["release_id"], after["release_id"]])


def test_a_night_with_nothing_new_does_nothing(continued: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_disk() -> dict[Path, tuple[int, int]]:
        kept = [continued.settings.warehouse, *continued.directory.glob("landing/**/*")]
        for zone in ("published", "validated", "quarantine", "landing", "ledger", "revisions"):
            kept += (continued.data / zone).rglob("*")
        return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in kept}

    def costly(*_: object, **__: object) -> None:
        raise AssertionError("a step that costs time was run")

    # Not measured but forbidden: how long a step takes says as much of the machine.
    for step in ("intake.archive", "intake.validate", "warehouse.prepare", "dbt_runner.build", "publication.publish"):
        monkeypatch.setattr(f"orchestration.{step}", costly)
    continued.night()  # a copy is looked at anew: its files are others
    before = on_disk()
    assert len(before) > 100
    ran = continued.night()
    assert (ran.exit_code, {result for _, result, _ in ran.lines}) == (0, {"unchanged"}), ran.stderr
    assert on_disk() == before
