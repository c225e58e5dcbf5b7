"""A delivery's partition launched again: the same from the archive, repaired where it was damaged, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import build_definitions
from orchestration.records import records
from tests.dagster.conftest import deliver, locked_elsewhere, use
from tests.deliveries import minimal_registry, write_delivery
from tests.night.nights import Folder, bytes_under, rows_under

FIRST, SECOND, THIRD = "2016-09-08", "2016-10-08", "2016-11-08"
PERSONS = [dg.AssetKey([zone, "personen"]) for zone in ("landing", "quarantine", "validated")]


@pytest.fixture(scope="module")
def nights(first_night: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Three deliveries taken and published. Not to be changed: copy it."""
    directory = tmp_path_factory.mktemp("nights") / "night"
    shutil.copytree(first_night.directory, directory, symlinks=True)
    folder = Folder(directory)
    tables = minimal_registry(2)
    tables["personen"][0]["geslacht_code"] = "9"
    write_delivery(folder.landing, SECOND, f"{SECOND}T23:00:00+02:00", tables)
    deliver(folder, THIRD, n=3)
    assert folder.night().exit_code == 0
    return folder


@pytest.fixture
def folder(nights: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    shutil.copytree(nights.directory, tmp_path / "night", symlinks=True)
    folder = Folder(tmp_path / "night")
    use(folder, monkeypatch)
    return folder


def launch(folder: Folder, instance: dg.DagsterInstance, partition: str) -> dg.ExecuteInProcessResult:
    """As the UI does: the assets of one extract, with their checks, for one partition."""
    job = build_definitions(folder.settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=PERSONS, partition_key=partition, raise_on_error=False
    )


def said(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    return failed.step_failure_data.user_failure_data.description


def test_it_gives_the_same_and_tells_its_rows(nights: Folder, folder: Folder, instance: dg.DagsterInstance) -> None:
    before = {zone: bytes_under(folder.data / zone) for zone in ("landing", "validated", "quarantine", "ledger")}
    result = launch(folder, instance, SECOND)
    assert result.success
    told = {m.asset_key.to_user_string(): m for m in result.asset_materializations_for_node("retake")}
    assert set(told) == {key.to_user_string() for key in PERSONS}
    assert {m.partition for m in told.values()} == {SECOND}
    metadata = {name: value.value for name, value in told["validated/personen"].metadata.items()}
    # The number of that person is kept in the quarantine, and the one of the first delivery is gone.
    assert metadata == {
        "dagster/partition_row_count": 0,
        "n_ended": 1,
        "n_accepted": 0,
        "n_quarantined": 1,
        "n_duplicates": 0,
        "is_same": True,
    }
    assert told["quarantine/personen"].metadata["code_unknown"].value == 1
    assert {zone: bytes_under(folder.data / zone) for zone in before} == before
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not checks["code_unknown"].passed and checks["code_unknown"].metadata["deliveries"].value == SECOND
    assert records(folder.settings) == [] and not folder.settings.build_due.exists()
    assert {event.step_key for event in result.all_events if event.is_step_success} == {"retake", "ingest"}


def test_what_was_damaged_is_repaired_with_all_that_came_after(
    nights: Folder, folder: Folder, instance: dg.DagsterInstance
) -> None:
    (folder.settings.validated / SECOND / "ended" / "personen.parquet").unlink()
    result = launch(folder, instance, SECOND)
    assert result.success
    (told,) = [m for m in result.asset_materializations_for_node("retake") if m.asset_key.path[0] == "validated"]
    assert told.metadata["is_same"].value is False and told.metadata["n_ended"].value == 1
    assert rows_under(folder.settings.validated) == rows_under(nights.settings.validated)
    assert rows_under(folder.settings.quarantine) == rows_under(nights.settings.quarantine)
    assert folder.ledger() == nights.ledger()
    (record,) = records(folder.settings)
    assert (record.act, record.details) == ("rebuild", {"delivery": SECOND, "deliveries": 2})
    assert folder.settings.build_due.exists(), "the next night builds from it"


def test_an_older_one_never_taken_is_refused_with_its_code(folder: Folder, instance: dg.DagsterInstance) -> None:
    deliver(folder, "2016-09-20", n=4)
    deliver(folder, "2016-12-08", n=4)
    instance.add_dynamic_partitions("deliveries", ["2016-09-20", "2016-12-08", "nowhere"])
    result = launch(folder, instance, "2016-09-20")
    assert not result.success
    assert said(result).startswith("delivery_out_of_order: it was extracted before delivery 2016-11-08")
    for never in ("2016-12-08", "nowhere"):
        result = launch(folder, instance, never)
        assert not result.success and "was never taken" in said(result) and "kbi night" in said(result)
    assert [entry["delivery_id"] for entry in folder.status()["deliveries"]] == [FIRST, SECOND, THIRD]


def test_while_a_night_runs_it_fails_at_once(folder: Folder, instance: dg.DagsterInstance) -> None:
    with locked_elsewhere(folder):
        assert not launch(folder, instance, SECOND).success
