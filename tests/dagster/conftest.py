"""Nights on registries of a few rows, and the definitions for their folders."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import dagster as dg
import pytest

from orchestration import dagster_home
from orchestration.definitions import build_definitions
from orchestration.night_lock import night_lock
from orchestration.settings import Settings
from tests.deliveries import minimal_registry, write_delivery
from tests.night.nights import Folder

Deliver = Callable[..., Path]


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One delivery of three registries of the smallest size, taken and published. Not to be changed: copy it."""
    folder = Folder(tmp_path_factory.mktemp("first-night"))
    deliver(folder, "2016-09-08")
    ran = folder.night()
    assert (ran.exit_code, ran.lines) == (0, [("2016-09-08", "taken", "")]), ran.stderr
    return folder


@pytest.fixture
def folder(tmp_path: Path, first_night: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A copy of that folder whose settings are this process's."""
    shutil.copytree(first_night.directory, tmp_path / "night", symlinks=True)
    folder = Folder(tmp_path / "night")
    use(folder, monkeypatch)
    return folder


def use(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the folder's settings those of this process."""
    for name, value in folder.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home.prepare(folder.settings)))


@pytest.fixture
def instance(folder: Folder) -> Iterator[dg.DagsterInstance]:
    """The instance in that folder's Dagster home."""
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def definitions(folder: Folder) -> dg.Definitions:
    return build_definitions(folder.settings)


def deliver(folder: Folder, delivery_id: str, n: int = 1, **differing: object) -> Path:
    """Put a full delivery of that day into the landing zone."""
    return write_delivery(
        folder.landing, delivery_id, f"{delivery_id}T23:00:00+02:00", minimal_registry(n), **differing
    )


@contextmanager
def locked_elsewhere(folder: Folder) -> Iterator[None]:
    """Another process holds the night's lock."""
    context = multiprocessing.get_context("spawn")
    holds, ends = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(folder.settings, holds, ends))
    process.start()
    assert holds.wait(60)
    try:
        yield
    finally:
        ends.set()
        process.join(60)


def _hold(settings: Settings, holds: Event, ends: Event) -> None:
    with night_lock(settings):
        holds.set()
        ends.wait(300)
