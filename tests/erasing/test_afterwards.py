"""What else is done to a data folder, before or after an erasure, and one whose night fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration.cli import main
from tests.erasing.test_erase import kbi, somebody, traces
from tests.night.nights import Folder

pytestmark = pytest.mark.slow


@pytest.fixture
def number(deliveries: list[Path]) -> str:
    return somebody(deliveries)


def test_where_the_build_fails_it_is_said_and_the_next_night_ends_it(
    copied: Folder, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("orchestration.warehouse.EXTRACTS", {})
        ran = CliRunner().invoke(main, ["erase"], input=number, env=copied.environment)
    assert ran.exit_code == 1 and "Not done yet" in ran.stderr and number not in ran.output
    assert {place.split()[0] for place in traces(copied, {number})} == {"warehouse.duckdb"}
    again = copied.night()
    assert again.exit_code == 0, again.said
    assert traces(copied, {number}) == []


def test_a_release_made_after_it_is_made_again_after_a_withdrawal(copied: Folder, number: str) -> None:
    before = copied.release()["release_id"]
    assert kbi(copied, "erase", said=number).exit_code == 0
    after = copied.release()["release_id"]
    assert kbi(copied, "withdraw", "e-released", "--reason", "wrong").exit_code == 0
    ran = copied.kbi("reproduce", after)
    assert ran.exit_code == 0 and "erased" not in ran.stderr, ran.said
    ran = copied.kbi("reproduce", before)
    # What was published stays, and nobody pretends that it could be made again.
    assert ran.exit_code == 4 and "Persons erased since: 1." in ran.stderr
    assert traces(copied, {number}) == []


def test_a_backup_of_before_is_put_right_by_a_rebuild(copied: Folder, number: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(copied.data, backup, symlinks=True)
    assert kbi(copied, "erase", said=number).exit_code == 0
    marts = copied.marts()
    shutil.copy2(copied.settings.tombstones, backup)
    shutil.move(copied.data, tmp_path / "lost")
    shutil.move(backup, copied.data)
    ran = copied.kbi("rebuild")
    assert ran.exit_code == 0 and "Persons erased: " in ran.stderr, ran.said
    assert traces(copied, {number}) == [] and copied.marts() == marts
