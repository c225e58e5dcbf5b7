"""Runs of the job: what they tell, in which order they fail, and that only one happens at a time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration import assets, dagster_home, failures
from orchestration.definitions import build_definitions
from orchestration.night_lock import Busy, night_lock
from orchestration.outcomes import outcomes_of
from tests.dagster.conftest import deliver, locked_elsewhere, use
from tests.deliveries import minimal_registry, write_delivery
from tests.night.nights import Folder

REPAIRABLE = "2016-12-08"
QUARANTINED = minimal_registry(2)["personen"][0]["insz"]


def run_night(instance: dg.DagsterInstance, folder: Folder) -> dg.ExecuteInProcessResult:
    job = build_definitions(folder.settings).resolve_job_def("night")
    return job.execute_in_process(instance=instance, raise_on_error=False)


def materialized(instance: dg.DagsterInstance, asset: str) -> dict[str | None, dict[str, object]]:
    """Metadata of the materializations of an asset, by partition."""
    records = instance.fetch_materializations(dg.AssetKey(asset.split("/")), limit=100).records
    return {
        record.partition_key: {name: value.value for name, value in record.asset_materialization.metadata.items()}
        for record in reversed(records)
    }


def failed_steps(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Why each step failed that did."""
    failed = [event for event in result.all_events if event.is_step_failure]
    return {event.step_key: event.step_failure_data.user_failure_data.description for event in failed}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {(c.asset_key.to_user_string(), c.check_name): c for c in result.get_asset_check_evaluations()}


