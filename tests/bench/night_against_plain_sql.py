"""``make bench``: what a night over a simulated registry costs, against one plain DuckDB script on the same files.

Here: both runs in processes of their own, their figures, and whether both came to the same marts. Not here: the plain
script (``plain_sql.py``). The registry is undamaged: the plain script does not judge rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import duckdb

from orchestration.marts import MARTS
from orchestration.simulation import simulate
from tests.bench.plain_sql import plain_script

UNTIL = date(2024, 6, 30)
THREADS = 2
KBI = Path(sys.executable).with_name("kbi")
# The aim: the night costs at most so many times the plain script's CPU and so many seconds, in so much memory.
AIM_RATIO, AIM_SECONDS, AIM_PEAK_MB = 1.5, 16, 1536

_RUN_SCRIPT = f"""
import sys, duckdb
duckdb.connect(config={{"threads": {THREADS}}}).execute(open(sys.argv[1], encoding="utf-8").read())
"""


@dataclass(frozen=True)
class Cost:
    """Of a process with all its children: wall and CPU (user + system) seconds, and the peak of the largest, in MB."""

    wall: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        return f"wall {self.wall:7.1f} s   CPU {self.cpu:7.1f} s   peak {self.peak_mb:6.0f} MB"


def measured(command: list[str], log: Path, **environment: str) -> Cost:
    """Run a command, its output into ``log``.

    Raises:
        click.ClickException: it failed; says where its output is.
    """
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{command[0]} ended with {process.returncode}; the end of its output:\n{_end(log)}")
    # Linux counts ru_maxrss in kibibytes.
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def compared_rows(plain: Path, night: Path) -> tuple[int, dict[str, int]]:
    """Of two folders of ``<mart>.parquet``: the rows of the first, and mart → rows that only one of them has."""
    rows, only_one = 0, {}
    with duckdb.connect(config={"threads": THREADS}) as connection:
        for mart in MARTS:
            ours, theirs = (f"(from read_parquet('{folder / mart}.parquet'))" for folder in (plain, night))
            found, different = connection.execute(
                f"select (select count(*) from {ours}), count(*) from ((from {ours} except all from {theirs}) union all"
                f" (from {theirs} except all from {ours}))"
            ).fetchone()
            rows += found
            only_one |= {mart: different} if different else {}
    return rows, only_one


@click.command(context_settings={"show_default": True})
@click.option("--contracts", default=400_000, type=click.IntRange(min=1), help="Contracts in the registry.")
@click.option("--seed", default=2016, type=click.IntRange(min=0), help="Seed of the simulated registry.")
@click.option("--plain-only", is_flag=True, help="Only the plain script.")
@click.option("--scratch", type=click.Path(path_type=Path, file_okay=False), help="A folder to keep everything in.")
def main(contracts: int, seed: int, plain_only: bool, scratch: Path | None) -> None:
    """Compare a night over a simulated registry with one plain DuckDB script; fails where their marts differ."""
    with TemporaryDirectory(prefix="kbi-bench-") as temporary:
        _compare((scratch or Path(temporary)).absolute(), contracts, seed, plain_only)


def _compare(scratch: Path, contracts: int, seed: int, plain_only: bool) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    click.echo(f"Simulating {contracts:,} contracts …", err=True)
    [delivery] = simulate(scratch / "landing", contracts, seed, UNTIL)
    size = sum(file.stat().st_size for file in delivery.iterdir())
    click.echo(f"{contracts:,} contracts, {size / 1e6:,.0f} MB of CSV, {THREADS} threads")

    script, marts = scratch / "plain.sql", scratch / "plain"
    marts.mkdir()
    script.write_text(plain_script(delivery, UNTIL, marts), encoding="utf-8")
    plain = measured([sys.executable, "-c", _RUN_SCRIPT, str(script)], scratch / "plain.log")
    click.echo(f"plain script  {plain}")
    if plain_only:
        return

    data = scratch / "data"
    zones = {"KBI_LANDING": str(scratch / "landing"), "KBI_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    night = measured([str(KBI), "night"], scratch / "night.log", **zones)
    click.echo(f"kbi night     {night}")
    click.echo(f"ratio         wall {night.wall / plain.wall:7.2f}     CPU {night.cpu / plain.cpu:7.2f}")
    allowed = AIM_RATIO * plain.cpu + AIM_SECONDS
    click.echo(
        f"aim           CPU at most {AIM_RATIO} x plain + {AIM_SECONDS} s = {allowed:.1f} s: "
        f"{'met' if night.cpu <= allowed else 'missed'}; peak at most {AIM_PEAK_MB} MB: "
        f"{'met' if night.peak_mb <= AIM_PEAK_MB else 'missed'}"
    )
    rows, different = compared_rows(marts, data / "published/current/internal/parquet")
    if different or not rows:
        raise click.ClickException(f"The marts differ or are empty. Rows that only one of them has: {different}")
    click.echo(f"marts         the same {rows:,} rows in both")


if __name__ == "__main__":
    main()
