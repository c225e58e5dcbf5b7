"""What counts as a delivery in the landing zone."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.deliveries import IrregularFileError, delivery_directories, list_folder, open_file
from orchestration.settings import SettingsError


def test_only_directories_with_a_manifest_by_name(tmp_path: Path) -> None:
    for name in ("b", "a", "B", "2016-09-08", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").touch()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "personen.csv").touch()
    (tmp_path / "deeper" / "delivery").mkdir(parents=True)
    (tmp_path / "deeper" / "delivery" / "manifest.json").touch()
    (tmp_path / "manifest.json").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "manifest.json").symlink_to("nowhere")
    names = [path.name for path in delivery_directories(tmp_path)]
    assert names == [".hidden", "2016-09-08", "B", "a", "b", "dangling", "linked"]


def test_an_empty_landing_zone(tmp_path: Path) -> None:
    assert delivery_directories(tmp_path) == []


def test_a_landing_zone_that_is_not_there_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for landing in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(SettingsError, match=r"KBI_LANDING: .* cannot be listed .*Create the folder"):
            delivery_directories(landing)


def test_no_link_is_followed_at_any_step(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.csv").write_text("secret")
    inside = tmp_path / "d1"
    (inside / "sub").mkdir(parents=True)
    (inside / "sub" / "a.csv").write_text("own")
    (inside / "folder").symlink_to(outside)
    (inside / "file.csv").symlink_to(outside / "a.csv")
    (inside / "round").symlink_to(inside / "sub")
    (tmp_path / "linked").symlink_to(inside)

    with open_file(inside, "sub/a.csv") as file:
        assert file.read() == b"own"
    assert list_folder(inside, "sub") == ["a.csv"]
    assert list_folder(inside, "sub/a.csv") is None
    for directory, path in (
        (inside, "folder/a.csv"),
        (inside, "file.csv"),
        (inside, "round/a.csv"),
        (inside, "folder"),
        (inside, "sub"),
        (inside, "sub/a.csv/b"),
        (tmp_path / "linked", "sub/a.csv"),
    ):
        with pytest.raises(IrregularFileError):
            open_file(directory, path)
    with pytest.raises(IrregularFileError):
        list_folder(inside, "folder")
    for path in ("nothing", "sub/nothing", "nothing/a.csv", "x" * 300):
        with pytest.raises(FileNotFoundError):
            open_file(inside, path)
