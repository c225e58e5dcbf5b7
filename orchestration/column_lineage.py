"""Which columns every column of the warehouse is made from, read off the compiled SQL.

Here: the whole project at once, without running any of it. Not here: what is shown of it (``dbt_assets.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import MappingSchema, exp, parse_one, to_table
from sqlglot.lineage import lineage

from schemas import EXTRACTS, validated_schema

DIALECT = "duckdb"

Lineage = Mapping[str, Mapping[str, list[tuple[str, str]]]]
"""Model's unique id → its column → (unique id, column) of the model, seed or source columns it is made from."""


def column_lineage(manifest: Mapping[str, Any], project: Path) -> Lineage:
    """Lineage of every column that a model declares.

    Args:
        manifest: dbt's manifest with compiled models.
        project: dbt's project folder, for the header lines of the seeds.
    """
    relations = {
        node["relation_name"]: node
        for node in [*manifest["nodes"].values(), *manifest["sources"].values()]
        if node["resource_type"] in ("model", "seed", "source")
    }
    schema = MappingSchema(dialect=DIALECT)
    for relation, node in relations.items():
        if columns := _columns(node, project):
            schema.add_table(relation, dict.fromkeys(columns, "unknown"), dialect=DIALECT, match_depth=False)
    ids = {_name(to_table(relation, dialect=DIALECT)): node["unique_id"] for relation, node in relations.items()}
    return {
        node["unique_id"]: _of_model(node, schema, ids)
        for node in relations.values()
        if node["resource_type"] == "model"
    }


def _columns(node: Mapping[str, Any], project: Path) -> list[str]:
    if node["resource_type"] == "seed":
        with (project / node["original_file_path"]).open(encoding="utf-8") as file:
            return file.readline().strip().split(",")
    if node["resource_type"] == "source" and node["name"] in EXTRACTS:
        return list(validated_schema(EXTRACTS[node["name"]]))
    return list(node["columns"])


def _of_model(
    node: Mapping[str, Any], schema: MappingSchema, ids: Mapping[str, str]
) -> dict[str, list[tuple[str, str]]]:
    query = parse_one(node["compiled_code"], dialect=DIALECT)
    # Only the leaves count here: copies of every query above them, trimmed to a column, are most of what this costs.
    roots = lineage(None, query, schema=schema, dialect=DIALECT, trim_selects=False, copy=False)
    made_from: dict[str, list[tuple[str, str]]] = {}
    for column in node["columns"]:
        origins = set()
        for leaf in roots[column].walk() if column in roots else ():
            table = leaf.expression.find(exp.Table)
            if not leaf.downstream and table is not None and _name(table) in ids:
                origins.add((ids[_name(table)], exp.to_column(leaf.name).name))
        made_from[column] = sorted(origins)
    return made_from


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}"
