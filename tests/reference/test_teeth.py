"""The comparison has teeth: it finds each deliberate mistake in the dbt project."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from tests.reference.comparison import Expectation, differences
from tests.reference.mutants import MUTANTS, Mutant
from tests.reference.registries import packed, random_registry
from tests.reference.rules import Tables
from tests.reference.shrinking import seeds, shrunk
from tests.warehouse_builds import DBT_PROJECT, build_warehouse, run_dbt, write_registry

KNOWN_ON = date(2024, 2, 29)
SEEDS = range(5000, 5600)

_ALWAYS = [next(mutant for mutant in MUTANTS if mutant.rule == rule) for rule in ("R2", "R4", "R6", "R8", "R10")]
"""Those that the quick tests try too."""


class Laboratory:
    """One warehouse built without a mistake, what the reference expects of it, and a copy of the project to patch."""

    def __init__(self, directory: Path):
        self.tables = packed(random_registry(seed, KNOWN_ON) for seed in SEEDS)
        self.expected = Expectation(self.tables, KNOWN_ON)
        self.project = directory / "dbt_project"
        shutil.copytree(DBT_PROJECT, self.project, ignore=shutil.ignore_patterns("target", "unit_tests"))
        self.flawless = build_warehouse(directory / "flawless", self.tables, KNOWN_ON, self.project)
        # Always the same path: dbt then parses only the file that was patched.
        self.warehouse = directory / "mutant" / "warehouse.duckdb"
        self.warehouse.parent.mkdir()

    def build(self, tables: Tables) -> Path:
        """A warehouse of these rows, by the project as it is patched now."""
        write_registry(self.warehouse, tables, KNOWN_ON)
        return self._run()

    def difference_of(self, mutant: Mutant) -> str | None:
        """Rebuild what is downstream of the mistake, the rest being as it was, and give the first difference."""
        shutil.copy(self.flawless, self.warehouse)
        with self.patched(mutant):
            file = Path(mutant.file)
            self._run(*(() if file.parent.name == "macros" else ("--select", f"{file.stem}+")))
        return next(differences(self.warehouse, self.expected), None)

    def _run(self, *selection: str) -> Path:
        # Without dbt's own tests: what is asked here is whether the comparison finds the mistake.
        run_dbt(self.warehouse, ["build", "--exclude-resource-type", "test", "unit_test", *selection], self.project)
        return self.warehouse

    @contextmanager
    def patched(self, mutant: Mutant) -> Iterator[None]:
        file = self.project / mutant.file
        text = file.read_text()
        file.write_text(mutant.applied_to(text))
        try:
            yield
        finally:
            file.write_text(text)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("laboratory"))


def test_every_rule_has_a_mutant():
    rules = Counter(mutant.rule for mutant in MUTANTS)
    assert not {f"R{number}" for number in range(1, 11)} - rules.keys()
    assert rules.total() >= 30


def test_every_mutant_has_its_place_in_the_project():
    for mutant in MUTANTS:
        text = (DBT_PROJECT / mutant.file).read_text()
        assert mutant.applied_to(text) != text, mutant.mistake


def test_without_a_mistake_there_is_no_difference(laboratory):
    assert list(differences(laboratory.flawless, laboratory.expected)) == []


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant,
            id=f"{mutant.rule}-{mutant.mistake.replace(' ', '-')}",
            marks=() if mutant in _ALWAYS else pytest.mark.slow,
        )
        for mutant in MUTANTS
    ],
)
def test_a_mistake_is_found(mutant, laboratory):
    assert laboratory.difference_of(mutant), "the warehouse does not differ from the reference"


@pytest.mark.slow
def test_a_difference_shrinks_to_the_rows_that_matter(laboratory):
    mutant = next(mutant for mutant in MUTANTS if mutant.mistake == "addendum undoes an attempt")
    with laboratory.patched(mutant):
        found = differences(laboratory.build(laboratory.tables), laboratory.expected)
        rows = shrunk(random_registry(min(seeds(found)), KNOWN_ON), KNOWN_ON, laboratory.build)
    assert {extract for extract, some in rows.items() if some} >= {"contracten", "addenda"}
    assert sum(map(len, rows.values())) <= 4
