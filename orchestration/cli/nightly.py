"""``kbi night``, and the run of Dagster's job that other commands end with.

Here: the options of the night, and what became of the run as lines and exit codes. Not here: any step of the night.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from orchestration.cli.conventions import BUSY, DATE, FAILED, REFUSED, fail, load_settings, progress, told_to_people

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult

    from orchestration.settings import Settings


@click.command()
@click.option(
    "--accept-volume",
    multiple=True,
    metavar="DELIVERY",
    help="Take this full delivery although it holds far fewer rows than are known. May be given several times.",
)
@click.option(
    "--known-on",
    type=DATE,
    help="Take nothing; write the marts as they were known on this day to published/as-known/, and print where.",
)
@click.pass_context
def night(ctx: click.Context, accept_volume: Sequence[str], known_on: date | None) -> None:
    """Take every waiting delivery, build, check and publish.

    Prints one line per delivery: its id, taken, unchanged or refused, and the refusal code, separated by tabs. What
    happens meanwhile is said on standard error.

    Exit codes: 0 published, or nothing new; 1 failed, and the last release stays; 2 wrong usage; 3 a delivery was
    refused for the first time, and the others are published; 5 another night runs.
    """
    from orchestration.deliveries import delivery_directories
    from orchestration.night_lock import Busy, night_lock

    settings = load_settings()
    if known_on:
        if accept_volume:
            raise click.UsageError("--accept-volume is about deliveries to take; with --known-on none is taken.")
        with told_to_people():
            from orchestration.past import publish_as_known

            click.echo(publish_as_known(settings, known_on, progress).directory)
        return
    # A name mistyped would be a night for nothing: the delivery meant would be refused again.
    known = {path.name for path in delivery_directories(settings.landing)} if accept_volume else set()
    if unknown := set(accept_volume) - known:
        raise click.UsageError(f"--accept-volume: no delivery {', '.join(sorted(unknown))} lies in {settings.landing}.")
    try:
        with night_lock(settings), told_to_people():
            run_night(settings, accept_volume, debug=ctx.parent.params["debug"])
    except Busy as error:
        fail(str(error), BUSY)


def run_night(settings: Settings, accept_volume: Sequence[str], *, debug: bool) -> None:
    """Run the job in this process, in the home that the UI shows."""
    progress("Starting")
    from dagster import DagsterInstance

    from orchestration.dagster_home import prepare, retire_dead_runs
    from orchestration.definitions import JOB, build_definitions
    from orchestration.outcomes import outcomes_of

    # Dagster reads its home from here; nothing else does.
    os.environ["DAGSTER_HOME"] = str(prepare(settings))
    with DagsterInstance.get() as instance:
        retire_dead_runs(instance, settings)
        result = (
            build_definitions(settings)
            .resolve_job_def(JOB)
            .execute_in_process(
                run_config={
                    "ops": {"ingest": {"config": {"accept_volume": list(accept_volume)}}},
                    "loggers": {"console": {"config": {"log_level": "DEBUG" if debug else "INFO"}}},
                },
                instance=instance,
                raise_on_error=False,
            )
        )
        for told in outcomes_of(instance, result.run_id):
            click.echo(f"{told.delivery_id}\t{told.result}\t{told.code}")
    if not result.success:
        raise click.exceptions.Exit(_exit_code(result))


def _exit_code(result: ExecuteInProcessResult) -> int:
    from dagster._core.execution.plan.objects import ErrorSource

    from orchestration.checks import NO_DELIVERY_REFUSED

    failures = [event for event in result.all_events if event.is_step_failure]
    failed = {event.step_key for event in failures}
    if any(event.step_failure_data.error_source is ErrorSource.INTERRUPT for event in failures):
        # No hook is called for it.
        click.echo("kbi: Interrupted. What was taken stays; run `kbi night` again for the rest.", err=True)
    if not failed:
        # No step failed, so no hook has said why.
        for event in result.all_events:
            if event.is_failure and event.message:
                click.echo(f"kbi: {event.message}", err=True)
    return REFUSED if failed == {NO_DELIVERY_REFUSED} else FAILED
