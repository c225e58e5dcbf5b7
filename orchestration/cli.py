"""The command line, ``kbi``: a thin layer that starts the Dagster job and reads what the other modules say.

Here: options, exit codes, standard output. Not here: any work. Every command imports what it needs itself, so that
``kbi status`` does not wait for Dagster.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a delivery was refused and the others are published, 4 a release is not
what it was, 5 another night runs.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.settings import SettingsError
from orchestration.settings import load_settings as settings_of_environment

if TYPE_CHECKING:
    from dagster import ExecuteInProcessResult

    from orchestration.erasing import Erasure
    from orchestration.settings import Settings

FAILED, REFUSED, DIFFERENT, BUSY = 1, 3, 4, 5


def _progress(message: str) -> None:
    click.echo(message, err=True)


def load_settings() -> Settings:
    """The settings. What a killed rebuild left half done is done first, unless somebody is at it."""
    from orchestration.exchange import is_pending

    settings = settings_of_environment()
    if is_pending(settings):
        from orchestration.night_lock import Busy, night_lock

        with suppress(Busy), night_lock(settings):
            pass
    return settings


class _Date(click.ParamType):
    name = "YYYY-MM-DD"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, not a moment
        except ValueError:
            self.fail(f"{value!r} is not a date of the form YYYY-MM-DD.", param, ctx)


DATE = _Date()


class _Reason(click.ParamType):
    name = "TEXT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.search(r"(\d[\s.-]*){11}", value):
            self.fail("it is kept for good, and it seems to hold a person's number: say it without.", param, ctx)
        return " ".join(value.split())


REASON = _Reason()


class _Commands(click.Group):
    """Says what went wrong in a sentence; only with --debug does a traceback follow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they stand here, the daily ones first."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except SettingsError as error:
            _fail(str(error), FAILED)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            # Its text may quote a row: type only.
            _fail(f"Unforeseen {type(error).__name__}. Run `kbi --debug …` to see where.", FAILED)


def _fail(message: str, code: int) -> None:
    click.echo(f"kbi: {message}", err=True)
    raise click.exceptions.Exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kbi-warehouse", prog_name="kbi")
@click.option("--debug", is_flag=True, help="Show Dagster's events and tracebacks. They may quote rows.")
def main(debug: bool) -> None:
    """Reporting warehouse over Flanders' civic-integration registry.

    Settings come from the environment: KBI_LANDING, where deliveries appear (default: landing), KBI_DATA, where
    everything is kept (default: data), and others that the README lists.
    """


@main.command()
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
        with _told_to_people():
            from orchestration.past import publish_as_known

            click.echo(publish_as_known(settings, known_on, _progress).directory)
        return
    # A name mistyped would be a night for nothing: the delivery meant would be refused again.
    known = {path.name for path in delivery_directories(settings.landing)} if accept_volume else set()
    if unknown := set(accept_volume) - known:
        raise click.UsageError(f"--accept-volume: no delivery {', '.join(sorted(unknown))} lies in {settings.landing}.")
    try:
        with night_lock(settings):
            _run_night(settings, accept_volume, debug=ctx.parent.params["debug"])
    except Busy as error:
        _fail(str(error), BUSY)


def _run_night(settings: Settings, accept_volume: Sequence[str], *, debug: bool) -> None:
    """Run the job in this process, in the home that the UI shows."""
    _progress("Starting")
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


