"""One plain DuckDB script from a delivery's CSV files to the marts, for comparison with the night.

Here: the script, made from the compiled dbt project, so that both compute the same. It does what nobody should do with
a registry: no row is validated, nothing is kept, numbers are hashed without a key. Not here: running and timing it
(``night_against_plain_sql.py``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ManifestNode

from orchestration.marts import MARTS
from orchestration.revisions import SCHEMA as REVISIONS
from tests.deliveries import COLUMNS, VALIDATED_AS
from tests.warehouse_builds import DBT_PROJECT, SCHEMAS, parsed, run_dbt, write_registry

_TYPES = {pa.bool_(): "boolean", pa.int32(): "integer", pa.date32(): "date", pa.string(): "varchar"}
_REVISION_TYPES = {pl.Int32(): "integer", pl.Int64(): "bigint", pl.Date(): "date", pl.String(): "varchar"}
_STEPS = ("staging", "intermediate", "facts", "marts")


def plain_script(delivery: Path, known_on: date, out: Path) -> str:
    """SQL that reads the CSV files of a full delivery and writes ``out/<mart>.parquet``, ordered by grain.

    ``known_on``: date of the delivery. The script is run in a fresh in-memory database.
    """
    return ";\n\n".join([*_statements(delivery, known_on, out), ""])


def _statements(delivery: Path, known_on: date, out: Path) -> Iterator[str]:
    # The compiled models name the catalog of the night's file.
    yield "attach ':memory:' as warehouse"
    yield "use warehouse"
    manifest = _compiled()
    for schema in ("registry", "seeds", *_STEPS):
        yield f"create schema {schema}"
    for extract in COLUMNS:
        yield _read(extract, delivery / f"{extract}.csv")
    yield f"create table registry.knowledge as select date '{known_on}' as known_on"
    # One delivery revises nothing.
    columns = ", ".join(f"{name} {_REVISION_TYPES[kind]}" for name, kind in REVISIONS.items())
    yield f"create table registry.revisions ({columns})"
    for node in _in_order(manifest):
        if node.resource_type == "seed":
            columns = json.dumps(node.config.column_types).replace('"', "'")
            source = DBT_PROJECT / node.original_file_path
            yield (
                f"create table seeds.{node.name} as"
                f" select * from read_csv('{source}', header = true, columns = {columns})"
            )
        else:
            kind = "view" if node.config.materialized == "view" else "table"
            yield f"create {kind} {node.schema}.{node.name} as\n{node.compiled_code.strip()}"
    for mart, grain in MARTS.items():
        yield f"copy (from marts.{mart} order by {', '.join(grain)}) to '{out / mart}.parquet'"


def _read(extract: str, path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        delivered = next(csv.reader(file, delimiter=";"))
    # The same types as validated rows have, under the delivered names.
    names = VALIDATED_AS[extract]
    types = {column: _sql_type(SCHEMAS[extract].field(name)) for column, name in names.items()}
    columns = json.dumps({column: types.get(column, "varchar") for column in delivered}).replace('"', "'")
    expressions = ", ".join(f"{_expression(column, name)} as {name}" for column, name in names.items())
    return (
        f"create table registry.{extract} as select {expressions} from read_csv("
        f"'{path}', header = true, delim = ';', quote = '\"', escape = '\"', auto_detect = false, columns = {columns})"
    )


def _expression(column: str, name: str) -> str:
    if name != column:
        return f"md5({column})"
    return f"nullif({column}, date '9999-12-31')" if column == "einde" else column


def _sql_type(field: pa.Field) -> str:
    return _TYPES.get(field.type, "decimal(28, 10)")


def _compiled() -> Manifest:
    """The project with compiled SQL: dbt compiles it against a file that holds an empty registry."""
    manifest = parsed()
    with TemporaryDirectory() as scratch:
        warehouse = Path(scratch) / "warehouse.duckdb"
        write_registry(warehouse, {}, date(2020, 1, 1))
        run_dbt(warehouse, ["compile"], DBT_PROJECT, manifest)
    return manifest


def _in_order(manifest: Manifest) -> Iterator[ManifestNode]:
    """Models, and the seeds they read, parents first."""
    models = [node for node in manifest.nodes.values() if node.resource_type == "model" and node.schema in _STEPS]
    graph = {
        model.unique_id: [parent for parent in model.depends_on_nodes if parent in manifest.nodes] for model in models
    }
    return (manifest.nodes[unique_id] for unique_id in TopologicalSorter(graph).static_order())
