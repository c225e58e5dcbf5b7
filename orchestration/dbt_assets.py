"""Assets made by dbt: every seed and model, with its data tests as asset checks.

Here: what Dagster shows of the dbt project, and the one step that builds it and puts the warehouse in place. Not here:
running dbt (``dbt_runner.py``), what a build is given (``warehouse.py``), any meaning (``dbt_project/``).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtProject, dbt_assets
from dagster_dbt.asset_utils import DAGSTER_DBT_UNIQUE_ID_METADATA_KEY as UNIQUE_ID
from pyarrow import parquet

from orchestration import dbt_runner, patching, publication, revisions, warehouse
from orchestration.assets import DATA_ENGINEERING, MART_FRESHNESS, NIGHT, REVISIONS_KEY
from orchestration.dbt_runner import NodeResult, Project
from orchestration.failures import told_to_people
from orchestration.ledger import Ledger
from orchestration.progress import reporter
from orchestration.settings import Settings

_SAID_BY_TEST = {
    "unique": "No two rows have the same {column_name}.",
    "not_null": "{column_name} is never empty.",
    "relationships": "Every {column_name} occurs in {to}.{field}.",
    "unique_grain": "No two rows have the same {columns}.",
    "same_row_count": "As many rows as {compare_to}: no join lost or multiplied one.",
    "whole_row_sets": "Every reporting date has all its {n_rows} rows.",
    "is_balanced": "Rows delivered = rows accepted + rows quarantined + exact duplicates.",
}
"""What the generic tests say of a model, with their arguments to fill in."""


class Translator(DagsterDbtTranslator):
    """The project as it stands, grouped so that the graph of groups reads from left to right, and told in words."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        super().__init__()
        nodes = manifest["nodes"]
        group = {node: nodes[node]["config"].get("group") for node in nodes}
        self._after_facts: set[str] = set()
        waiting = [node for node in nodes if group[node] == "facts"]
        while waiting:
            children = {child for child in manifest["child_map"][waiting.pop()] if group.get(child) == "intermediate"}
            waiting += children - self._after_facts
            self._after_facts |= children

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Group of a node: its dbt group; marts for what lies between facts and marts, staging for seeds."""
        if dbt_resource_props["unique_id"] in self._after_facts:
            return "marts"
        return super().get_group_name(dbt_resource_props) or "staging"

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The description alone: with the SQL behind it, as is the default, no list of assets can be read."""
        return dbt_resource_props["description"]

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """The check of a data test, described."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=_said_by(manifest["nodes"][unique_id]))


def _said_by(test: Mapping[str, Any]) -> str:
    """What a data test tests, in words: those in its file, or those of its kind."""
    if generic := test.get("test_metadata"):
        words = {
            name: ", ".join(value) if isinstance(value, list) else re.sub(r"ref\('(\w+)'\)", r"\1", str(value))
            for name, value in generic["kwargs"].items()
        }
        return _SAID_BY_TEST[generic["name"]].format(**words)
    comment = (line[2:].strip() for line in test["raw_code"].splitlines() if line.startswith("--"))
    said = " ".join(comment).removeprefix("What: ")
    return said[:1].upper() + said[1:]


def build_models(project: Project) -> dg.AssetsDefinition:
    """The assets definition of all seeds and models: one step, whose selection dbt builds."""
    translator = Translator(project.manifest)
    lineage = _lineage(project, translator)

    @dbt_assets(
        manifest=project.manifest, name="build", dagster_dbt_translator=translator, required_resource_keys={NIGHT}
    )
    def build(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        settings: Settings = context.resources.night
        with told_to_people(settings):
            if context.is_subset or warehouse.needs_build(settings) or publication.needs_publication(settings):
                yield from _build(context, settings, project, lineage)
            else:
                reporter(context.log)("The warehouse is up to date and published: nothing to build.")
                yield from _still_holding(context, project)

    return build.map_asset_specs(lambda spec: _described(spec, lineage))


def _build(
    context: dg.AssetExecutionContext,
    settings: Settings,
    project: Project,
    lineage: Mapping[dg.AssetKey, dg.TableColumnLineage],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Build aside, check, and only then put the warehouse in place: a failure leaves it as it was."""
    specs = context.assets_def.specs_by_key
    assets = {specs[key].metadata[UNIQUE_ID]: key for key in context.selected_asset_keys}
    checks = {
        context.assets_def.get_spec_for_check_key(key).metadata[UNIQUE_ID]: key
        for key in context.selected_asset_check_keys
    }
    report = reporter(context.log)
    with ExitStack() as stack:
        attempted = None if context.is_subset else stack.enter_context(patching.attempt(settings, project.manifest))
        taken = Ledger(settings.ledger).taken()
        revised = revisions.update(settings, project.manifest, taken, report, attempted and attempted.scope)
        if attempted:
            report(f"made anew for {attempted.n_touched:,} of {attempted.n_known:,} numbers of persons")
            results = attempted.results(revised)
        else:
            warehouse.prepare(settings, revised, keep=context.is_subset)
            selection = _selection(project, {*assets, *checks}) if context.is_subset else None
            results = dbt_runner.build(settings, selection, report)
    broken = [result for result in results if result.is_broken]
    if not broken:
        rows = _row_counts(settings)
        warehouse.commit(settings, project.directory)
        if not context.is_subset:
            n_revisions = sum(parquet.read_metadata(file).num_rows for file in revised)
            context.log_event(dg.AssetMaterialization(REVISIONS_KEY, metadata={"dagster/row_count": n_revisions}))
        for result in results:
            if key := assets.get(result.unique_id):
                yield dg.MaterializeResult(key, metadata=_metadata(key, result, rows, lineage))
    for result in results:
        if (key := checks.get(result.unique_id)) and result.status != "skipped":
            yield _check_result(key, result)
    if broken:
        raise dg.Failure(_what_broke(broken), allow_retries=False)


