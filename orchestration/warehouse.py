"""The warehouse file: what dbt is given to build from, and the rename that puts a new one in place.

Here: the build file with its schema `registry` (docs/architecture.md), dbt's environment, and when a build is due. Not
here: running dbt (``dbt_assets.py``), any model (``dbt_project/``), publishing (``publication.py``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from orchestration.answer import record_definitions
from orchestration.history import history_query, state_query
from orchestration.ledger import Entry, Ledger
from orchestration.publication import code_version
from orchestration.quarantine import quarantine_query
from orchestration.revisions import SCHEMA as REVISIONS
from orchestration.settings import Settings
from schemas import EXTRACTS

MAX_PATCHED = 30
"""Builds that may go on from one another before a whole one, which also gives back the room of rows taken out."""


class NothingTaken(Exception):
    """There is no state to build from: no delivery was taken yet."""


def build_file(settings: Settings) -> Path:
    """The file that dbt builds. Views remember their catalog by the file's stem, so it is that of the warehouse."""
    return settings.work / "build" / settings.warehouse.name


def needs_build(settings: Settings, known_on: date | None = None) -> bool:
    """Whether the warehouse differs from what the ledger and the code would give now.

    ``known_on``: from the deliveries dated up to this day alone.
    """
    ledger = Ledger(settings.ledger)
    if not ledger.taken(known_on):
        return False
    if settings.build_due.exists() or not settings.warehouse.exists():
        return True
    return _recorded_stamp(settings.warehouse) != _stamp(ledger.entries(known_on))


@dataclass(frozen=True)
class Base:
    """The warehouse in place, as something to go on from.

    ``taken``: all deliveries, in order; of these it was built from the first ``n_built``. ``n_patched``: how many
    builds have gone on from one another since it was last built whole.
    """

    taken: Sequence[Entry]
    n_built: int
    n_patched: int

    @property
    def was_known_on(self) -> date:
        """The date of the last delivery it was built from."""
        return self.taken[self.n_built - 1].date


def base(settings: Settings) -> Base | None:
    """What the warehouse in place was built from, if the deliveries taken now go on from there, by the same code."""
    taken = Ledger(settings.ledger).taken()
    if settings.build_due.exists() or not settings.warehouse.exists():
        return None
    try:
        with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
            (code, built_from, n_patched) = connection.execute(
                "select code_version, built_from, n_patched from registry.build"
            ).fetchone()
    except duckdb.Error:
        return None  # an older layout, or a damaged file
    is_continued = bool(built_from) and built_from == [_identity(entry) for entry in taken[: len(built_from)]]
    if not is_continued or code != code_version() or n_patched >= MAX_PATCHED:
        return None
    return Base(taken, len(built_from), n_patched)


def prepare(
    settings: Settings,
    revised: Sequence[Path] = (),
    *,
    keep: bool = False,
    on: Base | None = None,
    known_on: date | None = None,
) -> Path:
    """Make the build file with schema `registry` and return it.

    ``revised``: files of ``revisions.update``, for the same deliveries.
    ``keep``: begin with a copy of the present warehouse, for building only some of its models again.
    ``on``: begin with that copy too, to bring all of it up to date.
    ``known_on``: as if no delivery dated after this day existed.

    Raises:
        NothingTaken: there is no taken delivery.
    """
    entries = Ledger(settings.ledger).entries(known_on)
    taken = [entry for entry in entries if entry.status == "taken"]
    if not taken:
        raise NothingTaken(
            f"No delivery was taken yet. Put one into {settings.landing} and run `kbi night`, or materialize the "
            "landing assets first."
        )
    # Of some models alone no warehouse comes up to date, nor one to go on from.
    is_current = not (keep and needs_build(settings))
    path = build_file(settings)
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir(parents=True, mode=0o700)
    if (keep or on) and settings.warehouse.exists():
        shutil.copyfile(settings.warehouse, path)
    else:
        duckdb.connect(str(path)).close()
    path.chmod(0o600)  # rows about persons, if under pseudonyms
    with duckdb.connect(str(path)) as connection:
        # Whoever builds folds this in with the rest: of a copied warehouse it takes seconds, however little is new.
        connection.execute("pragma disable_checkpoint_on_shutdown")
        connection.execute("create schema if not exists registry")
        connection.execute("create schema if not exists history")
        directories = [settings.validated / entry.delivery_id for entry in taken]
        for name in EXTRACTS:
            connection.execute(f"create or replace view registry.{name} as {state_query(directories, name)}")
            connection.execute(f"create or replace view history.{name} as {history_query(directories, name)}")
        _tell_deliveries(connection, entries)
        _tell_accounts(connection, taken)
        rows = quarantine_query(settings.quarantine, [entry.delivery_id for entry in taken])
        connection.execute(f"create or replace view registry.quarantined_rows as {rows}")
        connection.execute(
            "create or replace table registry.knowledge as "
            "select ?::date as known_on, ?::varchar as last_delivery_id, ?::boolean as synthetic",
            [taken[-1].date, taken[-1].delivery_id, taken[-1].synthetic],
        )
        _tell_revisions(connection, revised)
        connection.execute(
            "create or replace table registry.build as select ?::varchar as stamp, ?::varchar as code_version, "
            "?::varchar[] as built_from, ?::integer as n_patched",
            [
                _stamp(entries) if is_current else None,
                code_version(),
                [_identity(entry) for entry in taken] if is_current else [],
                on.n_patched + 1 if on else 0,
            ],
        )
    return path


