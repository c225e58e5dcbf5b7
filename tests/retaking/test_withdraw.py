"""A delivery withdrawn: as if it had never come, for good, and for whatever comes after it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestration.intake import take_waiting
from orchestration.ledger import Ledger
from orchestration.night_lock import night_lock
from orchestration.records import records
from orchestration.retaking import withdraw
from orchestration.settings import Settings
from orchestration.status import status
from tests.deliveries import write_delivery
from tests.night.nights import Folder, bytes_under, rows_under
from tests.past import conftest as past
from tests.retaking.conftest import FULL, Story, folder_of, put

WRONG = "c-corrected"


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, deliveries: list[Path], key_file: Path) -> Folder:
    """A folder that never saw the wrong delivery."""
    folder = folder_of(tmp_path_factory.mktemp("without"), key_file)
    put(folder, *(delivery for delivery in deliveries if delivery.name != WRONG))
    assert folder.night().exit_code == 0
    return folder


@pytest.fixture(scope="module")
def withdrawn(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder from which it was withdrawn. Not to be changed: copy it."""
    directory = tmp_path_factory.mktemp("withdrawn") / "copied"
    shutil.copytree(story.folder.directory, directory, symlinks=True)
    folder = Folder(directory, story.folder.variables)
    ran = folder.kbi("withdraw", WRONG, "--reason", "results of  another year")
    assert ran.exit_code == 0, ran.said
    assert sorted(ran.lines) == sorted(
        [(id, "unchanged", "") for id in story.ids if id != WRONG] + [(WRONG, "refused", "withdrawn")]
    )
    return folder


@pytest.fixture
def after(withdrawn: Folder, tmp_path: Path) -> Folder:
    shutil.copytree(withdrawn.directory, tmp_path / "after", symlinks=True)
    return Folder(tmp_path / "after", withdrawn.variables)


def test_it_is_as_if_it_had_never_come(story: Story, without: Folder, withdrawn: Folder) -> None:
    assert withdrawn.marts() == without.marts() != story.folder.marts()
    for zone in ("validated", "quarantine"):
        assert rows_under(getattr(withdrawn.settings, zone)) == rows_under(getattr(without.settings, zone))
    kept = withdrawn.ledger()
    entry = kept.pop(WRONG)
    assert kept == without.ledger()
    assert (entry["status"], entry["refusal_code"], entry["reconciliation"]) == ("refused", "withdrawn", [])
    assert entry["refusal_detail"].endswith("results of another year")
    taken_at = {entry.delivery_id: entry.taken_at for entry in Ledger(story.folder.settings.ledger).taken()}
    assert all(e.taken_at == taken_at[e.delivery_id] for e in Ledger(withdrawn.settings.ledger).taken())
    told = withdrawn.rows(
        f"select status, refusal_code, taken_at from quality.deliveries where delivery_id = '{WRONG}'"
    )
    assert told == [("refused", "withdrawn", None)]
    # Earlier releases stay, for whoever quoted them.
    assert set(story.folder.releases()) < set(withdrawn.releases())


def test_its_bytes_are_kept_as_evidence(story: Story, withdrawn: Folder) -> None:
    assert not (withdrawn.settings.archive / WRONG).exists()
    (kept,) = withdrawn.settings.withdrawn.glob(f"*/{WRONG}")
    assert bytes_under(kept) == bytes_under(story.folder.settings.archive / WRONG)
    assert withdrawn.settings.withdrawn.stat().st_mode & 0o777 == 0o700
    (record,) = records(withdrawn.settings)
    assert (record.act, record.details) == ("withdraw", {"delivery": WRONG, "reason": "results of another year"})


@pytest.mark.slow
def test_a_release_it_was_in_can_still_be_made_again(story: Story, after: Folder) -> None:
    ran = after.kbi("reproduce", story.releases[1])
    assert ran.exit_code == 0, ran.said
    assert {line.split("\t")[1] for line in ran.stdout.splitlines()} == {"same"}


def of(folder: Folder) -> Settings:
    return folder.settings.model_copy(
        update={"pseudonym_key_file": Path(folder.variables["KBI_PSEUDONYM_KEY_FILE"]), "max_quarantine_rate": 0.5}
    )


def taken(settings: Settings) -> dict[str, tuple[str, str | None, bool]]:
    """What taking all that waits makes of each delivery: result, code, and whether it is news."""
    with night_lock(settings):
        return {told.delivery_id: (told.result, told.code, told.is_news) for told in take_waiting(settings)}


def withdraws(settings: Settings, delivery_id: str) -> None:
    with night_lock(settings):
        withdraw(settings, delivery_id, "test", lambda message: None)


