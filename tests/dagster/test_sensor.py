"""The sensor starts a night when a manifest appears or changes, and only then."""

from __future__ import annotations

import os

import dagster as dg
import pytest

from orchestration.definitions import new_deliveries
from tests.dagster.conftest import deliver
from tests.night.nights import Folder


def tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[int, str | None]:
    """Run requests of one evaluation, and the cursor after it."""
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    result = new_deliveries(context)
    if isinstance(result, dg.SkipReason):
        assert result.skip_message
        return 0, context.cursor
    return len(result.run_requests), result.cursor


def test_a_new_manifest_starts_one_run(folder: Folder, instance: dg.DagsterInstance) -> None:
    n_runs, cursor = tick(instance, None)
    assert n_runs == 1
    assert tick(instance, cursor) == (0, cursor)
    (folder.landing / "2016-10-08").mkdir()
    assert tick(instance, cursor) == (0, cursor), "a directory without manifest is not there yet"
    (folder.landing / "2016-10-08").rmdir()
    deliver(folder, "2016-10-08")
    n_runs, after = tick(instance, cursor)
    assert n_runs == 1 and after != cursor
    assert tick(instance, after) == (0, after)


def test_a_changed_manifest_starts_a_run(folder: Folder, instance: dg.DagsterInstance) -> None:
    _, cursor = tick(instance, None)
    manifest = folder.landing / "2016-09-08" / "manifest.json"
    os.utime(manifest, ns=(0, manifest.stat().st_mtime_ns + 1_000_000))
    assert tick(instance, cursor)[0] == 1


def test_a_manifest_that_is_a_link_to_nothing_starts_a_run_that_refuses_it(
    folder: Folder, instance: dg.DagsterInstance
) -> None:
    _, cursor = tick(instance, None)
    (folder.landing / "broken").mkdir()
    (folder.landing / "broken" / "manifest.json").symlink_to("nowhere")
    n_runs, after = tick(instance, cursor)
    assert n_runs == 1 and tick(instance, after) == (0, after)


def test_an_empty_landing_zone_starts_nothing(
    folder: Folder, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("KBI_LANDING", str(tmp_path / "empty"))
    n_runs, cursor = tick(instance, None)
    assert n_runs == 0
    assert tick(instance, cursor)[0] == 0
