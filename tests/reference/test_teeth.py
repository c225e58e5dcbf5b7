"""The comparison has teeth: each deliberate mistake in the dbt project makes the warehouse differ from the reference."""

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
from tests.warehouse_builds import DBT_PROJECT, build_warehouse, run_dbt

KNOWN_ON = date(2024, 2, 29)
SEEDS = range(5000, 5600)


class Laboratory:
    """One warehouse built without a mistake, what the reference expects of it, and a copy of the project to patch."""

    def __init__(self, directory: Path):
        tables = packed(random_registry(seed, KNOWN_ON) for seed in SEEDS)
        self.expected = Expectation(tables, KNOWN_ON)
        self.project = directory / "dbt_project"
        shutil.copytree(DBT_PROJECT, self.project, ignore=shutil.ignore_patterns("target", "unit_tests"))
        self.flawless = build_warehouse(directory / "flawless", tables, KNOWN_ON, self.project)
        # Always the same path: dbt then parses only the file that was patched.
        self.warehouse = directory / "mutant" / "warehouse.duckdb"
        self.warehouse.parent.mkdir()

    def difference_of(self, mutant: Mutant) -> str | None:
        """Rebuild what the mistake reaches, the rest being as it was, and give the first difference."""
        shutil.copy(self.flawless, self.warehouse)
        with self._patched(mutant):
            selection = self._reached(mutant.file)
            run_dbt(self.warehouse, ["build", "--exclude-resource-type", "test", "--select", selection], self.project)
        return next(differences(self.warehouse, self.expected), None)

    @contextmanager
    def _patched(self, mutant: Mutant) -> Iterator[None]:
        file = self.project / mutant.file
        text = file.read_text()
        assert text.count(mutant.old) == 1, f"{mutant.file} has changed: adapt the mutant '{mutant.mistake}'"
        file.write_text(text.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            file.write_text(text)

    def _reached(self, file: str) -> str:
        """dbt's selection of everything downstream of a file; of a macro, of every model that calls it."""
        stem = Path(file).stem
        if not file.startswith("macros/"):
            return f"{stem}+"
        models = self.project.glob("models/**/*.sql")
        macros = [word.split("(")[0] for word in (self.project / file).read_text().split("{% macro ")[1:]]
        callers = [model.stem for model in models if any(f"{macro}(" in model.read_text() for macro in macros)]
        return " ".join(f"{caller}+" for caller in callers)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("laboratory"))


def test_every_rule_has_a_mutant():
    rules = Counter(mutant.rule for mutant in MUTANTS)
    assert not {f"R{number}" for number in range(1, 11)} - rules.keys()
    assert rules.total() >= 30


@pytest.mark.slow
def test_without_a_mistake_there_is_no_difference(laboratory):
    assert list(differences(laboratory.flawless, laboratory.expected)) == []


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule}-{mutant.mistake.replace(' ', '-')}")
def test_a_mistake_is_found(mutant, laboratory):
    assert laboratory.difference_of(mutant)
