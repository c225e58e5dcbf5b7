"""A release made again from the archive alone, and what is said where it cannot be the same."""

from __future__ import annotations

import json
import multiprocessing
import shutil

import pytest

from orchestration.marts import MARTS
from orchestration.night_lock import night_lock
from orchestration.records import Record, add
from tests.night.nights import Folder, bytes_under
from tests.retaking.conftest import Story


def edited(folder: Folder, release: str, **changes: object) -> None:
    """A release whose manifest says otherwise."""
    path = folder.settings.published / release / "manifest.json"
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest | changes))


def test_a_release_is_the_same_again_and_nothing_is_changed(story: Story) -> None:
    places = [path for path in story.folder.data.iterdir() if path.name not in ("dagster", "dbt", "work")]
    before = {path: bytes_under(path) if path.is_dir() else path.read_bytes() for path in places}
    ran = story.folder.kbi("reproduce", story.releases[1])
    assert ran.exit_code == 0, ran.said
    assert ran.stdout.splitlines() == [f"{mart}\tsame" for mart in MARTS]
    assert {path: bytes_under(path) if path.is_dir() else path.read_bytes() for path in places} == before
    assert not (story.folder.settings.work / "retaking").exists()


@pytest.mark.slow
def test_what_differs_is_named_with_what_may_be_the_reason(story: Story, copied: Folder) -> None:
    first = story.releases[0]
    marts = json.loads((copied.settings.published / first / "manifest.json").read_bytes())["marts"]
    marts[0]["content_sha256"] = "0" * 64
    edited(copied, first, marts=marts, code_version="0.0.9+0123456789ab", engines={"duckdb": "1.0.0"})
    for at, n_persons in (("2001-01-01T00:00:00+00:00", 40), ("2999-01-01T00:00:00+00:00", 2)):
        add(copied.settings, Record(at, "somebody", "erase", {"persons": n_persons, "deliveries": ["b-late"]}))
    ran = copied.kbi("reproduce", first)
    assert ran.exit_code == 4, ran.said
    said = dict(line.split("\t") for line in ran.stdout.splitlines())
    assert said.pop(marts[0]["name"]) == "differs" and set(said.values()) == {"same"}
    assert "0.0.9+0123456789ab" in ran.stderr and "duckdb 1.0.0, now" in ran.stderr
    assert "Persons erased since: 2." in ran.stderr
    assert "is not what was published" in ran.stderr


def test_a_release_that_there_is_not(story: Story) -> None:
    ran = story.folder.kbi("reproduce", "2016-09-08.09-00000000")
    assert ran.exit_code == 2 and story.releases[0] in ran.stderr


def test_what_is_missing_is_named(story: Story, copied: Folder) -> None:
    shutil.rmtree(copied.settings.archive / "b-late")
    edited(copied, story.releases[1], deliveries=[d | {"sha256": "0" * 64} if d["delivery_id"] == "c-corrected" else d
                                                  for d in copied.release()["deliveries"]])  # fmt: skip
    ran = copied.kbi("reproduce", story.releases[1])
    assert ran.exit_code == 1 and ran.stdout == ""
    assert "b-late (not there)" in ran.stderr and "c-corrected (other bytes lie there now)" in ran.stderr


@pytest.mark.parametrize("command", [("rebuild",), ("withdraw", "b-late", "--reason", "x"), ("reproduce", "any")])
def test_while_a_night_runs_they_wait_for_nobody(copied: Folder, command: tuple[str, ...]) -> None:
    context = multiprocessing.get_context("spawn")
    holds, ends = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(copied.settings, holds, ends))
    process.start()
    try:
        assert holds.wait(60)
        ran = copied.kbi(*command)
        assert ran.exit_code == 5 and "Another night is running" in ran.stderr
    finally:
        ends.set()
        process.join(60)


def _hold(settings, holds, ends) -> None:
    with night_lock(settings):
        holds.set()
        ends.wait(300)
