"""Dagster's home, ``KBI_DATA/dagster``: the same for the command line, the schedule and the UI.

Here: the instance's configuration, and what a killed run leaves behind. Run as a module it prepares the home and prints
its path, for whoever starts a Dagster process that reads it before it loads any code of ours. Not here: any definition
(``definitions.py``).
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.disk import write_whole
from orchestration.night_lock import Busy, night_lock
from orchestration.settings import Settings, cannot_write, load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

STARTING_UP = timedelta(minutes=5)
"""A run younger than this may not hold the lock yet."""

CONFIGURATION = """\
# Written by orchestration/dagster_home.py; changes made here are overwritten.
telemetry:
  enabled: false
nux:
  enabled: false

# One run at a time: runs started from the UI, the schedule and the sensor wait for each other.
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
freshness:
  enabled: true

# What a step prints is not kept: run history is not a restricted zone. The event log holds counts and messages only.
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager

event_log_storage:
  module: orchestration.run_history
  class: RunHistory
  config:
    base_dir: {history}

retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 1
      success: 90
      failure: 90
"""


def prepare(settings: Settings) -> Path:
    """Make the home, or bring its configuration up to date, and return it."""
    home = settings.dagster_home
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(settings.data, error) from None
    configuration = home / "dagster.yaml"
    text = CONFIGURATION.format(history=json.dumps(str(home / "history" / "runs")))
    if not configuration.exists() or configuration.read_text(encoding="utf-8") != text:
        write_whole(configuration, text.encode())
    return home


def retire_dead_runs(instance: DagsterInstance, settings: Settings) -> list[str]:
    """Report runs as failed whose process was killed: they would keep every later run waiting. Returns their ids.

    Whoever holds the lock runs; if it is free, a run that says it has been running for a while is dead.
    """
    from dagster import DagsterRunStatus, RunsFilter
    from dagster._time import get_current_datetime

    started_before = get_current_datetime() - STARTING_UP
    records = instance.get_run_records(
        RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING], created_before=started_before)
    )
    dead = [record.dagster_run for record in records]
    if not dead:
        return []
    try:
        with night_lock(settings):
            for run in dead:
                instance.report_run_failed(run, "The process of this run was killed; the next run takes up its work.")
    except Busy:
        return []
    return [run.run_id for run in dead]


if __name__ == "__main__":
    print(prepare(load_settings()))
