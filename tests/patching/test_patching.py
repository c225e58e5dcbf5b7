"""A warehouse brought up to date for the touched persons alone is the one that is built whole.

Hundreds of small registries, full of edges, through several deliveries: rows come late, change, go, numbers are
replaced, days pass. After each the patched warehouse holds the same rows, in every table, as one built whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from orchestration import dbt_runner, patching, warehouse
from orchestration.history import ENDED_IN, ROW_NUMBER, ended_file, versions_file
from orchestration.ledger import Entry, Ledger, RowAccount
from orchestration.settings import Settings
from schemas import EXTRACTS
from tests.reference.registries import Rows, packed, random_registry
from tests.warehouse_builds import SCHEMAS

LAST = date(2017, 1, 31)
Row = dict[str, Any]


@dataclass
class Archive:
    """Deliveries as the validated zone and the ledger hold them, written without validation."""

    settings: Settings
    taken: list[str] = field(default_factory=list)
    known: dict[str, dict[str, tuple[str, int]]] = field(default_factory=lambda: {name: {} for name in EXTRACTS})

    def take(self, day: date, rows: Rows) -> None:
        """The registry as it is from a delivery of this day on."""
        delivery_id = f"{len(self.taken)}-{day}"
        directory = self.settings.validated / delivery_id
        for name in EXTRACTS:
            self._take_extract(directory, name, delivery_id, rows[name])
        entry = Entry(
            delivery_id=delivery_id,
            status="taken",
            extracted_at=datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12),
            kind="full",
            synthetic=True,
            taken_at=datetime(2018, 1, 1, tzinfo=UTC),
            fingerprint=delivery_id,
            reconciliation=tuple(
                RowAccount(extract=name, n_delivered=n, n_accepted=n, n_quarantined=0, n_duplicates=0)
                for name, n in ((name, len(rows[name])) for name in EXTRACTS)
            ),
        )
        Ledger(self.settings.ledger).record(entry)
        self.taken.append(delivery_id)

    def _take_extract(self, directory: Path, name: str, delivery_id: str, rows: Sequence[Row]) -> None:
        """Rows that are known already go on; what is new begins, what is not there any more ends."""
        now = {repr(sorted(row.items())): row for row in rows}
        new = [text for text in now if text not in self.known[name]]
        gone = [text for text in self.known[name] if text not in now]
        if new or not self.taken:
            path = versions_file(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            brought = [now[text] | {"delivered_in": delivery_id} for text in new]
            pl.from_arrow(pa.Table.from_pylist(brought, SCHEMAS[name])).write_parquet(path)
        if gone:
            path = ended_file(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            ended = [self.known[name].pop(text) for text in gone]
            columns = {"delivered_in": [d for d, _ in ended], ROW_NUMBER: [n for _, n in ended]}
            types = {"delivered_in": pl.String, ROW_NUMBER: pl.Int64, ENDED_IN: pl.String}
            pl.DataFrame(columns | {ENDED_IN: [delivery_id] * len(ended)}, schema=types).write_parquet(path)
        self.known[name] |= {text: (delivery_id, n) for n, text in enumerate(new)}


def history(seed: int, n_deliveries: int, last: date) -> Iterator[Rows]:
    """One registry, as it is after each delivery: what is known at the end came, changed or went on the way."""
    rows = random_registry(seed, last)
    random = Random(f"history {seed}")
    # Some stand still, so that most of the warehouse is of people who are not touched.
    is_quiet = random.random() < 0.5
    appears = {id(row): 0 if random.random() < 0.7 else random.randrange(n_deliveries) for row in _every(rows)}
    for n in range(n_deliveries):
        state: Rows = {name: [] for name in rows}
        for name, every in rows.items():
            for row in every:
                if is_quiet or (appears[id(row)] <= n and random.random() > 0.05):
                    state[name].append(row if is_quiet or random.random() < 0.9 else _changed(random, name, row, rows))
        yield state


def _every(rows: Rows) -> Iterator[Row]:
    for every in rows.values():
        yield from every


def _changed(random: Random, name: str, row: Row, rows: Rows) -> Row:
    """Another version of a row: another value in one column, but never under another key."""
    columns = [column for column in row if column not in EXTRACTS[name].key and not column.endswith("person_key")]
    if name in ("trajecten", "attesten", "contracten", "afgelegde_testen") and random.random() < 0.3:
        # It is somebody else's now.
        others = [person["person_key"] for person in rows["personen"]]
        return row | {"person_key": random.choice(others or [row["person_key"]])}
    column = random.choice(columns) if columns else None
    return row | {column: random.choice([other[column] for other in rows[name]])} if column else row


def ending_on(days: Sequence[date]) -> Rows:
    """Persons of whom nothing comes again, and whose suspension ends on one of these days: the next one tells."""
    rows: Rows = {name: [] for name in EXTRACTS}
    flags = {"onderdeel_mo": True, "onderdeel_nt2": True, "onderdeel_lo": False}
    for n, day in enumerate(days):
        contract = {"contract_id": f"still-{n}", "person_key": f"still-{n}p", "datum_registratie": date(2015, 3, 10)}
        rows["contracten"].append(_whole("contracten", contract | flags))
        suspension = {"contract_id": f"still-{n}", "begin": date(2015, 6, 1), "einde": day}
        rows["opschortingen"].append(_whole("opschortingen", suspension))
    return rows


def _whole(name: str, row: Row) -> Row:
    return {column: row.get(column) for column in SCHEMAS[name].names if column != "delivered_in"}


def rows_of(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Count and checksum of the rows of every table that a build makes, but those that tell when it was."""
    with duckdb.connect(str(file), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                f'select count(*), sum(hash(rows)::hugeint) from "{schema}"."{table}" as rows'
            ).fetchone()
            for schema, table in tables
            if schema != "registry"
        }


