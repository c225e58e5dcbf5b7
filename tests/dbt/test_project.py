"""What the dbt project promises of itself: descriptions, model contracts, the columns of the definitions, no clock."""

import re
from pathlib import Path

import duckdb
import pytest

from tests.warehouse_builds import SCHEMAS, parsed

CONTRACTED = ("facts", "marts")

# The definitions' columns, grain first. More may follow.
_COUNTS = (
    "n_population n_required n_ended n_evaluated n_passed n_failed n_resitting n_dropped_out n_left_target_group "
    "n_changed_target_group n_suspended n_in_progress n_awaiting_result n_waiting n_exempt n_prior_level "
    "n_not_required n_undetermined pass_rate_evaluated pass_rate_ended pass_rate_required "
    "pass_rate_ended_in_target_group"
)
COLUMNS = {
    table: columns.split()
    for table, columns in {
        "marts.mart_q1_pass_rate": f"as_of_date counting_unit component {_COUNTS}",
        "marts.mart_q2_pass_rate_by_participation": "as_of_date counting_unit component participation_type "
        f"{_COUNTS} pass_rate_evaluated_gap pass_rate_ended_gap",
        "marts.mart_q3_certificates": "as_of_date counting_unit participation_type n_population n_certified "
        "n_certificates n_evc n_effort_statements n_certificates_any_regime",
        "marts.mart_q4_completed_and_certified": "as_of_date counting_unit participation_type n_completed_evaluated "
        "n_certified_passed n_uncertified_passed n_uncertified_failed n_certified_failed certified_passed_rate "
        "uncertified_passed_rate uncertified_failed_rate certified_failed_rate certified_rate passed_rate",
        "marts.mart_q5_completed_not_certified": "as_of_date counting_unit participation_type n_completed_evaluated "
        "n_uncertified_failed uncertified_failed_rate n_failed_mo_only n_failed_nt2_only n_failed_both",
        "marts.mart_non_success_reasons": "as_of_date counting_unit component participation_type reason n "
        "n_non_success share",
        "marts.mart_outcome_cube": "as_of_date regime_code cohort_quarter component participation_type sex age_group "
        "nationality_group region agency_kbo outcome n_contracts",
        "facts.fct_trajectory": "contract_id person_key signed_on regime_code participation_type agency_kbo "
        "nis_gemeente mo_outcome nt2_outcome mo_started_on nt2_started_on mo_passed_on nt2_passed_on certified_on "
        "closed_on",
        "facts.fct_trajectory_component_status": "contract_id component outcome valid_from valid_to",
        "facts.fct_evaluation": "contract_id component attempt_no dated_on kind source source_id level",
        "quality.deliveries": "delivery_id extracted_at kind synthetic taken_at status refusal_code refusal_detail",
        "quality.reconciliation": "delivery_id extract n_delivered n_accepted n_quarantined n_duplicates",
        "quality.quarantined_rows": "delivery_id extract line_number rule_codes row released_by",
    }.items()
}
TABLES = ["facts.fct_certificate", "facts.fct_infringement", "quality.conflicting_evidence"] + [
    f"facts.dim_{name}" for name in ("person", "date", "municipality", "agency", "policy_regime")
]


@pytest.fixture(scope="session")
def built_columns(empty_warehouse: Path) -> dict[str, dict[str, str]]:
    """Schema-qualified table -> column -> type, in order, as they stand in the warehouse."""
    with duckdb.connect(empty_warehouse, read_only=True) as connection:
        rows = connection.execute(
            "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns"
            " order by table_schema, table_name, ordinal_position"
        ).fetchall()
    tables: dict[str, dict[str, str]] = {}
    for table, column, data_type in rows:
        tables.setdefault(table, {})[column] = data_type
    return tables


def models():
    return [node for node in parsed().nodes.values() if node.resource_type == "model"]


def seeds():
    return [node for node in parsed().nodes.values() if node.resource_type == "seed"]


def test_every_model_and_every_column_is_described(built_columns):
    missing = [
        f"{model.name}.{column}"
        for model in models()
        for column in built_columns[f"{model.schema}.{model.name}"]
        if column not in model.columns or not model.columns[column].description
    ]
    assert not missing
    assert not [model.name for model in models() if not model.description]


def test_no_column_is_described_that_is_not_there(built_columns):
    assert not [
        f"{model.name}.{column}"
        for model in models()
        for column in model.columns
        if column not in built_columns[f"{model.schema}.{model.name}"]
    ]


def test_every_seed_and_every_column_of_it_is_described(built_columns):
    assert len(seeds()) >= 14
    for seed in seeds():
        described = {name: column.description for name, column in seed.columns.items()}
        assert seed.description and all(described.values()), seed.name
        assert list(described) == list(seed.config.column_types) == list(built_columns[f"seeds.{seed.name}"]), seed.name


