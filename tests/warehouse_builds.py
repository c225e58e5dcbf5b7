"""Builds the real dbt project on rows given by a test, without deliveries, validation or Dagster.

Here: what the night hands to dbt (docs/architecture.md, schema ``registry``), made from dicts, and one dbt run in this
process. Not here: any expectation about what comes out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import duckdb
import polars as pl
import pyarrow as pa
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.results import NodeStatus
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.revisions import SCHEMA as REVISIONS
from tests.deliveries import VALIDATED_AS

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"

_BOOLEANS = {"onderdeel_mo", "onderdeel_nt2", "onderdeel_lo", "individueel"}
_INTEGERS = {"score_praktisch", "score_waarden"}
_DECIMALS = {"lesuren", "aanwezige_uren", "boete_bedrag"}
_DATES = {"begin", "einde", "status_begin", "geboortedatum"}


def _type(column: str) -> pa.DataType:
    if column in _BOOLEANS:
        return pa.bool_()
    if column in _INTEGERS:
        return pa.int32()
    if column in _DECIMALS:
        return pa.decimal128(28, 10)
    is_date = column in _DATES or column.startswith("datum") or column.endswith("_datum")
    return pa.date32() if is_date else pa.string()


SCHEMAS: dict[str, pa.Schema] = {
    extract: pa.schema([*((name, _type(column)) for column, name in names.items()), ("delivered_in", pa.string())])
    for extract, names in VALIDATED_AS.items()
}
"""Extract -> columns of its validated rows."""


def write_registry(path: Path, tables: Tables, known_on: date) -> None:
    """Create the file to build anew, with schema ``registry``, as the night would after a delivery dated ``known_on``.

    ``tables``: extract -> rows under the names of ``SCHEMAS``; a column or an extract that is left out is empty.
    """
    path.unlink(missing_ok=True)
    delivery = known_on.isoformat()
    with duckdb.connect(path) as connection:
        connection.execute("create schema registry")
        for extract, schema in SCHEMAS.items():
            rows = [{"delivered_in": delivery} | row for row in tables.get(extract, ())]
            if unknown := {column for row in rows for column in row} - set(schema.names):
                raise KeyError(f"{extract} has no column {', '.join(sorted(unknown))}")
            connection.register("given", pa.Table.from_pylist(rows, schema))
            connection.execute(f'create table registry."{extract}" as from given')
            connection.unregister("given")
        connection.execute(
            "create table registry.deliveries as select $id as delivery_id, $at::timestamptz as extracted_at,"
            " 'full' as kind, true as synthetic, $at::timestamptz as taken_at, 'taken' as status,"
            " null::varchar as refusal_code, null::varchar as refusal_detail",
            {"id": delivery, "at": f"{delivery} 20:00:00+00:00"},
        )
        connection.execute(
            "create table registry.reconciliation(delivery_id varchar, extract varchar, n_delivered bigint,"
            " n_accepted bigint, n_quarantined bigint, n_duplicates bigint)"
        )
        for extract in SCHEMAS:
            connection.execute(
                "insert into registry.reconciliation select $id, $extract, count(*), count(*), 0, 0"
                f' from registry."{extract}"',
                {"id": delivery, "extract": extract},
            )
        connection.execute(
            "create table registry.quarantined_rows(delivery_id varchar, extract varchar, line_number bigint,"
            " rule_codes varchar[], row json, released_by varchar)"
        )
        connection.register("none_revised", pl.DataFrame(schema=REVISIONS).to_arrow())
        connection.execute("create table registry.revisions as from none_revised")
        connection.execute(
            "create table registry.knowledge as select $known_on::date as known_on, $id as last_delivery_id,"
            " true as synthetic",
            {"id": delivery, "known_on": known_on},
        )


def build_warehouse(directory: Path, tables: Tables, known_on: date, project: Path = DBT_PROJECT) -> Path:
    """Build every seed, model and data test of the dbt project on these rows.

    ``directory`` is created if it is not there; see ``write_registry`` for the rest.

    Returns:
        The DuckDB file, closed.

    Raises:
        AssertionError: a node failed; names each with dbt's message.
    """
    directory.mkdir(parents=True, exist_ok=True)
    warehouse = directory / "warehouse.duckdb"
    write_registry(warehouse, tables, known_on)
    run_dbt(warehouse, ["build", "--exclude-resource-type", "unit_test"], project, parsed(project))
    return warehouse


def run_dbt(warehouse: Path, command: Sequence[str], project: Path, manifest: Manifest | None = None) -> Any:
    """Run a dbt command on a warehouse file; with ``manifest``, without parsing the project again.

    Returns:
        What dbt returns for that command.

    Raises:
        AssertionError: dbt or a node failed; names each with dbt's message.
    """
    scratch = str(warehouse.parent / "dbt")
    paths = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", scratch]
    settings = {"KBI_DBT_WAREHOUSE": str(warehouse), "KBI_DBT_SPILL": str(warehouse.parent / "spill")}
    with mock.patch.dict(os.environ, settings):
        outcome = dbtRunner(manifest).invoke(
            ["--quiet", "--log-level-file", "none", *command, *paths, "--log-path", scratch]
        )
    # The adapter keeps its last file open, which then nobody could open to read only.
    DuckDBConnectionManager.close_all_connections()
    if outcome.exception:
        raise AssertionError(f"dbt {command[0]} failed: {outcome.exception}") from outcome.exception
    failures = [
        f"{node.node.name}: {node.message}"
        for node in getattr(outcome.result, "results", ())
        if node.status in (NodeStatus.Error, NodeStatus.Fail, NodeStatus.RuntimeErr, NodeStatus.Skipped)
    ]
    assert not failures, "\n".join(failures)
    return outcome.result


@cache
def parsed(project: Path = DBT_PROJECT) -> Manifest:
    """The parsed project. No data is in it, so that one parse serves every build of this process."""
    with TemporaryDirectory() as scratch:
        return run_dbt(Path(scratch) / "warehouse.duckdb", ["parse"], project)
