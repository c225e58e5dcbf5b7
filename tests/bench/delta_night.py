"""What a night with a small delta costs, against the first load of the same registry.

``python -m tests.bench.delta_night --contracts 400000``. Here: the delta (one contract in a hundred
moved to another municipality), both nights in processes of their own, and whether the marts are those of one night that
takes both deliveries on an empty machine. Not here: measuring a process (``night_against_plain_sql.py``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import duckdb

from orchestration.marts import MARTS
from orchestration.simulation import simulate
from tests.bench.night_against_plain_sql import KBI, THREADS, UNTIL, Cost, measured

AIM_SHARE = 0.15
"""The aim: such a night costs at most this share of the first load."""


def write_delta(full: Path, last: Path, share: float) -> Path:
    """A delta of the day after the last delivery: some contracts of the full one (CSV), in another municipality."""
    told = json.loads((last / "manifest.json").read_text())
    at = datetime.fromisoformat(told["extracted_at"]) + timedelta(days=1)
    delivery = last.with_name(f"{at.date()}")
    delivery.mkdir()
    path = delivery / "contracten.csv"
    with duckdb.connect(config={"threads": THREADS}) as connection:
        (rows,) = connection.execute(f"""
            copy (
                select * replace (case nis_gemeente when '11002' then '44021' else '11002' end as nis_gemeente),
                    false as verwijderd
                from read_csv('{full}/contracten.csv', delim = ';', header = true, all_varchar = true)
                where hash(contract_id, '{delivery.name}') % 1000000 < {round(share * 1_000_000)}
                order by contract_id
            ) to '{path}' (header, delimiter ';')
        """).fetchone()
    content = path.read_bytes()
    file = {"extract": "contracten", "path": path.name, "format": "csv", "rows": rows}
    file["sha256"] = hashlib.sha256(content).hexdigest()
    manifest = told | {"delivery_id": delivery.name, "extracted_at": at.isoformat(), "kind": "delta", "files": [file]}
    (delivery / "manifest.json").write_text(json.dumps(manifest))
    return delivery


def size_mb(directory: Path) -> float:
    """Of all files below a folder."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


@click.command(context_settings={"show_default": True})
@click.option("--contracts", default=400_000, type=click.IntRange(min=1), help="Contracts in the registry.")
@click.option("--seed", default=2016, type=click.IntRange(min=0), help="Seed of the simulated registry.")
@click.option("--share", default=0.01, type=click.FloatRange(0, 1), help="Share of them in the delta.")
@click.option("--nights", default=1, type=click.IntRange(min=1), help="Nights with such a delta, one after the other.")
@click.option("--check/--no-check", default=True, help="Compare with one night that takes everything.")
@click.option("--scratch", type=click.Path(path_type=Path, file_okay=False), help="A folder to keep everything in.")
def main(contracts: int, seed: int, share: float, nights: int, check: bool, scratch: Path | None) -> None:
    """Compare nights with a delta with the first load; fails where one night for all gives other marts."""
    with TemporaryDirectory(prefix="kbi-bench-") as temporary:
        _compare((scratch or Path(temporary)).absolute(), contracts, seed, share, nights, check)


def _compare(scratch: Path, contracts: int, seed: int, share: float, nights: int, check: bool) -> None:
    landing, data = scratch / "landing", scratch / "data"
    shutil.rmtree(data, ignore_errors=True)
    if not landing.exists():
        click.echo(f"Simulating {contracts:,} contracts …", err=True)
        simulate(landing, contracts, seed, UNTIL)
    full, *earlier_deltas = sorted(landing.iterdir())
    for delta in earlier_deltas:
        shutil.rmtree(delta)
    first = _night(landing, data, scratch)
    click.echo(f"first load    {first}   {size_mb(data):7.0f} MB")
    last = full
    for _ in range(nights):
        last = write_delta(full, last, share)
        delta = _night(landing, data, scratch)
        click.echo(f"delta night   {delta}   {size_mb(data):7.0f} MB")
        met = "met" if delta.cpu <= AIM_SHARE * first.cpu else "missed"
        ratios = f"wall {delta.wall / first.wall:7.1%}     CPU {delta.cpu / first.cpu:7.1%}"
        click.echo(f"share         {ratios}     aim {AIM_SHARE:.0%}: {met}")
    if check:
        again = scratch / "all-at-once"
        shutil.rmtree(again, ignore_errors=True)
        key = {"KBI_PSEUDONYM_KEY_FILE": str(data / "pseudonym.key")}
        click.echo(f"all at once   {_night(landing, again, scratch, **key)}")
        marts = {
            folder: [(folder / f"published/current/internal/parquet/{mart}.parquet").read_bytes() for mart in MARTS]
            for folder in (data, again)
        }
        if different := [mart for mart, *two in zip(MARTS, *marts.values(), strict=True) if two[0] != two[1]]:
            raise click.ClickException(f"One night for all deliveries gives other bytes in {', '.join(different)}")
        click.echo("marts         the same bytes in both")


def _night(landing: Path, data: Path, scratch: Path, **more: str) -> Cost:
    zones = {"KBI_LANDING": str(landing), "KBI_DATA": str(data), "DAGSTER_HOME": str(data / "dagster")}
    return measured([str(KBI), "night"], scratch / "night.log", **zones, **more)


if __name__ == "__main__":
    main()