def _still_holding(context: dg.AssetExecutionContext, project: Project) -> Iterator[dg.AssetCheckResult]:
    """What the warehouse in place passed when it was built: none that breaks a test of severity error gets there."""
    for key in context.selected_asset_check_keys:
        test = project.manifest["nodes"][context.assets_def.get_spec_for_check_key(key).metadata[UNIQUE_ID]]
        if test["config"]["severity"].lower() == "error":
            yield dg.AssetCheckResult(
                passed=True,
                asset_key=key.asset_key,
                check_name=key.name,
                description="Nothing was built: the warehouse in place passed this when it was.",
                metadata={"n_violations": 0},
            )


def _selection(project: Project, unique_ids: set[str]) -> list[str]:
    return sorted(".".join(project.manifest["nodes"][unique_id]["fqn"]) for unique_id in unique_ids)


def _row_counts(settings: Settings) -> dict[tuple[str, str], int]:
    """Rows per (schema, table) of the build file."""
    with duckdb.connect(str(warehouse.build_file(settings)), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        counts = [f'select count(*) from "{schema}"."{table}"' for schema, table in tables]
        rows = connection.execute(" union all ".join(counts)).fetchall()
    return {table: n for table, (n,) in zip(tables, rows, strict=True)}


def _metadata(
    key: dg.AssetKey,
    result: NodeResult,
    rows: Mapping[tuple[str, str], int],
    lineage: Mapping[dg.AssetKey, dg.TableColumnLineage],
) -> dict[str, Any]:
    n_rows = rows.get((key.path[0], key.path[-1]))
    return {
        "seconds": round(result.seconds, 3),
        **({} if n_rows is None else {"dagster/row_count": n_rows}),
        **({"dagster/column_lineage": lineage[key]} if key in lineage else {}),
    }


def _check_result(key: dg.AssetCheckKey, result: NodeResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=result.status == "pass",
        asset_key=key.asset_key,
        check_name=key.name,
        severity=dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={"n_violations": result.failures or 0, "seconds": round(result.seconds, 3)},
    )


def _what_broke(broken: list[NodeResult]) -> str:
    lines = ["The warehouse was not replaced and nothing was published, for this broke:", *map(str, broken)]
    return "\n".join(lines)


def _lineage(project: Project, translator: Translator) -> dict[dg.AssetKey, dg.TableColumnLineage]:
    nodes = {**project.manifest["nodes"], **project.manifest["sources"]}
    return {
        translator.get_asset_key(nodes[model]): dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(translator.get_asset_key(nodes[node]), name) for node, name in made_from]
                for column, made_from in columns.items()
            }
        )
        for model, columns in project.lineage.items()
    }


def _described(spec: dg.AssetSpec, lineage: Mapping[dg.AssetKey, dg.TableColumnLineage]) -> dg.AssetSpec:
    if spec.key in lineage:
        spec = spec.merge_attributes(metadata={"dagster/column_lineage": lineage[spec.key]})
    return spec.replace_attributes(
        owners=list(spec.owners) or [DATA_ENGINEERING],
        freshness_policy=MART_FRESHNESS if spec.key.path[0] == "marts" else None,
    )
