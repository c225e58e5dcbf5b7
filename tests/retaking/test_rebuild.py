"""Everything again from the archive: the same, to the byte where there are bytes to compare, whatever was lost."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from orchestration.ledger import Ledger
from orchestration.records import records
from tests.deliveries import insz
from tests.night.nights import Folder, bytes_under, kill, rows_under, wait_until
from tests.retaking.conftest import FULL, Story, folder_of


def is_as(story: Story, folder: Folder) -> None:
    """Ledger, archive and releases are the same to the byte; state and quarantine row for row."""
    there, here = story.folder.settings, folder.settings
    # But for the signature, which says where the landing zone lies on this disk.
    entries = [
        [entry.model_copy(update={"signature": None}) for entry in Ledger(s.ledger).entries()] for s in (here, there)
    ]
    assert entries[0] == entries[1]
    assert rows_under(here.validated) == rows_under(there.validated)
    assert rows_under(here.quarantine) == rows_under(there.quarantine)
    assert bytes_under(here.archive) == bytes_under(there.archive)
    assert folder.releases() == story.folder.releases()
    assert folder.marts() == story.folder.marts()
    assert [path.name for path in here.data.iterdir() if path.name in ("exchange", "warehouse.due")] == []
    assert not (here.work / "retaking").exists()


@pytest.fixture(scope="module")
def rebuilt(story: Story, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str]:
    """A copy in which files were damaged and lost, then everything rebuilt; and what that said."""
    directory = tmp_path_factory.mktemp("rebuilt") / "copied"
    shutil.copytree(story.folder.directory, directory, symlinks=True)
    folder = Folder(directory, story.folder.variables)
    (folder.settings.validated / FULL / "personen.parquet").write_bytes(b"damaged")
    shutil.rmtree(folder.settings.quarantine / "b-late")
    ran = folder.kbi("rebuild", "--reason", "a disk that forgets")
    assert ran.exit_code == 0, ran.said
    assert ran.lines == [(id, "unchanged", "") for id in story.ids]
    return folder, ran.said


def test_what_was_damaged_is_as_it_was(story: Story, rebuilt: tuple[Folder, str]) -> None:
    folder, _ = rebuilt
    is_as(story, folder)
    before, after = (one.settings.warehouse.stat() for one in (story.folder, folder))
    assert after.st_mtime_ns > before.st_mtime_ns, "the warehouse is built again, though the ledger is as it was"
    assert folder.settings.quarantine.stat().st_mode & 0o777 == 0o700


def _another_versions(rows: bytes) -> bytes:
    there = io.BytesIO()
    pl.read_parquet(rows).with_columns(reden=pl.lit("ZIEK")).write_parquet(there)
    return there.getvalue()


def _with_a_damaged_footer(rows: bytes) -> bytes:
    length = int.from_bytes(rows[-8:-4], "little")
    return rows[: -8 - length] + b"\xff" * length + rows[-8:]


@pytest.mark.parametrize(
    "changed",
    [_another_versions, _with_a_damaged_footer, lambda rows: rows[:100]],
    ids=["another version's", "damaged", "cut off"],
)
def test_rows_of_another_shape_are_no_rows(story: Story, tmp_path: Path, changed: Callable[[bytes], bytes]) -> None:
    shutil.copytree(story.folder.directory, tmp_path / "copied", symlinks=True)
    folder = Folder(tmp_path / "copied", story.folder.variables)
    path = folder.settings.validated / FULL / "opschortingen.parquet"
    path.write_bytes(changed(path.read_bytes()))
    before = folder.releases()
    ran = folder.night()
    assert ran.exit_code == 1 and "kbi rebuild" in ran.stderr
    assert folder.releases() == before


def test_it_leaves_a_record_that_names_nobody(story: Story, rebuilt: tuple[Folder, str]) -> None:
    folder, said = rebuilt
    (record,) = records(folder.settings)
    assert (record.act, record.details) == ("rebuild", {"deliveries": 5, "reason": "a disk that forgets"})
    assert folder.status()["records"][0]["act"] == "rebuild"
    assert "rebuild (deliveries 5, reason a disk that forgets)" in folder.kbi("status").stdout
    numbers = {insz(n) for n in range(40_001, 40_005)}
    for number in numbers | {number for number in _numbers(folder) if number}:
        assert number not in said and number not in (folder.data / "records.jsonl").read_text()


def _numbers(folder: Folder) -> set[str]:
    lines = (folder.settings.archive / FULL / "personen.csv").read_text().splitlines()
    column = lines[0].split(";").index("insz")
    return {line.split(";")[column] for line in lines[1:]}


def test_archive_and_key_on_an_empty_machine_give_the_same_release(
    story: Story, tmp_path: Path, key_file: Path
) -> None:
    """The drill of docs/runbook.md: nothing is left but the archive and the key."""
    folder = folder_of(tmp_path / "machine", key_file)
    shutil.copytree(story.folder.settings.archive, folder.settings.archive)
    ran = folder.kbi("rebuild")
    assert ran.exit_code == 0, ran.said
    assert folder.marts() == story.folder.marts()
    assert folder.release()["deliveries"] == story.folder.release()["deliveries"]


@pytest.mark.slow
def test_with_the_ledger_it_is_known_when_they_were_taken(story: Story, tmp_path: Path, key_file: Path) -> None:
    """The other drill: archive, ledger, releases and key."""
    folder = folder_of(tmp_path / "machine", key_file)
    for zone in ("landing", "ledger", "published"):
        shutil.copytree(story.folder.data / zone, folder.data / zone, symlinks=True)
    shutil.copytree(story.folder.landing, folder.landing, dirs_exist_ok=True)
    ran = folder.night()
    assert ran.exit_code == 1 and "kbi rebuild" in ran.stderr, "a night makes nothing of half a restoration"
    assert folder.kbi("rebuild").exit_code == 0
    is_as(story, folder)
    for release in story.releases:
        assert folder.kbi("reproduce", release).exit_code == 0


def test_a_damaged_archive_is_told_and_nothing_changes(story: Story, copied: Folder) -> None:
    file = copied.settings.archive / "c-corrected" / "contracten.csv"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"C-x;;;;;;;;;\n")
    before = bytes_under(copied.settings.validated), bytes_under(copied.settings.ledger)
    ran = copied.kbi("rebuild")
    assert ran.exit_code == 1 and "c-corrected" in ran.stderr and "checksum_mismatch" in ran.stderr
    assert "Nothing was changed" in ran.stderr
    assert (bytes_under(copied.settings.validated), bytes_under(copied.settings.ledger)) == before
    assert records(copied.settings) == []

    shutil.rmtree(copied.settings.archive / "c-corrected")
    ran = copied.kbi("rebuild")
    assert ran.exit_code == 1 and "c-corrected" in ran.stderr


def test_without_the_key_nothing_is_made(copied: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_bytes(b"x" * 32)
    ran = Folder(copied.directory, copied.variables | {"KBI_PSEUDONYM_KEY_FILE": str(other)}).kbi("rebuild")
    assert ran.exit_code == 1 and "not the key" in ran.stderr
    variables = {name: value for name, value in copied.variables.items() if "KEY" not in name}
    ran = Folder(copied.directory, variables).kbi("rebuild")
    assert ran.exit_code == 1 and "not the key" in ran.stderr
    assert not (copied.data / "pseudonym.key").exists()


def test_nothing_to_rebuild(tmp_path: Path) -> None:
    ran = Folder(tmp_path).kbi("rebuild")
    assert ran.exit_code == 2 and "nothing to rebuild" in ran.stderr


def test_killed_before_it_decided_nothing_has_changed(story: Story, copied: Folder) -> None:
    process = copied.start("rebuild")
    assert wait_until(lambda: (copied.settings.work / "retaking" / "new" / "ledger" / "b-late.json").exists(), process)
    kill(process)
    ran = copied.night()
    assert ran.exit_code == 0, ran.said
    is_as(story, copied)
    assert records(copied.settings) == []
