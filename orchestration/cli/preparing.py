"""What comes before a first night: a made-up registry, and Dagster's home.

Here: the options of the simulator. Not here: the simulator (``orchestration/simulation``).
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from orchestration.cli.conventions import DATE, FAILED, fail, load_settings, progress


@click.command()
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
        written = write_deliveries(out, contracts, seed, until, deliveries, file_format, dirty, progress)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        fail(str(error), FAILED)
    for directory in written:
        click.echo(directory)


@click.command()
def prepare() -> None:
    """Make Dagster's home in KBI_DATA, and print it.

    Before starting a Dagster process yourself; `kbi night` and `make dev` do it.
    """
    from orchestration.dagster_home import prepare as prepare_home

    click.echo(prepare_home(load_settings()))
