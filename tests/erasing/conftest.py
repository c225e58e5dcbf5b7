"""The registry of ``tests/retaking``, taken by a night, and the same registry as if somebody had never been in it."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import pytest

from tests.deliveries import COLUMNS
from tests.night.nights import Folder
from tests.retaking.conftest import deliveries, folder_of, key_file, put

__all__ = ["deliveries", "key_file"]

PARENTS = {"addenda": ("contracten", "contract_id"), "opschortingen": ("contracten", "contract_id")} | {
    "trajectonderdelen": ("trajecten", "traject_id")
}
NUMBERS = ("insz", "oude_insz", "nieuwe_insz")


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory, deliveries: list[Path], key_file: Path) -> Folder:
    """All of the deliveries, taken by one night. Not to be changed: copy it."""
    folder = folder_of(tmp_path_factory.mktemp("taken"), key_file)
    put(folder, *deliveries)
    ran = folder.night()
    assert ran.exit_code == 0, ran.said
    return folder


@pytest.fixture
def copied(taken: Folder, tmp_path: Path) -> Folder:
    shutil.copytree(taken.directory, tmp_path / "copied", symlinks=True)
    return Folder(tmp_path / "copied", taken.variables)


def rows_in(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), delimiter=";"))


def without(deliveries: list[Path], out: Path, numbers: Collection[str]) -> list[Path]:
    """The deliveries (of CSV) as they would be if these numbers' rows, and what hangs on them, had never been there."""
    ids: dict[str, set[str]] = {"contracten": set(), "trajecten": set()}
    for delivery in deliveries:
        for extract, found in ids.items():
            for row in rows_in(delivery / f"{extract}.csv") if (delivery / f"{extract}.csv").exists() else ():
                if row["insz"] in numbers:
                    found.add(row[COLUMNS[extract][0]])
    made = []
    for delivery in deliveries:
        target = out / delivery.name
        shutil.copytree(delivery, target)
        manifest = json.loads((target / "manifest.json").read_text())
        for file in manifest["files"]:
            extract, path = file["extract"], target / file["path"]
            rows = rows_in(path)
            kept = [row for row in rows if not _is_theirs(extract, row, numbers, ids)]
            if len(kept) == len(rows):
                continue
            text = io.StringIO()
            writer = csv.DictWriter(text, rows[0].keys(), delimiter=";", lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
            path.write_text(text.getvalue(), encoding="utf-8")
            file |= {"rows": len(kept), "sha256": sha256(path.read_bytes()).hexdigest()}
        (target / "manifest.json").write_text(json.dumps(manifest))
        made.append(target)
    return made


def _is_theirs(extract: str, row: dict[str, str], numbers: Collection[str], ids: dict[str, set[str]]) -> bool:
    if any(row.get(column) in numbers for column in NUMBERS):
        return True
    parent, link = PARENTS.get(extract, (extract, COLUMNS[extract][0]))
    return row[link] in ids.get(parent, ())
