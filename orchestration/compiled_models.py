"""Models of the dbt project, run without dbt: their compiled SQL over any tables that have the names it reads.

Here: which statements lead to a model, in order, and the seeds they read. It is how the same definitions are applied to
one day (``answer.py``) or to a few persons (``scope.py``), so that no rule is written twice. Not here: building the
warehouse (``dbt_runner.py``).

Compiled SQL names relations in full, ``"warehouse"."facts"."fct_certificate"``: the database it runs in must be
attached under the name ``warehouse``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from orchestration.settings import DBT_PROJECT
from orchestration.sql import quoted

CATALOG = "warehouse"


@dataclass(frozen=True)
class Model:
    """One model: where it stands, and the statement that makes it there."""

    name: str
    schema: str
    statement: str


def models_for(manifest: Mapping[str, Any], wanted: Collection[str], given: Collection[str] = ()) -> list[Model]:
    """The models that lead to the wanted ones, parents first; seeds and sources are not among them.

    Args:
        manifest: dbt's manifest of the compiled project.
        given: models that are there already: neither they nor what only they need is listed.
    """
    nodes = manifest["nodes"]
    ids = {node["name"]: id for id, node in nodes.items() if node["resource_type"] == "model"}
    ordered: dict[str, None] = {}

    def visit(id: str) -> None:
        node = nodes.get(id)
        if id in ordered or node is None or node["resource_type"] != "model" or node["name"] in given:
            return
        for parent in node["depends_on"]["nodes"]:
            visit(parent)
        ordered[id] = None

    for name in wanted:
        visit(ids[name])
    return [Model(nodes[id]["name"], nodes[id]["schema"], statement(nodes[id])) for id in ordered]


def statement(node: Mapping[str, Any]) -> str:
    """The statement that makes a model from its compiled SQL."""
    if not node.get("compiled_code"):
        raise ValueError(f"dbt's manifest holds no compiled SQL of {node['name']}: it is not of a compiled project")
    kind = "view" if is_view(node) else "table"
    return f"create {kind} {node['relation_name']} as\n{node['compiled_code']}"


def is_view(node: Mapping[str, Any]) -> bool:
    """Whether a node of dbt's manifest is kept as its query."""
    return node.get("config", {}).get("materialized") == "view"


def load_seeds(connection: duckdb.DuckDBPyConnection, manifest: Mapping[str, Any]) -> None:
    """Make every seed as a table of the catalog, with the types the project declares."""
    for node in manifest["nodes"].values():
        if node["resource_type"] != "seed":
            continue
        connection.execute(f'create schema if not exists {CATALOG}."{node["schema"]}"')
        types = ", ".join(f"'{column}': '{kind}'" for column, kind in node["config"]["column_types"].items())
        path = quoted(DBT_PROJECT / node["original_file_path"])
        connection.execute(
            f"create table {node['relation_name']} as from read_csv({path}, header = true, columns = {{{types}}})"
        )