@dataclass(frozen=True)
class Eventful:
    """After the first night: one whose build breaks, one on a weak disk with a delivery refused, one without news.

    ``places``: warehouse file and release after each, the first night's before them.
    """

    folder: Folder
    instance: dg.DagsterInstance
    broken: dg.ExecuteInProcessResult
    refusing: dg.ExecuteInProcessResult
    quiet: dg.ExecuteInProcessResult
    n_tries: int
    places: list[tuple[int, str]]


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory, first_night: Folder) -> Iterator[Eventful]:
    directory = tmp_path_factory.mktemp("eventful") / "night"
    shutil.copytree(first_night.directory, directory, symlinks=True)
    folder = Folder(directory)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(folder, monkeypatch)
        with dg.DagsterInstance.get() as instance:
            runs, places, tries = [], [], []

            def night() -> None:
                runs.append(run_night(instance, folder))
                places.append((folder.settings.warehouse.stat().st_ino, folder.release()["release_id"]))

            places.append((folder.settings.warehouse.stat().st_ino, folder.release()["release_id"]))
            tables = minimal_registry(2)
            tables["personen"][0]["geslacht_code"] = "9"
            write_delivery(folder.landing, "2016-10-08", "2016-10-08T23:00:00+02:00", tables)
            with monkeypatch.context() as patch:
                patch.setattr("orchestration.warehouse.EXTRACTS", {})
                night()

            deliver(folder, "2016-11-08", n=3)
            (deliver(folder, REPAIRABLE, n=4) / "personen.csv").write_text("nothing")
            take_waiting = assets.take_waiting

            def weak_disk(*args: Any, **kwargs: Any) -> Any:
                tries.append(1)
                if len(tries) == 1:
                    raise OSError(5, "Input/output error")
                return take_waiting(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(failures, "SECONDS_BETWEEN", 0)
                patch.setattr(assets, "take_waiting", weak_disk)
                night()
            night()
            yield Eventful(folder, instance, *runs, n_tries=len(tries), places=places)


def test_each_delivery_fills_its_partitions(eventful: Eventful) -> None:
    partitions = ["2016-09-08", "2016-10-08", "2016-11-08"]
    assert list(eventful.instance.get_dynamic_partitions("deliveries")) == partitions
    for zone in ("landing", "validated", "quarantine"):
        assert list(materialized(eventful.instance, f"{zone}/personen")) == partitions
    persons = materialized(eventful.instance, "validated/personen")
    assert persons["2016-11-08"]["dagster/partition_row_count"] == 1
    assert (persons["2016-10-08"]["n_quarantined"], persons["2016-10-08"]["dagster/partition_row_count"]) == (1, 0)
    assert [(told.delivery_id, told.result) for told in outcomes_of(eventful.instance, eventful.refusing.run_id)] == [
        ("2016-09-08", "unchanged"),
        ("2016-10-08", "unchanged"),
        ("2016-11-08", "taken"),
        (REPAIRABLE, "refused"),
    ]


def test_checks_tell_counts_and_nothing_else(eventful: Eventful) -> None:
    checks = checks_of(eventful.broken)
    check = checks["validated/personen", "code_unknown"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert {name: value.value for name, value in check.metadata.items()} == {
        "n_violations": 1,
        "n_rows": 1,
        "share": 1.0,
        "deliveries": "2016-10-08",
    }
    assert checks["validated/personen", "required_missing"].passed
    add_up = checks["validated/personen", "rows_add_up"]
    assert add_up.passed and add_up.metadata["n_quarantined"].value == 1
    on_mart = {name: check for (asset, name), check in checks_of(eventful.refusing).items() if "mart_q1" in asset}
    assert on_mart and {check.metadata["n_violations"].value for check in on_mart.values()} == {0}
    for result in (eventful.broken, eventful.refusing):
        said = "".join(str(entry.to_json()) for entry in eventful.instance.all_logs(result.run_id))
        assert QUARANTINED not in said


def test_a_broken_model_leaves_warehouse_and_release(eventful: Eventful) -> None:
    assert not eventful.broken.success
    failed = failed_steps(eventful.broken)
    assert list(failed) == ["build"]
    assert "The warehouse was not replaced" in failed["build"]
    assert eventful.places[1] == eventful.places[0]
    materialized = {event.asset_key.path[0] for event in eventful.broken.get_asset_materialization_events()}
    assert "validated" in materialized and "marts" not in materialized


def test_the_next_night_builds_what_was_taken_and_publishes_it(eventful: Eventful) -> None:
    assert eventful.places[2][0] != eventful.places[0][0] and eventful.places[2][1] != eventful.places[0][1]
    assert eventful.folder.release()["known_on"] == "2016-11-08"
    taken = [delivery["delivery_id"] for delivery in eventful.folder.release()["deliveries"]]
    assert taken == ["2016-09-08", "2016-10-08", "2016-11-08"]


def test_the_disk_is_tried_again(eventful: Eventful) -> None:
    assert eventful.n_tries == 2
    assert [e.step_key for e in eventful.refusing.all_events if e.is_step_up_for_retry] == ["ingest"]


def test_a_refusal_fails_the_run_after_the_others_are_published(eventful: Eventful) -> None:
    assert not eventful.refusing.success
    failed = failed_steps(eventful.refusing)
    assert list(failed) == ["no_delivery_refused"]
    assert f"{REPAIRABLE}: checksum_mismatch: " in failed["no_delivery_refused"]
    errors = [log.user_message for log in eventful.instance.all_logs(eventful.refusing.run_id) if log.level == 40]
    assert any(REPAIRABLE in message and "Deliver it again" in message for message in errors)


def test_a_refusal_that_lies_there_unchanged_is_no_news(eventful: Eventful) -> None:
    assert eventful.quiet.success
    refused = [t for t in outcomes_of(eventful.instance, eventful.quiet.run_id) if t.result == "refused"]
    assert [(t.delivery_id, t.code, t.is_news) for t in refused] == [(REPAIRABLE, "checksum_mismatch", False)]


def test_nothing_new_builds_and_publishes_nothing_and_leaves_no_check_unanswered(eventful: Eventful) -> None:
    assert eventful.places[3] == eventful.places[2]
    skipped = {e.step_key for e in eventful.quiet.all_events if e.event_type_value == "STEP_SKIPPED"}
    assert skipped == {"published__release"}
    planned = eventful.instance.all_logs(
        eventful.quiet.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
    )
    checks = checks_of(eventful.quiet)
    assert len(checks) == len(planned) > 100
    assert all(check.passed for check in checks.values())


def test_row_counts_are_those_of_the_tables(eventful: Eventful) -> None:
    with duckdb.connect(str(eventful.folder.settings.warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
            " where schema_name in ('facts', 'marts', 'intermediate')"
        ).fetchall()
        assert len(tables) > 20
        for schema, table in tables:
            (n_rows,) = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
            told = materialized(eventful.instance, f"{schema}/{table}")
            assert told[None]["dagster/row_count"] == n_rows, (schema, table)


def test_one_mart_can_be_built_alone(folder: Folder, instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
    before = folder.rows("select * from facts.fct_trajectory")
    mart = dg.AssetKey(["marts", "mart_q1_pass_rate"])
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[mart], raise_on_error=False
    )
    assert result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [mart]
    assert {check.asset_key for check in result.get_asset_check_evaluations()} == {mart}
    assert folder.rows("select * from facts.fct_trajectory") == before
    assert len(folder.releases()) == 1


def test_while_another_night_runs_this_one_fails_and_says_so(folder: Folder, instance: dg.DagsterInstance) -> None:
    with locked_elsewhere(folder):
        with pytest.raises(Busy, match="Another night is running"), night_lock(folder.settings):
            pass
        result = run_night(instance, folder)
        assert not result.success
        said = " ".join(str(entry.to_json()) for entry in instance.all_logs(result.run_id))
        assert "Another night is running" in said
        assert folder.night().exit_code == 5
    assert run_night(instance, folder).success


def test_a_killed_run_is_retired_unless_a_night_runs(folder: Folder, instance: dg.DagsterInstance, monkeypatch) -> None:
    monkeypatch.setattr(dagster_home, "STARTING_UP", timedelta(0))
    job = build_definitions(folder.settings).resolve_job_def("night")
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    with locked_elsewhere(folder):
        assert dagster_home.retire_dead_runs(instance, folder.settings) == []
    assert dagster_home.retire_dead_runs(instance, folder.settings) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
