"""The command line, ``kbi``: a thin layer that starts the Dagster job and reads what the other modules say.

Here: options, exit codes, standard output. Not here: any work. Every command imports what it needs itself, so that
``kbi status`` does not wait for Dagster.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a delivery was refused and the others are published, 4 a release is not
what it was, 5 another night runs.
"""

from __future__ import annotations

import click

from orchestration.cli.acts import erase, purge, rebuild, reproduce, rollback, withdraw
from orchestration.cli.conventions import FAILED, fail
from orchestration.cli.figures import answer, explain, status, summary
from orchestration.cli.nightly import night
from orchestration.cli.preparing import prepare, simulate
from orchestration.disk import told
from orchestration.settings import SettingsError, load_settings


class _Commands(click.Group):
    """Says what went wrong in a sentence; only with --debug does a traceback follow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are listed here, the daily ones first."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except SettingsError as error:
            fail(str(error), FAILED)
        except OSError as error:
            if ctx.params.get("debug"):
                raise
            fail(told(error, load_settings()), FAILED)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            # Its text may quote a row: type only.
            fail(f"Unforeseen {type(error).__name__}. Run `kbi --debug …` to see where.", FAILED)


@click.group(
    cls=_Commands,
    commands=[
        night,
        simulate,
        answer,
        explain,
        rollback,
        rebuild,
        withdraw,
        erase,
        purge,
        reproduce,
        status,
        summary,
        prepare,
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="kbi-warehouse", prog_name="kbi")
@click.option("--debug", is_flag=True, help="Show Dagster's events and tracebacks. They may quote rows.")
def main(debug: bool) -> None:
    """Reporting warehouse over Flanders' civic-integration registry.

    Settings come from the environment: KBI_LANDING, where deliveries appear (default: landing), KBI_DATA, where
    everything is kept (default: data), and others that the README lists.
    """
