"""What the UI shows before anything has run: assets, groups, what depends on what, checks, descriptions."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from orchestration.marts import MARTS
from schemas import DOSSIERS, EXTRACTS, RULES
from tests.deliveries import COLUMNS

SNAPSHOT = Path(__file__).with_name("asset_graph.json")
GROUPS = ["landing", "validated", "staging", "intermediate", "facts", "marts", "published"]


@pytest.fixture
def graph(definitions: dg.Definitions) -> dg.AssetGraph:
    return definitions.resolve_asset_graph()


def test_they_load_as_dagster_loads_them(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert {job.name for job in definitions.resolve_all_job_defs()} >= {"night"}
    assert definitions.resolve_job_def("night").executor_def is dg.in_process_executor


def test_the_graph_is_as_it_was(graph: dg.AssetGraph) -> None:
    """Change it knowingly: after a change, write what is asserted here to the file and read the difference."""
    seen = {
        key.to_user_string(): {
            "group": node.group_name,
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
        }
        for key, node in sorted((node.key, node) for node in graph.asset_nodes)
    }
    assert seen == json.loads(SNAPSHOT.read_text())


def test_every_extract_has_its_zones(graph: dg.AssetGraph) -> None:
    keys = {node.key.to_user_string() for node in graph.asset_nodes if node.partitions_def}
    delivered = [*COLUMNS, "dossiers"]
    assert keys == {f"{zone}/{extract}" for zone in ("landing", "quarantine") for extract in delivered} | {
        f"validated/{extract}" for extract in COLUMNS
    }
    assert {node.partitions_def.name for node in graph.asset_nodes if node.partitions_def} == {"deliveries"}


def test_groups_read_from_left_to_right(graph: dg.AssetGraph) -> None:
    against = [
        (parent.to_user_string(), node.key.to_user_string())
        for node in graph.asset_nodes
        for parent in node.parent_keys
        if node.group_name in GROUPS and graph.get(parent).group_name in GROUPS
        if GROUPS.index(graph.get(parent).group_name) > GROUPS.index(node.group_name)
    ]
    assert against == []


def test_every_asset_says_what_it_is_and_whose(graph: dg.AssetGraph) -> None:
    for node in graph.asset_nodes:
        assert node.description, node.key
        assert node.owners, node.key
        assert node.kinds, node.key


def test_columns_and_where_they_come_from(graph: dg.AssetGraph) -> None:
    node = graph.get(dg.AssetKey(["marts", "mart_q1_pass_rate"]))
    columns = {column.name: column for column in node.metadata["dagster/column_schema"].columns}
    assert columns["n_passed"].type and columns["n_passed"].description
    lineage = node.metadata["dagster/column_lineage"].deps_by_column
    assert {dep.asset_key.to_user_string() for dep in lineage["known_on"]} == {"registry/knowledge"}
    assert all(graph.has(dep.asset_key) for deps in lineage.values() for dep in deps)
    staged = graph.get(dg.AssetKey(["staging", "stg_registry__contracts"])).metadata["dagster/column_lineage"]
    (signed,) = staged.deps_by_column["signed_on"]
    assert (signed.asset_key.path, signed.column_name) == (["validated", "contracten"], "datum_registratie")


def test_marts_have_a_freshness_policy(graph: dg.AssetGraph) -> None:
    for mart in MARTS:
        assert graph.get(dg.AssetKey(["marts", mart])).freshness_policy_or_from_metadata is not None


def test_every_rule_is_a_check_wherever_it_can_be_broken(graph: dg.AssetGraph) -> None:
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    for extract in EXTRACTS:
        assert {(f"validated/{extract}", code) for code in ("required_missing", "rows_add_up")} <= checks
    assert ("quarantine/dossiers", "dossier_invalid") in checks
    assert ("validated/insz_wijzigingen", "alias_cycle") in checks
    assert ("validated/personen", "alias_cycle") not in checks
    named = {name for asset, name in checks if asset.startswith(("validated/", "quarantine/"))}
    assert named == {*RULES, "rows_add_up"}
    assert DOSSIERS.name not in EXTRACTS


def test_every_data_test_is_a_check(definitions: dg.Definitions, folder) -> None:
    manifest = json.loads((folder.data / "dbt" / "project" / "manifest.json").read_bytes())
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    checks = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    assert tests - checks == set()


def test_every_check_says_what_it_checks(graph: dg.AssetGraph) -> None:
    said = {key: graph.get_check_spec(key).description for key in graph.asset_check_keys}
    assert [key for key, description in said.items() if not description] == []
    agree = dg.AssetCheckKey(dg.AssetKey(["marts", "mart_q1_pass_rate"]), "marts_agree_with_each_other")
    assert said[agree].startswith("Outcomes add up to the population")
    outcome = next(key for key in said if key.name.startswith("relationships_"))
    assert said[outcome] == "Every outcome occurs in outcomes.outcome."
    grain = next(key for key in said if key.name.startswith("unique_grain_mart_q1"))
    assert said[grain] == "No two rows have the same as_of_date, counting_unit, component."


def test_the_schedule(definitions: dg.Definitions) -> None:
    (schedule,) = definitions.schedules
    assert (schedule.name, schedule.cron_schedule, schedule.execution_timezone) == (
        "nightly",
        "30 3 * * *",
        "Europe/Brussels",
    )
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
