"""Runs of the job: what they tell, in which order they fail, and that only one happens at a time."""

from __future__ import annotations

import json
import multiprocessing
from datetime import timedelta

import dagster as dg
import duckdb
import pytest

from orchestration import dagster_home
from orchestration.definitions import build_definitions
from orchestration.night_lock import Busy, night_lock
from orchestration.outcomes import outcomes_of
from tests.dagster.conftest import deliver
from tests.deliveries import minimal_registry, write_delivery
from tests.night.nights import Folder


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


def test_each_delivery_fills_its_partitions(folder: Folder, instance: dg.DagsterInstance) -> None:
    deliver(folder, "2016-10-08", n=2)
    deliver(folder, "2016-11-08", n=3)
    result = run_night(instance, folder)
    assert result.success
    partitions = ["2016-09-08", "2016-10-08", "2016-11-08"]
    assert list(instance.get_dynamic_partitions("deliveries")) == partitions
    for zone in ("landing", "validated", "quarantine"):
        assert list(materialized(instance, f"{zone}/personen")) == partitions
    assert materialized(instance, "validated/personen")["2016-11-08"]["dagster/partition_row_count"] == 1
    assert [(told.delivery_id, told.result) for told in outcomes_of(instance, result.run_id)] == [
        ("2016-09-08", "unchanged"),
        ("2016-10-08", "taken"),
        ("2016-11-08", "taken"),
    ]


def test_row_counts_are_those_of_the_tables(folder: Folder, instance: dg.DagsterInstance) -> None:
    with duckdb.connect(str(folder.settings.warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
            " where schema_name in ('facts', 'marts', 'intermediate')"
        ).fetchall()
        assert len(tables) > 20
        for schema, table in tables:
            if table == "mart_definitions":
                continue
            (n_rows,) = connection.execute(f'select count(*) from "{schema}"."{table}"').fetchone()
            told = materialized(instance, f"{schema}/{table}")
            assert told[None]["dagster/row_count"] == n_rows, (schema, table)


def test_checks_tell_counts_and_nothing_else(folder: Folder, instance: dg.DagsterInstance) -> None:
    tables = minimal_registry(2)
    tables["personen"][0]["geslacht_code"] = "9"
    write_delivery(folder.landing, "2016-10-08", "2016-10-08T23:00:00+02:00", tables)
    result = run_night(instance, folder)
    checks = {
        (check.asset_key.to_user_string(), check.check_name): check for check in result.get_asset_check_evaluations()
    }
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
    assert checks["marts/mart_q1_pass_rate", _unique_grain(checks)].metadata["n_violations"].value == 0
    said = json.dumps([str(entry.to_json()) for entry in instance.all_logs(result.run_id)])
    assert tables["personen"][0]["insz"] not in said


def _unique_grain(checks: dict) -> str:
    return next(name for asset, name in checks if asset == "marts/mart_q1_pass_rate" and "unique_grain" in name)


def test_a_refusal_fails_the_run_after_the_others_are_published(folder: Folder, instance: dg.DagsterInstance) -> None:
    deliver(folder, "2016-10-08", n=2)
    broken = deliver(folder, "2016-11-08", n=3)
    (broken / "personen.csv").write_text("nothing")
    result = run_night(instance, folder)
    assert not result.success
    failed = [event for event in result.all_events if event.is_step_failure]
    assert [event.step_key for event in failed] == ["no_delivery_refused"]
    description = failed[0].step_failure_data.user_failure_data.description
    assert "2016-11-08: checksum_mismatch: " in description
    assert folder.release()["known_on"] == "2016-10-08"
    said = [entry.user_message for entry in instance.all_logs(result.run_id) if entry.level == 40]
    assert any("2016-11-08" in message and "repaired" in message for message in said)

    again = run_night(instance, folder)
    assert again.success, "lying there unchanged, it is no news"
    assert [
        (t.delivery_id, t.code, t.is_news) for t in outcomes_of(instance, again.run_id) if t.result == "refused"
    ] == [("2016-11-08", "checksum_mismatch", False)]


def test_nothing_new_builds_and_publishes_nothing(folder: Folder, instance: dg.DagsterInstance) -> None:
    before = folder.settings.warehouse.stat()
    result = run_night(instance, folder)
    assert result.success
    assert folder.settings.warehouse.stat().st_ino == before.st_ino
    assert len(folder.releases()) == 1
    assert {e.step_key for e in result.all_events if e.event_type_value == "STEP_SKIPPED"} == {"published__release"}
    checks = result.get_asset_check_evaluations()
    assert len(checks) > 100 and all(check.passed for check in checks), "a quiet night leaves no check unanswered"
    planned = [
        e
        for e in instance.all_logs(result.run_id)
        if e.dagster_event and e.dagster_event.event_type_value == "ASSET_CHECK_EVALUATION_PLANNED"
    ]
    assert len(planned) == len(checks)


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


def test_a_broken_model_leaves_warehouse_and_release(
    folder: Folder, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = folder.settings.warehouse.stat().st_ino
    deliver(folder, "2016-10-08", n=2)
    monkeypatch.setattr("orchestration.warehouse.EXTRACTS", {})
    result = run_night(instance, folder)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "build"
    assert "The warehouse was not replaced" in failed.step_failure_data.user_failure_data.description
    assert folder.settings.warehouse.stat().st_ino == before
    assert not [event for event in result.get_asset_materialization_events() if event.asset_key.path[0] == "marts"]
    monkeypatch.undo()
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    assert run_night(instance, folder).success, "what was taken is built by the next night"
    assert folder.release()["known_on"] == "2016-10-08"


def test_the_disk_is_tried_again(folder: Folder, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration import assets, failures

    monkeypatch.setattr(failures, "SECONDS_BETWEEN", 0)
    tries = []
    real = assets.take_waiting

    def weak(*args, **kwargs):
        tries.append(1)
        if len(tries) == 1:
            raise OSError(5, "Input/output error")
        return real(*args, **kwargs)

    monkeypatch.setattr(assets, "take_waiting", weak)
    deliver(folder, "2016-10-08", n=2)
    result = run_night(instance, folder)
    assert result.success and len(tries) == 2
    assert ("2016-10-08", "taken") in [(t.delivery_id, t.result) for t in outcomes_of(instance, result.run_id)]


def test_while_another_night_runs_this_one_fails_and_says_so(folder: Folder, instance: dg.DagsterInstance) -> None:
    with _locked_elsewhere(folder):
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
    with _locked_elsewhere(folder):
        assert dagster_home.retire_dead_runs(instance, folder.settings) == []
    assert dagster_home.retire_dead_runs(instance, folder.settings) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE


class _locked_elsewhere:  # noqa: N801 - reads as the context it is
    """Another process holds the lock."""

    def __init__(self, folder: Folder) -> None:
        context = multiprocessing.get_context("spawn")
        self._holds, self._ends = context.Event(), context.Event()
        self._process = context.Process(target=_hold, args=(folder.settings, self._holds, self._ends))

    def __enter__(self) -> None:
        self._process.start()
        assert self._holds.wait(60)

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._process.join(60)


def _hold(settings, holds, ends) -> None:
    with night_lock(settings):
        holds.set()
        ends.wait(300)