def built_whole(settings: Settings) -> None:
    project = dbt_runner.compiled_project(settings)
    warehouse.prepare(settings)
    broken = [result for result in dbt_runner.build(settings) if result.is_broken]
    assert not broken, broken
    warehouse.commit(settings, project.directory)


def patched(settings: Settings) -> None:
    project = dbt_runner.compiled_project(settings)
    with mock.patch.object(patching, "MAX_SHARE", 1), patching.attempt(settings, project.manifest) as patch:
        assert patch is not None
        results = patch.results([])
    assert not [result for result in results if result.is_broken]
    assert {result.unique_id for result in results} >= set(_built_nodes(project.manifest))
    warehouse.commit(settings, project.directory)


def _built_nodes(manifest: Any) -> list[str]:
    return [id for id, node in manifest["nodes"].items() if node["resource_type"] in ("model", "seed", "test")]


def differing(settings: Settings, whole: Settings) -> list[str]:
    ours, theirs = rows_of(settings.warehouse), rows_of(whole.warehouse)
    assert ours.keys() == theirs.keys() and len(ours) > 40
    return [table for table in ours if ours[table] != theirs[table]]


def follows(directory: Path, first: int, number: int, days: Sequence[date], *, only_at_the_end: bool = False) -> None:
    """Assert that for these registries every patched warehouse, or the last one, is the one built whole."""
    settings = Settings(landing=directory / "landing", data=directory / "data")
    whole = Settings(landing=directory / "landing", data=directory / "whole")
    archive = Archive(settings)
    histories = [list(history(seed, len(days), days[-1])) for seed in range(first, first + number)]
    for n, day in enumerate(days):
        archive.take(day, packed([ending_on(days), *(registry[n] for registry in histories)]))
        if n == 0:
            built_whole(settings)
            whole.data.mkdir()
            (whole.data / "dbt").symlink_to(settings.data / "dbt")
            (whole.data / "validated").symlink_to(settings.validated)
            (whole.data / "ledger").symlink_to(settings.ledger)
            continue
        patched(settings)
        if only_at_the_end and n < len(days) - 1:
            continue
        built_whole(whole)
        assert differing(settings, whole) == [], f"after delivery {n} of {first}"


def test_patched_is_as_built_whole(tmp_path: Path) -> None:
    follows(tmp_path, 50_000, 150, [LAST - timedelta(days=20), LAST - timedelta(days=1), LAST], only_at_the_end=True)


@pytest.mark.slow
@pytest.mark.parametrize("n", range(12))
def test_patched_is_as_built_whole_whenever(tmp_path: Path, n: int) -> None:
    random = Random(n)
    last = random.choice([date(2016, 2, 29), date(2016, 3, 31), LAST, date(2020, 12, 31), date(2023, 9, 1)])
    back = sorted(random.sample([0, 0, 1, 1, 2, 30, 31, 365, 800], 4), reverse=True)
    follows(tmp_path, 60_000 + 1000 * n, 300, [last - timedelta(days=days) for days in back])