def dbt_environment(settings: Settings) -> dict[str, str]:
    """What dbt_project/profiles.yml reads."""
    spill = settings.work / "spill"
    spill.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "KBI_DBT_WAREHOUSE": str(build_file(settings)),
        "KBI_DBT_MEMORY": settings.memory_limit,
        "KBI_DBT_SPILL": str(spill),
    }


def commit(settings: Settings, target: Path) -> None:
    """Put the built file in place of the warehouse, at once and whole. Its readers keep the file they have open.

    Args:
        target: dbt's target directory, whose manifest holds the compiled models.
    """
    path = build_file(settings)
    with duckdb.connect(str(path)) as connection:
        record_definitions(connection, target)
        connection.execute("checkpoint")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(settings.warehouse)
    settings.build_due.unlink(missing_ok=True)
    shutil.rmtree(path.parent, ignore_errors=True)


def _tell_deliveries(connection: duckdb.DuckDBPyConnection, entries: list[Entry]) -> None:
    connection.execute(
        "create or replace table registry.deliveries (delivery_id varchar, extracted_at timestamptz, kind varchar, "
        "synthetic boolean, taken_at timestamptz, status varchar, refusal_code varchar, refusal_detail varchar)"
    )
    rows = []
    for entry in entries:
        code, detail = entry.refusal or (None, None)
        latest = "refused" if code else "taken"
        told = [entry.delivery_id, entry.extracted_at, entry.kind, entry.synthetic, entry.taken_at]
        rows.append([*told, latest, code, detail])
    connection.executemany("insert into registry.deliveries values (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _tell_accounts(connection: duckdb.DuckDBPyConnection, taken: list[Entry]) -> None:
    connection.execute(
        "create or replace table registry.reconciliation (delivery_id varchar, extract varchar, n_delivered bigint, "
        "n_accepted bigint, n_quarantined bigint, n_duplicates bigint)"
    )
    rows = [
        [entry.delivery_id, a.extract, a.n_delivered, a.n_accepted, a.n_quarantined, a.n_duplicates]
        for entry in taken
        for a in entry.reconciliation
    ]
    connection.executemany("insert into registry.reconciliation values (?, ?, ?, ?, ?, ?)", rows)


def _tell_revisions(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    revisions = pl.concat([pl.DataFrame(schema=REVISIONS), *map(pl.read_parquet, files)])
    connection.register("revised", revisions.to_arrow())
    connection.execute("create or replace table registry.revisions as from revised")
    connection.unregister("revised")


def _stamp(entries: list[Entry]) -> str:
    """Identity of all that a build depends on: what was taken and refused, and the code."""
    told = "\n".join(entry.model_dump_json(exclude={"signature"}) for entry in entries)
    return hashlib.sha256(f"{code_version()}\n{told}".encode()).hexdigest()


def _identity(entry: Entry) -> str:
    """Of what a delivery brought: the same bytes taken again may lie in other places, but then a build is due."""
    return f"{entry.delivery_id} {entry.archived_fingerprint}"


def _recorded_stamp(warehouse: Path) -> str | None:
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            row = connection.execute("select stamp from registry.build").fetchone()
    except duckdb.Error:
        # An older layout, or a damaged file: build it anew.
        return None
    return row[0] if row else None
