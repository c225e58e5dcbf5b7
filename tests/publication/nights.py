"""A data folder as the night has it just before it publishes: a warehouse that dbt built, and its ledger.

Here: one build per process, of random registries, copied for whoever changes it. Not here: Dagster or any delivery.
"""

from __future__ import annotations

import atexit
import shutil
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import duckdb

from orchestration.answer import record_definitions
from orchestration.ledger import Entry, Ledger
from orchestration.settings import Settings
from tests.reference.registries import packed, random_registry
from tests.reference.rules import Registry
from tests.warehouse_builds import build_warehouse

KNOWN_ON = date(2018, 3, 15)
TABLES = packed(random_registry(seed, KNOWN_ON) for seed in range(60))


@cache
def reference() -> Registry:
    """What the reference makes of the same rows."""
    return Registry(TABLES)


@cache
def built() -> Path:
    """The warehouse file, with the definitions of its marts. Not to be changed."""
    directory = Path(mkdtemp(prefix="kbi-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    warehouse = build_warehouse(directory / "build", TABLES, KNOWN_ON)
    with duckdb.connect(warehouse) as connection:
        record_definitions(connection, warehouse.parent / "dbt")
    return warehouse


def data_folder(directory: Path) -> Settings:
    """A data folder of its own, on a copy of that warehouse."""
    settings = Settings(data=directory, landing=directory / "nothing")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(built(), settings.warehouse)
    Ledger(settings.ledger).record(taken(KNOWN_ON))
    return settings


def taken(day: date, **changes: object) -> Entry:
    """The ledger's entry of a delivery of that day."""
    at = datetime(day.year, day.month, day.day, 20, tzinfo=UTC)
    entry = Entry(
        delivery_id=day.isoformat(),
        status="taken",
        extracted_at=at,
        kind="full",
        synthetic=True,
        taken_at=at,
        fingerprint="0" * 64,
    )
    return entry.model_copy(update=changes)
