"""Who asks while a night runs gets the answer of before, a second night is told to wait, and it can be interrupted."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.deliveries import combined, minimal_registry, write_delivery
from tests.night.nights import Folder, Ran

BEFORE, AFTER, LAST = "2016-09-08", "2016-10-08", "2016-11-08"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One delivery published, another waiting."""
    folder = Folder(tmp_path_factory.mktemp("readers"))
    write_delivery(folder.landing, BEFORE, f"{BEFORE}T23:00:00+02:00", minimal_registry(1))
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (0, f"{BEFORE}\ttaken\t\n"), ran.stderr
    registry = combined(minimal_registry(1), minimal_registry(2))
    for row in registry["contracten"]:
        row["datum_registratie"] = "2016-03-01"
    write_delivery(folder.landing, AFTER, f"{AFTER}T23:00:00+02:00", registry)
    return folder


def ask(folder: Folder) -> dict[str, Ran]:
    questions = {
        "answer": ("answer", "--as-of", BEFORE, "--format", "json"),
        "status": ("status", "--format", "json"),
        "summary": ("summary",),
    }
    return {name: folder.kbi(*arguments) for name, arguments in questions.items()}


@pytest.fixture(scope="module")
def asked(folder: Folder) -> dict[str, dict[str, Ran]]:
    """What was answered before a night, in the middle of its build, and after it."""
    asked = {"before": ask(folder)}
    process = folder.start("night")
    assert process.stderr
    for line in process.stderr:
        if "facts.fct_trajectory" in line:
            process.send_signal(signal.SIGSTOP)
            break
    try:
        asked["meanwhile"] = ask(folder) | {"night": folder.kbi("night")}
    finally:
        process.send_signal(signal.SIGCONT)
    stdout, stderr = process.communicate(timeout=120)
    asked["night"] = {"night": Ran(process.returncode, stdout, stderr)}
    return asked | {"after": ask(folder)}


def test_a_second_night_is_busy_and_does_nothing(asked: dict[str, dict[str, Ran]]) -> None:
    second = asked["meanwhile"]["night"]
    assert (second.exit_code, second.stdout) == (5, "")
    assert second.stderr.count("\n") == 1 and second.stderr.startswith("kbi: Another night is running")


def test_answers_meanwhile_are_those_of_before(asked: dict[str, dict[str, Ran]]) -> None:
    assert {name: asked["meanwhile"][name].exit_code for name in ("answer", "status", "summary")} == {
        "answer": 0,
        "status": 0,
        "summary": 0,
    }
    assert asked["meanwhile"]["answer"].stdout == asked["before"]["answer"].stdout
    assert json.loads(asked["meanwhile"]["answer"].stdout)["known_on"] == BEFORE


def test_status_meanwhile_tells_what_was_taken_and_that_it_is_not_yet_published(
    asked: dict[str, dict[str, Ran]],
) -> None:
    before, meanwhile, after = (json.loads(asked[when]["status"].stdout) for when in ("before", "meanwhile", "after"))
    assert [one["delivery_id"] for one in meanwhile["deliveries"]] == [BEFORE, AFTER]
    assert meanwhile["publication"] == before["publication"]
    assert (before["publication_due"], meanwhile["publication_due"], after["publication_due"]) == (False, True, False)


def test_the_night_goes_on_undisturbed(asked: dict[str, dict[str, Ran]]) -> None:
    ran = asked["night"]["night"]
    assert (ran.exit_code, ran.stdout) == (0, f"{BEFORE}\tunchanged\t\n{AFTER}\ttaken\t\n"), ran.stderr
    before, after = (json.loads(asked[when]["answer"].stdout) for when in ("before", "after"))
    assert (before["known_on"], after["known_on"]) == (BEFORE, AFTER)
    assert before["marts"] != after["marts"]


@pytest.mark.parametrize("ends", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_night_says_so_and_the_next_one_goes_on(
    folder: Folder, tmp_path: Path, ends: signal.Signals
) -> None:
    shutil.copytree(folder.directory, tmp_path / "copy", symlinks=True)
    folder = Folder(tmp_path / "copy")
    write_delivery(folder.landing, LAST, f"{LAST}T23:00:00+01:00", combined(*map(minimal_registry, (1, 2, 3))))
    before, warehouse = folder.release(), folder.settings.warehouse.stat().st_ino
    process = folder.start("night")
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if "staging.stg_registry__persons" in line:  # dbt has threads at work
            process.send_signal(ends)
            break
    stdout, rest = process.communicate(timeout=120)
    assert (process.returncode, stdout.splitlines()[-1]) == (1, f"{LAST}\ttaken\t"), rest
    assert rest.splitlines()[-1].startswith("kbi: Interrupted."), rest
    assert "Traceback" not in rest and "failed" not in "".join(said) + rest
    assert (folder.release(), folder.settings.warehouse.stat().st_ino) == (before, warehouse)

    ran = folder.night()
    assert ran.exit_code == 0 and {result for _, result, _ in ran.lines} == {"unchanged"}, ran.stderr
    assert folder.release()["known_on"] == LAST
