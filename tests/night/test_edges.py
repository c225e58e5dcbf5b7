"""Folders, settings and dates that are not as one would wish: a sentence, the right exit code, and no traceback."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from orchestration.intake import take_waiting
from tests.deliveries import insz, minimal_registry, write_delivery
from tests.dossiers import answers as xml
from tests.night.dossier_deliveries import write_dossiers
from tests.night.nights import Folder, Ran, bytes_under


def said_plainly(ran: Ran, *words: str) -> bool:
    return "Traceback" not in ran.said and all(word in ran.stderr for word in words)


def test_a_landing_zone_without_deliveries_is_nothing_to_do(folder: Folder) -> None:
    unfinished = write_delivery(folder.landing, "unfinished", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    (unfinished / "manifest.json").unlink()
    (folder.landing / "note.txt").write_text("not a delivery")
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (0, ""), ran.stderr
    assert said_plainly(ran, str(folder.landing))
    assert folder.ledger() == {} and folder.releases() == []
    assert (unfinished / "personen.csv").exists()


def test_before_the_first_night_there_is_no_answer(folder: Folder) -> None:
    ran = folder.kbi("answer", "--as-of", "2016-09-08")
    assert ran.exit_code == 1 and ran.stdout == "" and said_plainly(ran, "kbi night")
    assert folder.kbi("status").exit_code == 0
    assert folder.status()["deliveries"] == []


def test_a_landing_zone_that_is_not_there_is_named(folder: Folder) -> None:
    folder.variables["KBI_LANDING"] = str(folder.directory / "nowhere")
    ran = folder.night()
    assert ran.exit_code == 1 and said_plainly(ran, "KBI_LANDING", "nowhere")


@pytest.mark.parametrize("place", ["in-the-way/data", "in-the-way", "/proc/kbi"])
@pytest.mark.parametrize("command", [("night",), ("prepare",)])
def test_a_data_folder_that_cannot_be_written_is_named(folder: Folder, place: str, command: tuple[str]) -> None:
    write_delivery(folder.landing, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    (folder.directory / "in-the-way").write_text("a file")
    folder.variables["KBI_DATA"] = str(folder.directory / place)
    ran = folder.kbi(*command)
    assert ran.exit_code == 1 and said_plainly(ran, "KBI_DATA"), ran.said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KBI_MAX_QUARANTINE_RATE", "1.5"),
        ("KBI_MAX_QUARANTINE_RATE", "five percent"),
        ("KBI_MAX_VOLUME_DROP", "-1"),
        ("KBI_MEMORY_LIMIT", "lots"),
    ],
)
@pytest.mark.parametrize("command", [("night",), ("status",), ("answer", "--as-of", "2016-09-08")])
def test_an_unusable_setting_is_named(folder: Folder, variable: str, value: str, command: tuple[str, ...]) -> None:
    folder.variables[variable] = value
    ran = folder.kbi(*command)
    assert ran.exit_code == 1 and ran.stdout == "" and said_plainly(ran, variable)


@pytest.mark.parametrize("place", ["data", "data/landing", "data/work/incoming", "link"])
def test_deliveries_do_not_lie_where_the_warehouse_keeps_its_own(folder: Folder, place: str) -> None:
    delivered = folder.directory / place
    (folder.directory / "data" / "landing").mkdir(parents=True)
    (folder.directory / "link").symlink_to(folder.directory / "data" / "landing")
    write_delivery(delivered, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    before = bytes_under(delivered)
    folder.variables |= {"KBI_LANDING": str(delivered), "KBI_DATA": str(folder.directory / "data")}
    ran = folder.night()
    assert ran.exit_code == 1 and said_plainly(ran, "KBI_LANDING", "KBI_DATA", "elsewhere"), ran.said
    assert bytes_under(delivered) == before


def test_a_variable_that_is_empty_is_not_set(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.directory)
    folder.variables |= {"KBI_DATA": "", "KBI_LANDING": "", "KBI_PSEUDONYM_KEY_FILE": "", "KBI_MEMORY_LIMIT": ""}
    ran = folder.kbi("status")
    assert ran.exit_code == 0 and f"at {folder.directory / 'data'}" in ran.stdout


@pytest.mark.parametrize("content", [None, b"short", b"\0" * 31, b"0" * 63])
def test_an_unusable_key_is_named(folder: Folder, content: bytes | None) -> None:
    write_delivery(folder.landing, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    path = folder.directory / "key"
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    folder.variables["KBI_PSEUDONYM_KEY_FILE"] = str(path)
    ran = folder.night()
    assert ran.exit_code == 1 and said_plainly(ran, "KBI_PSEUDONYM_KEY_FILE"), ran.said
    assert folder.ledger() == {}


def test_a_key_that_others_can_read_is_not_used(folder: Folder, key_file: Path) -> None:
    write_delivery(folder.landing, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    path = folder.directory / "key"
    path.write_bytes(key_file.read_bytes())
    path.chmod(0o640)
    folder.variables["KBI_PSEUDONYM_KEY_FILE"] = str(path)
    ran = folder.night()
    assert ran.exit_code == 1 and said_plainly(ran, "KBI_PSEUDONYM_KEY_FILE", "chmod 600"), ran.said


@pytest.mark.parametrize("day", ["2016-02-30", "8 September", "20160908", ""])
def test_a_day_that_is_none_is_wrong_usage(folder: Folder, day: str) -> None:
    ran = folder.kbi("answer", "--as-of", day)
    assert ran.exit_code == 2 and said_plainly(ran, "--as-of"), ran.said


def test_options_that_are_none_are_wrong_usage(folder: Folder) -> None:
    for arguments in (("nigth",), ("night", "--force"), ("answer", "--format", "xml"), ("night", "--accept-volume")):
        ran = folder.kbi(*arguments)
        assert ran.exit_code == 2 and said_plainly(ran), ran.said


def test_days_outside_of_what_is_known(undisturbed: Folder) -> None:
    last = undisturbed.release()["known_on"]
    assert undisturbed.kbi("answer", "--as-of", last).exit_code == 0
    late = undisturbed.kbi("answer", "--as-of", "2099-01-01")
    assert late.exit_code == 2 and late.stdout == "" and said_plainly(late, last)
    early = undisturbed.kbi("answer", "--as-of", "2010-01-01")
    assert early.exit_code == 0 and said_plainly(early), early.said


def test_a_registry_that_holds_nothing_is_a_registry(folder: Folder) -> None:
    write_delivery(folder.landing, "empty", "2016-09-08T23:00:00+02:00", {})
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (0, "empty\ttaken\t\n"), ran.stderr
    assert folder.rows("select count(*), sum(n_delivered) from quality.reconciliation") == [(14, 0)]
    assert {count for (count,) in folder.rows("select n_population from marts.mart_q1_pass_rate")} == {0}
    assert folder.kbi("answer", "--as-of", "2016-09-08").exit_code == 0


def test_contracts_that_are_all_signed_later_are_a_registry_without_any(folder: Folder) -> None:
    write_delivery(folder.landing, "early", "2013-09-08T23:00:00+02:00", minimal_registry(1))
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (0, "early\ttaken\t\n"), ran.said
    assert folder.rows("select count(*) from facts.fct_trajectory") == [(1,)]
    for table in ("facts.fct_trajectory_component_status", "marts.mart_outcome_cube"):
        assert folder.rows(f"select count(*) from {table}") == [(0,)]


def test_rows_about_persons_are_for_their_owner_and_marts_for_all(undisturbed: Folder) -> None:
    settings = undisturbed.settings
    for path in (settings.archive, settings.quarantine, settings.validated, settings.work, settings.warehouse):
        assert path.stat().st_mode & 0o077 == 0, path
    release = (settings.published / "current").resolve()
    for path in (settings.data, settings.published, release, *release.rglob("*")):
        assert path.stat().st_mode & 0o044 == 0o044, path


SECRET = "Quirinia Wollebrandt 80611700198"


class _Broken(Exception):
    """As libraries raise them: what they could not read stands in the text and in the cause."""


def _break(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def broken(*_: object, **__: object) -> None:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise _Broken(f"cannot read {SECRET}") from error

    monkeypatch.setattr(place, broken)


@pytest.mark.parametrize(
    ("options", "place", "taken"),
    [
        ((), "orchestration.intake.validate", 0),
        (("--debug",), "orchestration.dbt_runner.build", 1),
        *(
            pytest.param(options, place, taken, marks=pytest.mark.slow)
            for options in ((), ("--debug",))
            for place, taken in {
                "orchestration.intake.archive": 0,
                "orchestration.intake.read_extract": 0,
                "schemas.judge": 0,
                "orchestration.warehouse.prepare": 1,
                "orchestration.publication.publish": 1,
            }.items()
        ),
    ],
)
def test_what_went_wrong_may_quote_rows_and_is_kept_where_rows_are(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], place: str, taken: int
) -> None:
    write_delivery(folder.landing, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    _break(monkeypatch, place)
    ran = folder.kbi(*options, "night")
    assert ran.exit_code == 1 and "Traceback" not in ran.said and "_Broken" in ran.stderr, ran.said
    (kept,) = folder.settings.work.glob("error-*.txt")
    assert SECRET in kept.read_text() and kept.stat().st_mode & 0o077 == 0
    assert str(kept) in ran.stderr
    assert SECRET not in ran.said
    others = [path for path in folder.data.rglob("*") if path.is_file() and path != kept]
    assert not [path for path in others if b"Wollebrandt" in path.read_bytes()]
    assert len(folder.ledger()) == taken and folder.releases() == []


@pytest.mark.parametrize("kept", [True, False], ids=["", "on a full disk"])
def test_what_the_system_refuses_is_told_without_the_name_of_a_dossier(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Files of dossiers bear numbers of persons; what the operating system says of one is kept, and not repeated."""
    number = insz(7)
    write_dossiers(folder.landing, "d", "2016-09-08T23:00:00+02:00", {f"{number}.xml": xml.dossier(number)})

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle", f"{number}.xml")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", f"{number}.xml")

    monkeypatch.setattr("orchestration.intake.archive", refused)
    monkeypatch.setattr("orchestration.failures.SECONDS_BETWEEN", 0)
    if not kept:
        monkeypatch.setattr("orchestration.failures.traceback.format_exception", full)
    ran = folder.kbi("--debug", "night")
    assert ran.exit_code == 1 and "Stale file handle" in ran.stderr, ran.said
    assert ("could not be kept (No space left on device)" in ran.stderr) is not kept
    assert number not in ran.said
    for path in folder.data.rglob("*"):
        if path.is_file() and not path.name.startswith("error-"):
            assert number.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_a_build_that_runs_out_of_memory_names_the_setting(folder: Folder) -> None:
    write_delivery(folder.landing, "d", "2016-09-08T23:00:00+02:00", minimal_registry(1))
    assert [outcome.result for outcome in take_waiting(folder.settings)] == ["taken"]
    folder.variables["KBI_MEMORY_LIMIT"] = "6MB"
    ran = folder.night()
    assert (ran.exit_code, folder.releases()) == (1, [])
    assert "memory ran out. Give DuckDB more of it (KBI_MEMORY_LIMIT)" in ran.stderr and "SET " not in ran.stderr
    del folder.variables["KBI_MEMORY_LIMIT"]
    assert folder.night().exit_code == 0 and len(folder.releases()) == 1
