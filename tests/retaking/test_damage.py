"""Whatever is lost or cut off in KBI_DATA is noticed, named with its remedy, and mended by that."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.night.nights import Folder
from tests.retaking.conftest import FULL, Story

Damage = Callable[[Path], None]


def half(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)


def removed(path: Path) -> None:
    path.parent.chmod(0o700)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (half, f"validated/{FULL}/personen.parquet"),
        (half, "validated/c-corrected/*.parquet"),
        (removed, "validated/c-corrected/*.parquet"),
        (removed, f"quarantine/{FULL}/*.parquet"),
        (removed, f"quarantine/{FULL}"),
    ],
)
def test_what_was_made_of_a_delivery_is_missed_and_made_again(
    story: Story, copied: Folder, damage: Damage, lost: str
) -> None:
    path = sorted(copied.data.glob(lost))[0]
    damage(path)
    ran = copied.night()
    assert ran.exit_code == 1 and f"{path} is damaged or not there" in ran.stderr and "kbi rebuild" in ran.stderr
    assert copied.release() == story.folder.release()
    assert copied.kbi("rebuild").exit_code == 0
    assert copied.marts() == story.folder.marts()


@pytest.mark.parametrize("lost", [FULL, f"{FULL}/contracten.csv", f"{FULL}/manifest.json"])
def test_bytes_that_were_taken_are_missed(story: Story, copied: Folder, lost: str) -> None:
    removed(copied.settings.archive / lost)
    ran = copied.night()
    assert ran.exit_code == 1 and f"{copied.settings.archive / FULL} is not there or not whole" in ran.stderr
    assert "Restore it from a backup" in ran.stderr and copied.release() == story.folder.release()


def test_figures_of_revisions_that_were_cut_off_are_made_again(story: Story, copied: Folder) -> None:
    for path in copied.settings.revisions.glob("*.parquet"):
        half(path)
    copied.settings.build_due.touch()
    ran = copied.night()
    assert ran.exit_code == 0, ran.said
    assert copied.marts() == story.folder.marts()


@pytest.mark.parametrize("name", ["manifest.json", "lineage.json", "digest"])
def test_a_compiled_project_that_was_cut_off_is_compiled_again(story: Story, copied: Folder, name: str) -> None:
    project = copied.data / "dbt" / "project"
    half(project / name)
    ran = copied.run("night")
    assert ran.exit_code == 0, ran.said
    assert json.loads((project / "manifest.json").read_bytes())["nodes"]
    for same in ("digest", "lineage.json"):
        assert (project / same).read_bytes() == (story.folder.data / "dbt" / "project" / same).read_bytes()


def test_a_ledger_entry_that_was_cut_off_is_named_with_what_to_do(story: Story, copied: Folder) -> None:
    path = copied.settings.ledger / f"{FULL}.json"
    half(path)
    for command in ("night", "status", "rebuild"):
        ran = copied.kbi(command)
        assert ran.exit_code == 1 and f"{path} is damaged" in ran.stderr and "kbi rebuild" in ran.stderr, command
    # As it says.
    copied.settings.ledger.rename(copied.directory / "moved-away")
    assert copied.kbi("rebuild").exit_code == 0
    assert copied.marts() == story.folder.marts()


@pytest.mark.parametrize("name", ["published/current/manifest.json", "rollback.json", "tombstones.parquet"])
def test_other_files_that_were_cut_off_are_named(story: Story, copied: Folder, name: str) -> None:
    path = copied.data / name
    if not path.exists():
        path.write_bytes(b"PAR")
    half(path)
    command = ("erase",) if name == "tombstones.parquet" else ("status",)
    ran = copied.kbi(*command, stdin="85073003328\n")
    assert ran.exit_code == 1 and f"{path.resolve()} is damaged" in ran.stderr, ran.said
    assert "Unforeseen" not in ran.stderr
