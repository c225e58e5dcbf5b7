"""What people do by hand, each act recorded: serve an earlier release, undo, make again, erase.

Here: their options, the lock they hold instead of a night, and what they say. Not here: any of the work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.conventions import (
    BUSY,
    DATE,
    DIFFERENT,
    FAILED,
    REASON,
    fail,
    load_settings,
    progress,
    told_to_people,
)
from orchestration.cli.nightly import run_night

if TYPE_CHECKING:
    from orchestration.erasing import Erasure
    from orchestration.settings import Settings


@click.command()
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
        with night_lock(settings), told_to_people():
            yield settings
    except Busy as error:
        fail(str(error), BUSY)
    except RetakingFailed as error:
        fail(str(error), FAILED)
    except (NotTaken, UnknownRelease) as error:
        raise click.UsageError(str(error)) from None


@click.command()
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

        rebuild_all(settings, progress, reason)
        if (found := erase_again(settings, progress)).deliveries:
            _say_erased(found)
        run_night(settings, (), debug=ctx.parent.params["debug"])


@click.command()
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

        withdraw_delivery(settings, delivery, reason, progress)
        run_night(settings, (), debug=ctx.parent.params["debug"])


@click.command()
@click.option("--reason", type=REASON, default="", help="Why, for the record: nothing that tells who.")
@click.pass_context
def erase(ctx: click.Context, reason: str) -> None:
    """Erase a person, whose INSZ is read from standard input.

    From the archive, the quarantine and everything made of them, with every number that is known to be of the same
    person; rows of theirs that are delivered later are left out. Then builds, checks and publishes like a night. What
    lies in the landing zone is the registry's, and releases hold counts: both stay.

    Exit codes: as of `kbi night`; 2 also where that is no INSZ.
    """
    number = _asked_for()
    if not _is_insz(number):
        raise click.UsageError("Standard input is no INSZ: eleven digits, with or without dots, the last two a check.")
    with _instead_of_a_night() as settings:
        from orchestration.erasing import erase as erase_person

        found = erase_person(settings, number, reason, progress)
        _say_erased(found)
        _build_without_them(settings, debug=ctx.parent.params["debug"])


@click.command()
@click.option("--before", type=DATE, required=True, help="Everybody about whom nothing is dated on this day or later.")
@click.option("--reason", type=REASON, default="", help="Why, for the record.")
@click.pass_context
def purge(ctx: click.Context, before: date, reason: str) -> None:
    """Erase everybody about whom nothing is known from a day on.

    As `kbi erase` does, but whoever later has something dated on that day or after it is taken again. It does not ask;
    a day to come, which would be everybody, is taken for a slip.

    Exit codes: as of `kbi night`; 2 also for a day to come.
    """
    from orchestration.manifest import BRUSSELS

    if before > (today := datetime.now(BRUSSELS).date()):
        raise click.UsageError(f"--before: {before} is still to come, and would be everybody; today is {today}.")
    with _instead_of_a_night() as settings:
        from orchestration.erasing import purge as purge_persons

        _say_erased(purge_persons(settings, before, reason, progress))
        _build_without_them(settings, debug=ctx.parent.params["debug"])


def _build_without_them(settings: Settings, *, debug: bool) -> None:
    try:
        run_night(settings, (), debug=debug)
    except click.exceptions.Exit:
        if settings.build_due.exists():
            progress(
                "Not done yet: they are out of the archive, but the last warehouse still holds their pseudonyms. "
                "Repair what failed and run `kbi night`."
            )
        raise


def _asked_for() -> str:
    """What was typed or piped, without what people write between the digits."""
    stdin = click.get_text_stream("stdin")
    if stdin.isatty():
        typed = click.prompt("INSZ", hide_input=True, err=True).encode()
    else:
        typed = click.get_binary_stream("stdin").read(100)
    # Bytes that are no text are no number either.
    return re.sub(rb"[\s.-]", b"", typed).decode("ascii", "replace")


def _is_insz(number: str) -> bool:
    import polars as pl

    from schemas import insz

    (is_correct,) = pl.select(insz.is_correct(insz.parsed(pl.lit(number)), synthetic=True)).to_series()
    return bool(is_correct)


def _say_erased(found: Erasure) -> None:
    if not found.n_persons:
        also = f" Columns that the contract does not know were taken out of {', '.join(found.deliveries)}."
        progress(
            f"Nothing was held of anybody to erase.{also if found.deliveries else ''} "
            "What may be delivered of them later is left out."
        )
        return
    progress(
        f"Persons erased: {found.n_persons:,}, from {', '.join(found.deliveries)}. Deliveries taken again: "
        f"{found.n_retaken}. The landing zone was not touched: have the registry take them out of what lies there."
    )


@click.command()
@click.argument("release")
def reproduce(release: str) -> None:
    """Make a RELEASE again, and compare.

    From the archived bytes of its deliveries, aside. Prints one line per mart: its name and same or differs, separated
    by a tab; why it may differ is said on standard error.

    Exit codes: 0 the same, 1 the archive lacks a delivery, 2 no such release, 4 a mart differs, 5 a night runs.
    """
    with _instead_of_a_night() as settings:
        from orchestration.reproducing import reproduce as reproduce_release

        found = reproduce_release(settings, release, progress)
    for mart, is_same in found.marts.items():
        click.echo(f"{mart}\t{'same' if is_same else 'differs'}")
    for note in found.notes:
        progress(note)
    if found.n_erased:
        progress(f"Persons erased since: {found.n_erased}. Without them it cannot be the same.")
    if not found.is_same:
        fail(f"Release {release} is not what was published.", DIFFERENT)
