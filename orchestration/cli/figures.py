"""The commands that read: answers, what differs between releases, and how things stand.

Here: their options and forms of output. Not here: how a figure is computed or worded.
"""

from __future__ import annotations

from datetime import date

import click

from orchestration.cli.conventions import DATE, FAILED, FORMAT, fail, load_settings, progress, told_to_people


@click.command()
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
    with told_to_people():
        if known_on is None and compare_known_on is None:
            figures = [answer_of(settings, as_of)]
        else:
            from orchestration.past import answer_as_known

            days = [known_on or date.max] if compare_known_on is None else [compare_known_on, known_on or date.max]
            figures = [answer_as_known(settings, as_of, day, progress) for day in days]
    as_json = Answer.side_by_side if compare_known_on else Answer.as_json
    in_words = as_comparison if compare_known_on else as_text
    click.echo((as_json if output == "json" else in_words)(*figures))


@click.command()
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


@click.command()
@FORMAT
def status(output: str) -> None:
    """Say what was taken, refused and published.

    Which deliveries, where their rows went, the release being served, and what is left of the disk.
    """
    from orchestration.status import status as status_of

    found = status_of(load_settings())
    click.echo(found.as_json() if output == "json" else found.as_text())


@click.command()
def summary() -> None:
    """Say what `make night` ends with.

    The answers as of the minister's day and of the last delivery, then what `kbi status` says.
    """
    from orchestration.answer import AnswerError
    from orchestration.summary import summary as summary_of

    try:
        click.echo(summary_of(load_settings()))
    except AnswerError as error:
        fail(str(error), FAILED)
