"""Folders of their own for nights, and one simulated registry whose undisturbed night others are held against."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from orchestration.simulation.deliveries import simulate
from tests.night.nights import Folder

CONTRACTS, SEED, UNTIL, DELIVERIES = 300, 714, date(2017, 6, 30), 3
KEY = bytes(range(32)).hex()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "pseudonym.key"
    path.touch(mode=0o600)
    path.write_text(KEY)
    return path


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three full deliveries of a registry with some broken rows."""
    out = tmp_path_factory.mktemp("simulated")
    return simulate(out, CONTRACTS, SEED, UNTIL, DELIVERIES, dirty=0.01)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, simulated: list[Path], key_file: Path) -> Folder:
    """The first two of those deliveries, taken and published in one night. Not to be changed: copy it."""
    folder = Folder(tmp_path_factory.mktemp("undisturbed"), settings_of(key_file))
    put(folder, *simulated[:2])
    ran = folder.night()
    assert (ran.exit_code, [result for _, result, _ in ran.lines]) == (0, ["taken", "taken"]), ran.stderr
    return folder


@pytest.fixture
def continued(tmp_path: Path, undisturbed: Folder) -> Folder:
    """A copy of that folder, to go on with."""
    shutil.copytree(undisturbed.directory, tmp_path / "continued", symlinks=True)
    return Folder(tmp_path / "continued", undisturbed.variables)


def settings_of(key_file: Path) -> dict[str, str]:
    # A few hundred contracts: the damaged rows and their children are more than the usual share.
    return {"KBI_PSEUDONYM_KEY_FILE": str(key_file), "KBI_MAX_QUARANTINE_RATE": "0.5"}


def put(folder: Folder, *deliveries: Path) -> None:
    """Copy deliveries into the landing zone."""
    for delivery in deliveries:
        shutil.copytree(delivery, folder.landing / delivery.name)
