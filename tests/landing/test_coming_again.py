"""A refused delivery that comes again: it is waited for at the date that it has now."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.intake import take_waiting
from orchestration.settings import Settings
from tests.deliveries import minimal_registry, write_delivery

NOW = datetime(2017, 1, 1, tzinfo=UTC)


def at(day: int) -> str:
    return f"2016-10-{day:02d}T23:00:00+02:00"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A full delivery was taken; delta ``b`` of the second day was refused, for it is damaged."""
    settings = Settings(landing=tmp_path / "landing", data=tmp_path / "data")
    write_delivery(settings.landing, "a", at(1), minimal_registry(1))
    damaged = write_delivery(settings.landing, "b", at(2), {"personen": minimal_registry(2)["personen"]}, kind="delta")
    (damaged / "personen.csv").write_text("damaged")
    assert results(settings) == {"a": "taken", "b": "checksum_mismatch"}
    return settings


def results(settings: Settings) -> dict[str, str]:
    return {outcome.delivery_id: outcome.code or outcome.result for outcome in take_waiting(settings, now=NOW)}


@pytest.mark.parametrize(
    ("day", "kind", "expected"),
    [
        (2, "delta", {"b": "taken", "c": "taken"}),
        (4, "delta", {"c": "taken", "b": "taken"}),  # later than the other, which so misses nothing
        (4, "full", {"c": "taken", "b": "taken"}),
    ],
)
def test_repaired(settings: Settings, day: int, kind: str, expected: dict[str, str]) -> None:
    shutil.rmtree(settings.landing / "b")
    tables = minimal_registry(1) if kind == "full" else {"personen": minimal_registry(2)["personen"]}
    write_delivery(settings.landing, "b", at(day), tables, kind=kind)
    write_delivery(settings.landing, "c", at(3), {"personen": minimal_registry(3)["personen"]}, kind="delta")
    assert results(settings) == {"a": "unchanged", **expected}
    assert results(settings) == dict.fromkeys("abc", "unchanged")


@pytest.mark.parametrize("gone", [False, True])
def test_until_then_it_is_missed(settings: Settings, gone: bool) -> None:
    if gone:
        shutil.rmtree(settings.landing / "b")
    write_delivery(settings.landing, "c", at(3), {"personen": minimal_registry(3)["personen"]}, kind="delta")
    assert results(settings)["c"] == "predecessor_refused"
