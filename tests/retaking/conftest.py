"""One registry that moves, in five deliveries and two releases; what taking it again is held against."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from orchestration.simulation.deliveries import simulate
from tests.deliveries import write_delivery
from tests.night.conftest import KEY
from tests.night.nights import Folder
from tests.past.conftest import DELTAS

FULL = "2016-09-08"


@dataclass(frozen=True)
class Story:
    """A full delivery and the deltas after it. ``releases``: after the first two and after all. Not to be changed."""

    folder: Folder
    releases: tuple[str, str]

    @property
    def ids(self) -> list[str]:
        return [FULL, *(delta[0] for delta in DELTAS)]


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "pseudonym.key"
    path.touch(mode=0o600)
    path.write_text(KEY)
    return path


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("deliveries")
    (simulated,) = simulate(out / "simulated", 120, 714, date(2016, 9, 8), dirty=0.02)
    assert simulated.name == FULL
    return [simulated, *(write_delivery(out, id, at, tables, "delta") for id, at, _, tables in DELTAS)]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory, deliveries: list[Path], key_file: Path) -> Story:
    folder = folder_of(tmp_path_factory.mktemp("story"), key_file)
    releases = []
    for part in (deliveries[:2], deliveries[2:]):
        put(folder, *part)
        ran = folder.night()
        assert ran.exit_code == 0, ran.said
        releases.append(folder.release()["release_id"])
    return Story(folder, tuple(releases))


@pytest.fixture
def copied(story: Story, tmp_path: Path) -> Folder:
    shutil.copytree(story.folder.directory, tmp_path / "copied", symlinks=True)
    return Folder(tmp_path / "copied", story.folder.variables)


def folder_of(directory: Path, key_file: Path) -> Folder:
    # So few rows: the damaged ones and their children are more than the usual share.
    return Folder(directory, {"KBI_PSEUDONYM_KEY_FILE": str(key_file), "KBI_MAX_QUARANTINE_RATE": "0.5"})


def put(folder: Folder, *deliveries: Path) -> None:
    for delivery in deliveries:
        shutil.copytree(delivery, folder.landing / delivery.name)
