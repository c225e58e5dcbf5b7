"""Registries simulated once for all proofs of this package. They are read only."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from orchestration.simulation import deliveries, simulate

CONTRACTS, SEED, UNTIL, DELIVERIES = 20_000, 714, date(2017, 6, 30), 3
"""What the demo asks for: the figures proved here are those of a demo."""
DIRTY = 0.005


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three deliveries without damage."""
    return simulate(tmp_path_factory.mktemp("clean"), CONTRACTS, SEED, UNTIL, DELIVERIES)


@pytest.fixture(scope="session")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same three deliveries, damaged."""
    return simulate(tmp_path_factory.mktemp("dirty"), CONTRACTS, SEED, UNTIL, DELIVERIES, dirty=DIRTY)


@pytest.fixture(scope="session")
def all_regimes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two deliveries of a registry that reaches the latest regime, made in two batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliveries, "BATCH_SIZE", 20_000)
        return simulate(tmp_path_factory.mktemp("late"), 32_000, SEED, date(2024, 6, 30), 2)