def test_lying_there_it_is_no_news_and_nothing_waits_for_it(after: Folder) -> None:
    settings = of(after)
    delta = {"contracten": [past.contract("C-new", past.ALIAS, "2017-02-01")]}
    write_delivery(settings.landing, "f-next", "2017-02-28T22:00:00+01:00", delta, "delta")
    told = taken(settings)
    assert told[WRONG] == ("refused", "withdrawn", False)
    assert told["f-next"] == ("taken", None, True)
    # The last one now, withdrawn in turn: the next delta does not wait for it either.
    withdraws(settings, "f-next")
    write_delivery(settings.landing, "g-next", "2017-03-01T22:00:00+01:00", delta, "delta")
    told = taken(settings)
    assert told["f-next"] == ("refused", "withdrawn", False)
    assert told["g-next"] == ("taken", None, True)


def test_other_bytes_may_come_and_those_never(copied: Folder, deliveries: list[Path]) -> None:
    settings, last = of(copied), deliveries[-1]
    directory = settings.landing / last.name
    shutil.rmtree(directory)
    corrected = {"afgelegde_testen": [past.test_of("X-2", past.ALIAS, "NT2", "2016-06-02", "NT_GESLAAGD")]}
    write_delivery(settings.landing, last.name, "2017-01-31T22:00:00+01:00", corrected, "delta")
    assert taken(settings)[last.name] == ("refused", "delivery_changed", True)
    # Withdrawing what was taken makes room for what lies there.
    withdraws(settings, last.name)
    assert taken(settings)[last.name] == ("taken", None, True)
    withdraws(settings, last.name)
    assert taken(settings)[last.name] == ("refused", "withdrawn", False)
    # Broken bytes in between do not make the night forget the first ones.
    (directory / "afgelegde_testen.csv").write_text("broken")
    assert taken(settings)[last.name] == ("refused", "checksum_mismatch", True)
    shutil.rmtree(directory)
    put(copied, last)
    assert taken(settings)[last.name] == ("refused", "withdrawn", True)
    assert taken(settings)[last.name] == ("refused", "withdrawn", False)
    assert len([*settings.withdrawn.glob(f"*/{last.name}")]) == 2


def test_a_withdrawn_delivery_with_other_bytes_is_out_of_order_where_others_came_after_it(after: Folder) -> None:
    settings = of(after)
    shutil.rmtree(settings.landing / WRONG)
    write_delivery(settings.landing, WRONG, "2016-12-15T10:00:00+01:00", {"contracten": []}, "delta")
    assert taken(settings)[WRONG] == ("refused", "delivery_out_of_order", True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--reason", "x"), "was never taken"),
        ((FULL, "--reason", "x"), "nothing complete would be left"),
        ((WRONG, "--reason", " "), "say why"),
        ((WRONG, "--reason", "about 80.05.17-123.45"), "person's number"),
        ((WRONG,), "--reason"),
    ],
)
def test_what_cannot_be_withdrawn(story: Story, arguments: tuple[str, ...], said: str) -> None:
    before = bytes_under(story.folder.settings.ledger)
    ran = story.folder.kbi("withdraw", *arguments)
    assert ran.exit_code == 2 and said in ran.stderr, ran.said
    assert bytes_under(story.folder.settings.ledger) == before


def test_it_is_withdrawn_once(withdrawn: Folder) -> None:
    ran = withdrawn.kbi("withdraw", WRONG, "--reason", "again")
    assert ran.exit_code == 2 and "withdrawn already" in ran.stderr


@pytest.mark.parametrize("renames", range(10))
def test_killed_in_the_exchange_it_is_completed(
    story: Story, withdrawn: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """After so many renames the process is gone; who comes next finds one state or the other, never a mix."""
    shutil.copytree(story.folder.directory, tmp_path / "killed", symlinks=True)
    folder = Folder(tmp_path / "killed", story.folder.variables)
    settings = of(folder)
    rename, left = Path.rename, [renames]

    def killed(path: Path, target: Path) -> Path:
        if (
            "retaking" in path.parts[-1:]
            or "exchange" in path.parts
            or path.parent in (settings.data, settings.archive)
        ):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        return rename(path, target)

    with monkeypatch.context() as patched, night_lock(settings):
        patched.setattr(Path, "rename", killed)
        try:
            withdraw(settings, WRONG, "results of another year", lambda message: None)
            finished = True
        except KeyboardInterrupt:
            finished = False
    assert finished == (renames == 9), "every rename of the exchange is tried"
    told = json.loads(folder.kbi("status", "--format", "json").stdout)
    codes = {delivery["delivery_id"]: delivery["refusal_code"] for delivery in told["deliveries"]}
    undecided = renames == 0
    assert codes == {id: "withdrawn" if id == WRONG and not undecided else None for id in story.ids}
    expected = story.folder if undecided else withdrawn
    for zone in ("validated", "quarantine"):
        assert rows_under(getattr(folder.settings, zone)) == rows_under(getattr(expected.settings, zone))
    assert len(records(folder.settings)) == len(told["records"]) == (0 if undecided else 1)
    assert (folder.settings.archive / WRONG).exists() == undecided
    assert folder.settings.build_due.exists() == (not undecided)
    assert status(folder.settings).entries
