"""Runs the dbt unit tests: every rule of the definitions with its edge cases, model by model."""

import re
from pathlib import Path

import pytest
from dbt.artifacts.schemas.results import NodeStatus

from tests.warehouse_builds import DBT_PROJECT, parsed, run_dbt

RULES = [f"R{number}" for number in range(1, 11)]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_unit_test_that_names_it(rule):
    named = [test for test in parsed().unit_tests.values() if re.match(f"{rule.lower()}_", test.name)]
    assert named, f"no unit test is named {rule.lower()}_…"
    assert all(test.description for test in named), "a unit test's description is the sentence of the rule"


def test_every_unit_test_runs_and_passes(empty_warehouse: Path):
    outcome = run_dbt(empty_warehouse, ["test", "--select", "test_type:unit"], DBT_PROJECT, parsed())
    passed = {result.node.unique_id for result in outcome.results if result.status == NodeStatus.Pass}
    assert passed == set(parsed().unit_tests)
