"""What all commands of ``kbi`` share: exit codes, kinds of options, how a failure is told.

Here: what a user may rely on whichever command runs. Not here: any command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, NoReturn

import click

from orchestration.settings import load_settings as settings_of_environment

if TYPE_CHECKING:
    from orchestration.settings import Settings

FAILED, REFUSED, DIFFERENT, BUSY = 1, 3, 4, 5


def progress(message: str) -> None:
    """Say on standard error what is going on. That nobody listens any more is no reason to stop."""
    with suppress(BrokenPipeError):
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


_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Date(click.ParamType):
    name = "YYYY-MM-DD"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            # Other forms of ISO 8601 are dates too, and so easily another day than was meant.
            return date.fromisoformat(value if _ISO_DATE.fullmatch(value) else "")
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

FORMAT = click.option(
    "--format", "output", default="text", show_default=True, type=click.Choice(["text", "json"]), help="For whom."
)


def fail(message: str, code: int) -> NoReturn:
    """End with a sentence on standard error.

    Raises:
        click.exceptions.Exit: always, with the code.
    """
    click.echo(f"kbi: {message}", err=True)
    raise click.exceptions.Exit(code)


@contextmanager
def told_to_people() -> Iterator[None]:
    """What work on the warehouse can run into, as wrong usage or as a failure."""
    from orchestration.answer import AnswerError, DateOutOfRange
    from orchestration.dbt_runner import DbtFailed
    from orchestration.marts import PublicationError
    from orchestration.past import NothingKnown, PastFailed
    from orchestration.warehouse import NothingTaken

    try:
        yield
    except (DateOutOfRange, NothingKnown) as error:
        raise click.UsageError(str(error)) from None
    except (AnswerError, DbtFailed, NothingTaken, PastFailed, PublicationError) as error:
        fail(str(error), FAILED)
    except OSError as error:
        from orchestration.disk import told

        fail(told(error, settings_of_environment()), FAILED)
