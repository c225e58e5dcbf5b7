"""Files are replaced whole; what cannot be read is named with its remedy; no message repeats a file's own name."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.disk import ends_as_parquet, reading, told, write_whole
from orchestration.settings import Settings, SettingsError

NUMBER = "80611700198"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", landing=tmp_path / "incoming")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("incoming/2016-09-08/dossiers/{}.xml", "incoming/2016-09-08"),
        ("data/landing/2016-09-08/dossiers/{}.xml", "data/landing/2016-09-08"),
        ("data/work/intake/2016-09-08/landing/dossiers/{}.xml", "data/work/intake"),
        ("data/warehouse.duckdb", "data/warehouse.duckdb"),
        ("elsewhere/{}.xml", None),
    ],
)
def test_a_failure_names_the_delivery_and_never_a_file_of_it(
    settings: Settings, tmp_path: Path, at: str, expected: str | None
) -> None:
    said = told(OSError(errno.EIO, os.strerror(errno.EIO), str(tmp_path / at.format(NUMBER))), settings)
    assert said == "Input/output error" + (f": {tmp_path / expected}" if expected else "")


@pytest.mark.parametrize("name", [f"{NUMBER}.xml", f"{NUMBER}.xml".encode(), None, 7])
def test_a_name_without_a_place_is_not_told(settings: Settings, name: object) -> None:
    assert told(OSError(errno.ESTALE, "Stale file handle", name), settings) == "Stale file handle"
    assert told(OSError("read 80611700198"), settings) == "OSError"


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "entry.json"
    write_whole(path, b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    write_whole(path, b"after", mode=0o600)
    assert path.read_bytes() == b"after" and path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["entry.json"]


def test_what_was_cut_off_does_not_end_as_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert not ends_as_parquet(path)
    pq.write_table(pa.table({"n": range(100)}), path)
    assert ends_as_parquet(path)
    for size in (path.stat().st_size - 1, 3, 0):
        os.truncate(path, size)
        assert not ends_as_parquet(path)


@pytest.mark.parametrize("error", [ValueError(NUMBER), KeyError(NUMBER), TypeError(NUMBER)])
def test_a_damaged_file_is_named_with_its_remedy_and_not_quoted(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(SettingsError) as caught, reading(tmp_path / "plan.json", "Restore it."):
        raise error
    assert str(caught.value) == f"KBI_DATA: {tmp_path / 'plan.json'} is damaged and cannot be read. Restore it."
    assert caught.value.__suppress_context__
