"""The code location: everything the Dagster UI shows, assembled.

Here: job, schedule, sensor, failure hook, the resource that holds the lock. Not here: the assets themselves
(``assets.py``, ``dbt_assets.py``, ``checks.py``).
"""

import hashlib
import logging
from collections.abc import Iterator

import dagster as dg

from orchestration import dagster_home, dbt_runner
from orchestration.assets import NIGHT, ingest, release, retake, revisions_spec
from orchestration.checks import NO_DELIVERY_REFUSED, no_delivery_refused
from orchestration.dbt_assets import build_models
from orchestration.deliveries import MANIFEST, delivery_directories
from orchestration.night_lock import night_lock
from orchestration.progress import progress, reporter
from orchestration.settings import Settings, load_settings

JOB = "night"

_WHAT_TO_DO = {
    "ingest": "No delivery is half taken: those taken stay, the others are tried again by the next run.",
    "build": "The last release stays published. Repair what is named above and run the job again.",
    "published__release": "The last release stays published. Run the job again.",
    NO_DELIVERY_REFUSED: "Whatever else could be taken was, and is published. docs/runbook.md lists the codes.",
}


@dg.resource(description="Holds the lock during the run, and gives the settings.")
def night(_: dg.InitResourceContext) -> Iterator[Settings]:
    """The settings, and the certainty that no other night runs."""
    settings = load_settings()
    with night_lock(settings):
        yield settings


@dg.failure_hook(name="say_what_to_do")
def say_what_to_do(context: dg.HookContext) -> None:
    """Log which step failed, why, and what to do: the last lines that an operator reads."""
    error = context.op_exception
    # Of a step that was tried again in vain the failure behind the request tells.
    cause = error.__cause__ if isinstance(error, dg.RetryRequested) else error
    reason = getattr(cause, "description", None) or str(cause)
    advice = _WHAT_TO_DO.get(context.op.name, "See docs/runbook.md.")
    reporter(context.log, logging.ERROR)(f"Step {context.op.name} failed. {reason}\n{advice}")


def new_deliveries_cursor(settings: Settings) -> str:
    """Identity of the manifests that lie there now: changes when one appears or changes. Opens no file."""
    digest = hashlib.sha256()
    for directory in delivery_directories(settings.landing):
        try:
            stat = (directory / MANIFEST).lstat()
        except FileNotFoundError:
            continue  # taken away meanwhile
        digest.update(f"{directory.name}\t{stat.st_mtime_ns}\t{stat.st_size}\n".encode())
    return digest.hexdigest()


@dg.sensor(
    name="new_deliveries",
    job_name=JOB,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts a night when a manifest appears in the landing zone, or one there changes.",
)
def new_deliveries(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Look at names, times and sizes only: a tick costs next to nothing."""
    settings = load_settings()
    for run_id in dagster_home.retire_dead_runs(context.instance, settings):
        context.log.warning(f"Run {run_id} was reported as failed: its process is gone.")
    cursor = new_deliveries_cursor(settings)
    if cursor == context.cursor:
        return dg.SkipReason("No manifest appeared or changed since the last run was started.")
    if context.cursor is None and not delivery_directories(settings.landing):
        context.update_cursor(cursor)
        return dg.SkipReason(f"There is no delivery in {settings.landing} yet.")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=cursor)], cursor=cursor)


def build_definitions(settings: Settings) -> dg.Definitions:
    """All definitions. The dbt project is compiled first where it changed."""
    models = build_models(dbt_runner.compiled_project(settings))
    job = dg.define_asset_job(
        JOB,
        # Without the step for one delivery, whose assets a night makes without it. Checks on them must be named then.
        selection=(dg.AssetSelection.all() - dg.AssetSelection.assets(retake)) | dg.AssetSelection.all_asset_checks(),
        description="Take every waiting delivery, build the warehouse, check it, publish the marts.",
        # Whoever starts it, the terminal it runs in shows what the steps say and not every event.
        config={"loggers": {"console": {"config": {}}}},
        hooks={say_what_to_do},
    )
    return dg.Definitions(
        assets=[revisions_spec(), ingest, retake, models, release],
        asset_checks=[no_delivery_refused],
        jobs=[job],
        schedules=[
            dg.ScheduleDefinition(
                name="nightly",
                job=job,
                cron_schedule="30 3 * * *",
                execution_timezone="Europe/Brussels",
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description="Every night at half past three.",
            )
        ],
        sensors=[new_deliveries],
        resources={NIGHT: night},
        # One process for the whole run: a process per step would import and connect again for each.
        executor=dg.in_process_executor,
        loggers={"console": progress},
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """What `workspace.yaml` loads."""
    return build_definitions(load_settings())