@main.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The landing folder.")
@click.option("--contracts", required=True, type=click.IntRange(min=1), help="Contracts in the last delivery.")
@click.option("--seed", required=True, type=click.IntRange(min=0), help="The same seed gives the same bytes.")
@click.option("--until", required=True, type=DATE, help="Date of the last delivery.")
@click.option(
    "--deliveries", default=1, show_default=True, type=click.IntRange(min=1), help="How many full deliveries."
)
@click.option(
    "--format", "file_format", default="csv", show_default=True, type=click.Choice(["csv", "parquet"]), help="Of files."
)
@click.option("--dirty", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Share of rows to damage.")
def simulate(
    out: Path, contracts: int, seed: int, until: date, deliveries: int, file_format: str, dirty: float
) -> None:
    """Write deliveries of a made-up registry.

    Synthetic persons, realistic lives, late registrations from one delivery to the next. Prints where they are.
    """
    from orchestration.manifest import BRUSSELS
    from orchestration.simulation.deliveries import simulate as write_deliveries

    if until > (today := datetime.now(BRUSSELS).date()):
        raise click.UsageError(f"--until: {until} is in the future, and such a delivery is refused; today is {today}.")
    try:
        written = write_deliveries(out, contracts, seed, until, deliveries, file_format, dirty, _progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        _fail(str(error), FAILED)
    for directory in written:
        click.echo(directory)


FORMAT = click.option(
    "--format", "output", default="text", show_default=True, type=click.Choice(["text", "json"]), help="For whom."
)


@contextmanager
def _told_to_people() -> Iterator[None]:
    """What a look at the figures of a day can run into, as wrong usage or as a failure."""
    from orchestration.answer import AnswerError, DateOutOfRange
    from orchestration.dbt_runner import DbtFailed
    from orchestration.past import NothingKnown, PastFailed
    from orchestration.publication import PublicationError
    from orchestration.warehouse import NothingTaken

    try:
        yield
    except (DateOutOfRange, NothingKnown) as error:
        raise click.UsageError(str(error)) from None
    except (AnswerError, DbtFailed, NothingTaken, PastFailed, PublicationError) as error:
        _fail(str(error), FAILED)
    except OSError as error:
        _fail(f"{error.strerror or type(error).__name__}: {error.filename or 'input or output'}", FAILED)


@main.command()
@click.option("--as-of", required=True, type=DATE, help="Any day up to the last delivery.")
@click.option("--known-on", type=DATE, help="As known on this day: later deliveries do not count. Default: all count.")
@click.option(
    "--compare-known-on", type=DATE, help="Beside it the same day as known on this one, and what differs in between."
)
@FORMAT
def answer(as_of: date, known_on: date | None, compare_known_on: date | None, output: str) -> None:
    """Answer written question 714 as of a day.

    Q1 to Q5 and the reasons of non-success: the rows of the six marts, for any day and not for reporting dates only.
    An earlier state of knowledge is built first, which takes as long as a night; the last three are kept.
    """
    from orchestration.answer import Answer
    from orchestration.answer import answer as answer_of
    from orchestration.answer_text import as_comparison, as_text

    settings = load_settings()
    with _told_to_people():
        if known_on is None and compare_known_on is None:
            figures = [answer_of(settings, as_of)]
        else:
            from orchestration.past import answer_as_known

            days = [known_on or date.max] if compare_known_on is None else [compare_known_on, known_on or date.max]
            figures = [answer_as_known(settings, as_of, day, _progress) for day in days]
    as_json = Answer.side_by_side if compare_known_on else Answer.as_json
    in_words = as_comparison if compare_known_on else as_text
    click.echo((as_json if output == "json" else in_words)(*figures))


@main.command()
@click.option("--as-of", required=True, type=DATE, help="A reporting date of both: the end of a month, or 2016-09-08.")
@click.option("--from", "old", required=True, metavar="RELEASE", help="The older release.")
@click.option("--to", "new", required=True, metavar="RELEASE", help="The newer one.")
@FORMAT
def explain(as_of: date, old: str, new: str, output: str) -> None:
    """Explain, by cause, why figures differ between two releases."""
    from orchestration.explanation import NotExplained
    from orchestration.explanation import explain as explain_difference
    from orchestration.publication import UnknownRelease

    try:
        found = explain_difference(load_settings(), as_of, old, new)
    except (UnknownRelease, NotExplained) as error:
        raise click.UsageError(str(error)) from None
    click.echo(found.as_json() if output == "json" else found.as_text())


@main.command()
@click.argument("release")
@click.option("--reason", type=REASON, default="", help="Why, for the record.")
def rollback(release: str, reason: str) -> None:
    """Serve an earlier RELEASE again.

    At once, also while a night runs. It stays until another delivery is taken or the code changes. The newest release
    is served again in the same way.
    """
    from orchestration.publication import UnknownRelease, roll_back

    try:
        served = roll_back(load_settings(), release, reason)
    except UnknownRelease as error:
        raise click.UsageError(str(error)) from None
    click.echo(f"Served: {served.release_id}, state of knowledge of {served.manifest['known_on']}")


@contextmanager
def _instead_of_a_night() -> Iterator[Settings]:
    """Hold the night's lock for work on what was taken, and say what that can run into."""
    from orchestration.night_lock import Busy, night_lock
    from orchestration.publication import UnknownRelease
    from orchestration.retaking import NotTaken, RetakingFailed

    settings = load_settings()
    try:
        with night_lock(settings), _told_to_people():
            yield settings
    except Busy as error:
        _fail(str(error), BUSY)
    except RetakingFailed as error:
        _fail(str(error), FAILED)
    except (NotTaken, UnknownRelease) as error:
        raise click.UsageError(str(error)) from None


@main.command()
@click.option("--reason", type=REASON, default="", help="Why, for the record.")
@click.pass_context
def rebuild(ctx: click.Context, reason: str) -> None:
    """Make everything again from the archive.

    Takes every delivery again from its archived bytes, erases who was erased before and is there again, then builds,
    checks and publishes like a night. Where the ledger is lost too, everything in the archive counts.

    Exit codes: as of `kbi night`; 1 also where the archive is damaged, and then nothing has changed.
    """
    with _instead_of_a_night() as settings:
        from orchestration.erasing import erase_again
        from orchestration.retaking import rebuild as rebuild_all

        rebuild_all(settings, _progress, reason)
        if (found := erase_again(settings, _progress)).deliveries:
            _say_erased(found)
        _run_night(settings, (), debug=ctx.parent.params["debug"])


@main.command()
@click.argument("delivery")
@click.option("--reason", type=REASON, required=True, help="Why, for the record.")
@click.pass_context
def withdraw(ctx: click.Context, delivery: str, reason: str) -> None:
    """Undo the taking of a valid but wrong DELIVERY.

    What came after it is taken again without it; then builds, checks and publishes like a night. Its bytes are kept and
    never taken again; corrected ones may come, in order, under the same name or a new one.

    Exit codes: as of `kbi night`; 2 also where the delivery was not taken, or nothing would be left.
    """
    if not reason:
        raise click.UsageError("--reason: say why; `kbi status` shows it to whoever misses the delivery.")
    with _instead_of_a_night() as settings:
        from orchestration.retaking import withdraw as withdraw_delivery

        withdraw_delivery(settings, delivery, reason, _progress)
        _run_night(settings, (), debug=ctx.parent.params["debug"])


@main.command()
@click.option("--reason", type=REASON, default="", help="Why, for the record: nothing that tells who.")
@click.pass_context
def erase(ctx: click.Context, reason: str) -> None:
    """Erase a person, whose INSZ is read from standard input.

    From the archive, the quarantine and everything made of them, with every number that is known to be of the same
    person; rows of theirs that are delivered later are left out. Then builds, checks and publishes like a night. What
    lies in the landing zone is the registry's, and releases hold counts: both stay.

    Exit codes: as of `kbi night`; 2 also where that is no INSZ.
    """
    number = re.sub(r"[\s.-]", "", click.get_text_stream("stdin").read(100))
    if not _is_insz(number):
        raise click.UsageError("Standard input is no INSZ: eleven digits, with or without dots, the last two a check.")
    with _instead_of_a_night() as settings:
        from orchestration.erasing import erase as erase_person

        found = erase_person(settings, number, reason, _progress)
        _say_erased(found)
        _build_without_them(settings, debug=ctx.parent.params["debug"])


@main.command()
@click.option("--before", type=DATE, required=True, help="Everybody about whom nothing is dated on this day or later.")
@click.option("--reason", type=REASON, default="", help="Why, for the record.")
@click.pass_context
def purge(ctx: click.Context, before: date, reason: str) -> None:
    """Erase everybody about whom nothing is known from a day on.

    As `kbi erase` does, but whoever later has something dated on that day or after it is taken again.

    Exit codes: as of `kbi night`.
    """
    with _instead_of_a_night() as settings:
        from orchestration.erasing import purge as purge_persons

        _say_erased(purge_persons(settings, before, reason, _progress))
        _build_without_them(settings, debug=ctx.parent.params["debug"])


def _build_without_them(settings: Settings, *, debug: bool) -> None:
    try:
        _run_night(settings, (), debug=debug)
    except click.exceptions.Exit:
        if settings.build_due.exists():
            _progress(
                "Not done yet: they are out of the archive, but the last warehouse still holds their pseudonyms. "
                "Repair what failed and run `kbi night`."
            )
        raise


def _is_insz(number: str) -> bool:
    import polars as pl

    from schemas import insz

    (is_correct,) = pl.select(insz.is_correct(insz.parsed(pl.lit(number)), synthetic=True)).to_series()
    return bool(is_correct)


def _say_erased(found: Erasure) -> None:
    if not found.deliveries:
        _progress("Nothing was held of anybody to erase. What may be delivered of them later is left out.")
        return
    _progress(
        f"{found.n_persons:,} persons erased from {', '.join(found.deliveries)}; {found.n_retaken} deliveries taken "
        "again without them. The landing zone was not touched: have the registry take them out of what lies there."
    )


@main.command()
@click.argument("release")
def reproduce(release: str) -> None:
    """Make a RELEASE again, and compare.

    From the archived bytes of its deliveries, aside. Prints one line per mart: its name and same or differs, separated
    by a tab; why it may differ is said on standard error.

    Exit codes: 0 the same, 1 the archive lacks a delivery, 2 no such release, 4 a mart differs, 5 a night runs.
    """
    with _instead_of_a_night() as settings:
        from orchestration.reproducing import reproduce as reproduce_release

        found = reproduce_release(settings, release, _progress)
    for mart, is_same in found.marts.items():
        click.echo(f"{mart}\t{'same' if is_same else 'differs'}")
    for note in found.notes:
        _progress(note)
    if found.n_erased:
        _progress(f"{found.n_erased} persons erased since: without them it cannot be the same.")
    if not found.is_same:
        _fail(f"Release {release} is not what was published.", DIFFERENT)


@main.command()
@FORMAT
def status(output: str) -> None:
    """Say what was taken, refused and published.

    Which deliveries, where their rows went, the release being served, and what is left of the disk.
    """
    from orchestration.status import status as status_of

    found = status_of(load_settings())
    click.echo(found.as_json() if output == "json" else found.as_text())


@main.command()
def summary() -> None:
    """Say what `make night` ends with.

    The answers as of the minister's day and of the last delivery, then what `kbi status` says.
    """
    from orchestration.answer import AnswerError
    from orchestration.summary import summary as summary_of

    try:
        click.echo(summary_of(load_settings()))
    except AnswerError as error:
        _fail(str(error), FAILED)


@main.command()
def prepare() -> None:
    """Make Dagster's home in KBI_DATA, and print it.

    Before starting a Dagster process yourself; `kbi night` and `make dev` do it.
    """
    from orchestration.dagster_home import prepare as prepare_home

    click.echo(prepare_home(load_settings()))


if __name__ == "__main__":
    sys.exit(main())