def test_every_row_of_a_seed_has_a_key_of_its_own(empty_warehouse):
    # Here and not in a data test: seeds change with the code, not from night to night.
    keys = {"rate_definitions": "mart, rate, role, measure"}
    with duckdb.connect(empty_warehouse, read_only=True) as connection:
        for seed in seeds():
            key = keys.get(seed.name) or next(iter(seed.columns))
            counts = f"select count(*), count(distinct ({key})) from seeds.{seed.name}"
            n_rows, n_keys = connection.execute(counts).fetchone()
            assert n_rows == n_keys > 0, seed.name


def test_descriptions_go_along_as_comments_of_facts_and_marts(empty_warehouse):
    with duckdb.connect(empty_warehouse, read_only=True) as connection:
        comments = {
            (schema, table, column): comment
            for schema, table, column, comment in connection.execute(
                "select schema_name, table_name, null, comment from duckdb_tables() union all"
                " select schema_name, table_name, column_name, comment from duckdb_columns()"
            ).fetchall()
        }
    for model in models():
        if model.schema in CONTRACTED:
            assert comments[model.schema, model.name, None] == model.description
            for name, column in model.columns.items():
                assert comments[model.schema, model.name, name] == column.description, f"{model.name}.{name}"


def test_facts_and_marts_have_enforced_contracts():
    contracted = [model for model in models() if model.schema in CONTRACTED]
    assert {model.schema for model in contracted} == set(CONTRACTED)
    assert not [model.name for model in contracted if not model.config.contract.enforced]


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_those_of_the_definitions_in_their_order(table, built_columns):
    assert list(built_columns[table])[: len(COLUMNS[table])] == COLUMNS[table]


@pytest.mark.parametrize("table", TABLES)
def test_every_other_table_of_the_definitions_is_there(table, built_columns):
    assert table in built_columns


def test_counts_are_integers_and_rates_are_exact_millionths(built_columns):
    marts = {table: columns for table, columns in built_columns.items() if table.startswith("marts.")}
    assert len(marts) == 8
    for table, columns in marts.items():
        for column, data_type in columns.items():
            if column == "n" or column.startswith("n_"):
                assert data_type == "BIGINT", f"{table}.{column}"
            if column == "share" or "rate" in column.split("_"):
                assert data_type == "DECIMAL(9,6)", f"{table}.{column}"
        assert columns["known_on"] == "DATE", table


def test_no_model_reads_the_clock_chance_or_a_variable():
    # Dates come from registry.knowledge alone: the same D and K always give the same figures.
    forbidden = re.compile(
        r"\b(now|today|current_date|current_time|current_timestamp|localtime|localtimestamp|random|gen_random_uuid|"
        r"uuid|run_started_at|invocation_id|env_var|var)\b"
    )
    found = {model.name: forbidden.findall(_without_comments(model.raw_code)) for model in models()}
    assert not {name: words for name, words in found.items() if words}


def test_only_the_staging_layer_reads_extracts():
    # Beyond it stand the warehouse's words.
    assert not [
        f"{model.name} reads {source}"
        for model in models()
        if model.schema != "staging"
        for _, source in model.sources
        if source in SCHEMAS
    ]


def test_what_depends_on_a_reporting_date_is_downstream_of_the_one_model_that_lists_them():
    # `kbi answer` re-runs these for one date; a mart beside them would answer for other dates than the one asked.
    parents = {model.unique_id: model.depends_on_nodes for model in models()}

    def ancestors(node: str) -> set[str]:
        return {node}.union(*(ancestors(parent) for parent in parents.get(node, ())))

    marts = [model.unique_id for model in models() if model.schema == "marts"]
    assert marts
    assert not [mart for mart in marts if "model.kbi.int_reporting_dates" not in ancestors(mart)]


def test_days_to_come_are_looked_for_wherever_a_row_names_one(built_columns):
    # A build that follows on another looks only at who has one. Number changes hold whatever their day (R1).
    named = {
        table.removeprefix("staging."): {column for column, kind in columns.items() if kind == "DATE"}
        - {"birth_date", "changed_on"}
        for table, columns in built_columns.items()
        if table.startswith("staging.")
    }
    (ahead,) = [model for model in models() if model.name == "int_dates_ahead"]
    calls = re.findall(r"days_ahead\(\s*'(\w+)', \[([^]]*)\]", ahead.raw_code)
    looked_at = {table: set(re.findall(r"\w+", days)) for table, days in calls}
    assert looked_at == {table: days for table, days in named.items() if days}


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*|\{#.*?#\}", "", sql, flags=re.DOTALL)
