"""The archive takes the announced bytes or none, and what lies in the landing zone later is told apart from it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import threading
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import orchestration.landing as landing
from orchestration.landing import archive, fingerprint, signature
from orchestration.manifest import Manifest, Refusal, read_manifest
from tests.deliveries import COLUMNS, minimal_registry, write_delivery

EXTRACTED_AT = "2016-09-08T23:00:00+02:00"
INSZ = "90122500159"
"""Names a dossier, as in the wild; no message may repeat it."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tables(zone: Path, name: str = "d1") -> Path:
    return write_delivery(zone, name, EXTRACTED_AT, minimal_registry())


def dossiers(zone: Path, path: str, digest: str, rows: int) -> Path:
    """A delivery ``d1`` that announces dossiers; what lies at ``path`` is up to the test."""
    directory = zone / "d1"
    directory.mkdir(exist_ok=True)
    entry = {"extract": "dossiers", "path": path, "format": "kbi-xml", "rows": rows, "sha256": digest}
    said = {"delivery_id": "d1", "extracted_at": EXTRACTED_AT, "kind": "full", "synthetic": True, "files": [entry]}
    (directory / "manifest.json").write_text(json.dumps(said))
    return directory


def dossier_folder(zone: Path, files: dict[str, bytes], rows: int | None = None) -> Path:
    listed = sorted(f"{sha256(content)}  {name}\n" for name, content in files.items() if name.endswith(".xml"))
    directory = dossiers(zone, "kbi/dossiers", sha256("".join(listed).encode()), len(listed) if rows is None else rows)
    (directory / "kbi" / "dossiers").mkdir(parents=True)
    for name, content in files.items():
        (directory / "kbi" / "dossiers" / name).write_bytes(content)
    return directory


def dossier_zip(zone: Path, members: dict[str | zipfile.ZipInfo, bytes], rows: int = 1) -> Path:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return zip_bytes(zone, packed.getvalue(), rows)


def zip_bytes(zone: Path, content: bytes, rows: int = 1) -> Path:
    directory = dossiers(zone, "dossiers.zip", sha256(content), rows)
    (directory / "dossiers.zip").write_bytes(content)
    return directory


def manifest_of(directory: Path) -> Manifest:
    return read_manifest(directory, datetime(2016, 9, 9, tzinfo=UTC))


def refusals(directory: Path, target: Path) -> Refusal:
    """The refusal of a delivery, which names its file and no dossier."""
    with pytest.raises(Refusal) as taken:
        archive(directory, manifest_of(directory), target)
    assert taken.value.detail.startswith("Delivery d1, file ") and INSZ not in taken.value.detail
    return taken.value


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


# Taken


def test_the_archive_holds_the_same_bytes_for_its_owner_only(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    (directory / "notes.txt").write_text("not listed, so not delivered")
    target = tmp_path / "aside"
    archive(directory, manifest_of(directory), target)
    delivered = tree(directory)
    del delivered["notes.txt"]
    assert tree(target) == delivered and len(delivered) == len(COLUMNS) + 1
    modes = {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")}
    assert modes == {0o400} and stat.S_IMODE(target.stat().st_mode) == 0o700


def test_folders_in_the_archive_are_restricted_whatever_the_umask(tmp_path: Path) -> None:
    directory = dossier_folder(tmp_path, {f"{INSZ}.xml": b"<a/>"})
    before = os.umask(0)
    try:
        archive(directory, manifest_of(directory), tmp_path / "aside")
    finally:
        os.umask(before)
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "aside").rglob("*")}
    assert found == {"manifest.json": 0o400, "kbi": 0o700, "dossiers": 0o700, f"{INSZ}.xml": 0o400}


def test_an_archive_is_written_once(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    archive(directory, manifest_of(directory), tmp_path / "aside")
    with pytest.raises(FileExistsError):
        archive(directory, manifest_of(directory), tmp_path / "aside")


def test_a_file_of_many_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_MIB", 7)
    directory = tables(tmp_path)
    archive(directory, manifest_of(directory), tmp_path / "aside")
    assert tree(tmp_path / "aside") == tree(directory)


@pytest.mark.parametrize("sort", ["sorted by hash", "sorted by name"])
def test_a_folder_of_dossiers(tmp_path: Path, sort: str) -> None:
    files = {f"{n}.xml": f"<dossier n='{n}'/>".encode() for n in range(20)}
    directory = dossier_folder(tmp_path, files | {"read me.txt": b"left alone", "x.xml.bak": b"left alone"})
    (directory / "kbi" / "dossiers" / "older").mkdir()
    command = "sha256sum *.xml" + (" | sort" if sort == "sorted by hash" else "") + " | sha256sum"
    digest = subprocess.run(
        command, shell=True, cwd=directory / "kbi" / "dossiers", env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=True,
    ).stdout.split()[0]  # fmt: skip
    dossiers(tmp_path, "kbi/dossiers", digest, 20)
    taken = archive(directory, manifest_of(directory), tmp_path / "aside")
    assert tree(tmp_path / "aside" / "kbi" / "dossiers") == files
    assert taken == fingerprint(directory)


def test_no_dossiers_at_all(tmp_path: Path) -> None:
    directory = dossier_folder(tmp_path, {})
    archive(directory, manifest_of(directory), tmp_path / "aside")
    assert (tmp_path / "aside" / "kbi" / "dossiers").is_dir()


def test_a_zip_of_dossiers(tmp_path: Path) -> None:
    members = {"dossiers/": b"", f"dossiers/{INSZ}.xml": b"<a/>", "b.xml": b"<b/>" * 9999, "read me.txt": b"left alone"}
    directory = dossier_zip(tmp_path, members, rows=2)
    archive(directory, manifest_of(directory), tmp_path / "aside")
    assert tree(tmp_path / "aside") == tree(directory)


# Refused


def test_a_missing_file(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    (directory / "addenda.csv").unlink()
    refused = refusals(directory, tmp_path / "aside")
    assert (refused.code, "file addenda.csv: " in refused.detail) == ("file_missing", True)


@pytest.mark.parametrize("path", ["dossiers", "dossiers.zip", "nowhere/dossiers"])
def test_missing_dossiers(tmp_path: Path, path: str) -> None:
    assert refusals(dossiers(tmp_path, path, sha256(b""), 0), tmp_path / "aside").code == "file_missing"


@pytest.mark.parametrize("change", ["flip", "append", "truncate", "empty"])
def test_other_bytes_than_announced(tmp_path: Path, change: str) -> None:
    directory = tables(tmp_path)
    file = directory / "contracten.csv"
    content = file.read_bytes()
    changed = {"flip": content[:-2] + b"x\n", "append": content + b"\n", "truncate": content[:-1], "empty": b""}
    file.write_bytes(changed[change])
    refused = refusals(directory, tmp_path / "aside")
    assert (refused.code, "file contracten.csv: " in refused.detail) == ("checksum_mismatch", True)


def test_other_dossiers_than_announced(tmp_path: Path) -> None:
    directory = dossier_folder(tmp_path, {f"{INSZ}.xml": b"<a/>", "b.xml": b"<b/>"})
    folder = directory / "kbi" / "dossiers"
    (folder / "b.xml").rename(folder / "c.xml")
    assert refusals(directory, tmp_path / "aside").code == "checksum_mismatch"
    (folder / "c.xml").rename(folder / "b.xml")
    archive(directory, manifest_of(directory), tmp_path / "taken")
    (folder / "b.xml").write_bytes(b"<c/>")
    assert refusals(directory, tmp_path / "aside 2").code == "checksum_mismatch"
    (folder / "b.xml").unlink()
    assert refusals(directory, tmp_path / "aside 3").code == "checksum_mismatch"


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_another_number_of_dossiers_than_announced(tmp_path: Path, rows: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    folder = dossier_folder(tmp_path / "a", {f"{INSZ}.xml": b"<a/>", "b.xml": b"<b/>"}, rows)
    packed = dossier_zip(tmp_path / "b", {f"{INSZ}.xml": b"<a/>", "b.xml": b"<b/>"}, rows)
    for directory in (folder, packed):
        refused = refusals(directory, tmp_path / f"aside {directory.parent.name}")
        assert refused.code == "row_count_mismatch"
        assert "holds 2 .xml files" in refused.detail and f"says {rows}" in refused.detail


def test_links_are_refused_even_to_the_right_bytes(tmp_path: Path) -> None:
    for n, kind in enumerate(["file", "folder", "sibling", "dangling"]):
        zone = tmp_path / kind
        zone.mkdir()
        directory = tables(zone)
        content = (directory / "personen.csv").read_bytes()
        outside = zone / "outside"
        outside.mkdir()
        (outside / "personen.csv").write_bytes(content)
        (directory / "personen.csv").unlink()
        if kind == "folder":
            text = (directory / "manifest.json").read_text()
            (directory / "manifest.json").write_text(text.replace('"personen.csv"', '"sub/personen.csv"'))
            (directory / "sub").symlink_to(outside)
        elif kind == "sibling":
            (directory / "copy.csv").write_bytes(content)
            (directory / "personen.csv").symlink_to("copy.csv")
        else:
            (directory / "personen.csv").symlink_to(outside / "personen.csv" if kind == "file" else "nowhere")
        refused = refusals(directory, tmp_path / f"aside {n}")
        assert (refused.code, "link" in refused.detail) == ("manifest_invalid", True)


def test_links_among_dossiers_are_refused(tmp_path: Path) -> None:
    directory = dossier_folder(tmp_path, {f"{INSZ}.xml": b"<a/>"})
    folder = directory / "kbi" / "dossiers"
    (folder / f"{INSZ}.xml").rename(tmp_path / "elsewhere")
    (folder / f"{INSZ}.xml").symlink_to(tmp_path / "elsewhere")
    assert refusals(directory, tmp_path / "aside").code == "manifest_invalid"
    (folder / f"{INSZ}.xml").unlink()
    folder.rmdir()
    (tmp_path / "folder").mkdir()
    folder.symlink_to(tmp_path / "folder")
    assert refusals(directory, tmp_path / "aside 2").code == "manifest_invalid"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    (directory / "personen.csv").unlink()
    (directory / "personen.csv").mkdir()
    assert refusals(directory, tmp_path / "aside").code == "manifest_invalid"
    (directory / "personen.csv").rmdir()
    os.mkfifo(directory / "personen.csv")  # would wait for a writer for ever
    assert refusals(directory, tmp_path / "aside 2").code == "manifest_invalid"


def test_dossiers_in_neither_folder_nor_zip(tmp_path: Path) -> None:
    directory = dossiers(tmp_path, "dossier.xml", sha256(b"<a/>"), 1)
    (directory / "dossier.xml").write_bytes(b"<a/>")
    assert refusals(directory, tmp_path / "aside").code == "manifest_invalid"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tables(tmp_path)
    opened = landing.open_file

    def guarded(directory: Path, path: str) -> BinaryIO:
        if path == "personen.csv":
            raise PermissionError(13, "Permission denied")
        return opened(directory, path)

    monkeypatch.setattr(landing, "open_file", guarded)
    assert refusals(directory, tmp_path / "aside").code == "file_unreadable"


def test_a_file_that_changes_while_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked bytes are archived bytes: no other content can slip in between."""
    directory = tables(tmp_path)
    manifest = manifest_of(directory)
    archive(directory, manifest, tmp_path / "before")
    file = directory / "wachtlijst.csv"
    opened = landing.open_file

    def swapped(directory: Path, path: str) -> BinaryIO:
        if path == file.name:
            file.write_bytes(file.read_bytes().replace(b"MO", b"NT2"))
        return opened(directory, path)

    monkeypatch.setattr(landing, "open_file", swapped)
    with pytest.raises(Refusal, match="checksum_mismatch"):
        archive(directory, manifest, tmp_path / "aside")


def test_the_archived_manifest_is_the_one_that_was_read(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    manifest = manifest_of(directory)
    content = (directory / "manifest.json").read_bytes()
    (directory / "manifest.json").write_bytes(content.replace(b"true", b"false"))
    taken = archive(directory, manifest, tmp_path / "aside")
    assert (tmp_path / "aside" / "manifest.json").read_bytes() == content
    assert taken == fingerprint(tmp_path / "aside") != fingerprint(directory)


# Zips


def linked_member(target: str) -> dict[str | zipfile.ZipInfo, bytes]:
    member = zipfile.ZipInfo(f"{INSZ}.xml")
    member.create_system = 3
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return {member: target.encode()}


@pytest.mark.parametrize(
    "name",
    [f"../{INSZ}.xml", f"a/../../{INSZ}.xml", f"/tmp/{INSZ}.xml", f"..\\{INSZ}.xml", f"C:\\{INSZ}.xml", "a\n.xml"],
)
def test_a_zip_that_leads_elsewhere(tmp_path: Path, name: str) -> None:
    assert refusals(dossier_zip(tmp_path, {name: b"<a/>"}), tmp_path / "aside").code == "manifest_invalid"


@pytest.mark.parametrize("target", ["/etc/passwd", "b.xml"])
def test_a_zip_with_a_link(tmp_path: Path, target: str) -> None:
    members = linked_member(target) | {"b.xml": b"<b/>"}
    assert refusals(dossier_zip(tmp_path, members, rows=2), tmp_path / "aside").code == "manifest_invalid"


def test_a_zip_with_two_members_of_one_name(tmp_path: Path) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr(f"{INSZ}.xml", b"<a/>")
        file.writestr(f"{INSZ}.xml", b"<b/>")
    assert refusals(zip_bytes(tmp_path, packed.getvalue(), 2), tmp_path / "aside").code == "manifest_invalid"


@pytest.mark.parametrize("bomb", ["one large file", "many files", "a lying directory"])
def test_a_zip_bomb(tmp_path: Path, bomb: str) -> None:
    megabyte = bytes(1 << 20)
    if bomb == "one large file":
        directory = dossier_zip(tmp_path, {f"{INSZ}.xml": megabyte * 65})
    elif bomb == "many files":
        directory = dossier_zip(tmp_path, {f"{n}.xml": megabyte for n in range(70)}, rows=70)
    else:  # says of 65 MiB that they are one byte: whoever reads it gets one byte and an error, never more
        directory = dossier_zip(tmp_path, {f"{INSZ}.xml": megabyte * 65})
        content = (directory / "dossiers.zip").read_bytes().replace((65 << 20).to_bytes(4, "little"), b"\1\0\0\0")
        directory = zip_bytes(tmp_path, content)
        archive(directory, manifest_of(directory), tmp_path / "aside")
        with zipfile.ZipFile(directory / "dossiers.zip") as packed, pytest.raises(zipfile.BadZipFile):
            packed.read(f"{INSZ}.xml")
        return
    refused = refusals(directory, tmp_path / "aside")
    assert (refused.code, "unpacks to more" in refused.detail) == ("manifest_invalid", True)


def test_a_zip_that_packs_well_is_no_bomb(tmp_path: Path) -> None:
    members = {f"{n}.xml": f"<dossier n='{n}'>".encode() + os.urandom(50).hex().encode() * 300 for n in range(500)}
    directory = dossier_zip(tmp_path, members, rows=500)
    size = (directory / "dossiers.zip").stat().st_size
    assert sum(map(len, members.values())) > 50 * size
    archive(directory, manifest_of(directory), tmp_path / "aside")


@pytest.mark.parametrize("damage", ["no zip", "empty", "cut off", "encrypted"])
def test_a_zip_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    content = (dossier_zip(tmp_path, {f"{INSZ}.xml": b"<a/>" * 99}) / "dossiers.zip").read_bytes()
    encrypted = bytearray(content)
    encrypted[content.index(b"PK\1\2") + 8] |= 1
    broken = {"no zip": b"<a/>", "empty": b"", "cut off": content[:-30], "encrypted": bytes(encrypted)}
    assert refusals(zip_bytes(tmp_path, broken[damage]), tmp_path / "aside").code == "file_unreadable"


# Lying there unchanged


def test_the_fingerprint_can_be_checked_by_hand(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    shown = subprocess.run(
        "sha256sum * | LC_ALL=C sort -k2 | sha256sum",
        shell=True,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    assert fingerprint(directory) == shown.stdout.split()[0]
    assert archive(directory, manifest_of(directory), tmp_path / "aside") == fingerprint(directory)
    assert fingerprint(tmp_path / "aside") == fingerprint(directory)


def changed(directory: Path, change: str) -> None:
    file = directory / "personen.csv"
    if change == "a byte":
        file.write_bytes(file.read_bytes().replace(b"MA", b"TR"))
    elif change == "a byte, times kept":
        before = file.stat()
        file.write_bytes(file.read_bytes().replace(b"MA", b"TR"))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "file gone":
        file.unlink()
    elif change == "linked":
        file.rename(directory.parent / "elsewhere")
        file.symlink_to(directory.parent / "elsewhere")
    elif change == "manifest":
        text = (directory / "manifest.json").read_text()
        (directory / "manifest.json").write_text(text + "\n")
    elif change == "no manifest":
        (directory / "manifest.json").write_text("")
    elif change == "renamed":
        file.rename(directory / "contracten.csv")


@pytest.mark.parametrize(
    "change", ["a byte", "a byte, times kept", "file gone", "linked", "manifest", "no manifest", "renamed"]
)
def test_other_bytes_have_another_fingerprint_and_signature(tmp_path: Path, change: str) -> None:
    directory = tables(tmp_path)
    before = fingerprint(directory), signature(directory)
    changed(directory, change)
    assert fingerprint(directory) != before[0]
    assert signature(directory) != before[1]


@pytest.mark.parametrize("change", ["added", "removed", "a byte", "renamed"])
def test_other_dossiers_have_another_fingerprint_and_signature(tmp_path: Path, change: str) -> None:
    directory = dossier_folder(tmp_path, {"a.xml": b"<a/>", "b.xml": b"<b/>"})
    folder = directory / "kbi" / "dossiers"
    before = fingerprint(directory), signature(directory)
    if change == "added":
        (folder / "c.xml").write_bytes(b"<c/>")
    elif change == "removed":
        (folder / "b.xml").unlink()
    elif change == "a byte":
        (folder / "b.xml").write_bytes(b"<c/>")
    else:
        (folder / "b.xml").rename(folder / "c.xml")
    assert fingerprint(directory) != before[0]
    assert signature(directory) != before[1]


def test_what_is_not_delivered_changes_nothing(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    before = fingerprint(directory), signature(directory)
    (directory / "taken.flag").touch()
    assert (fingerprint(directory), signature(directory)) == before


def test_a_touched_file_has_another_signature_and_the_same_fingerprint(tmp_path: Path) -> None:
    directory = tables(tmp_path)
    before = fingerprint(directory), signature(directory)
    os.utime(directory / "personen.csv", (0, 0))
    assert fingerprint(directory) == before[0]
    assert signature(directory) != before[1]


def test_identity_of_a_delivery_with_a_hostile_manifest(tmp_path: Path) -> None:
    """Neither refuses nor leaves the directory, nor waits for a pipe."""
    directory = tmp_path / "d1"
    directory.mkdir()
    os.mkfifo(directory / "pipe")
    (tmp_path / "secret").write_text("x")
    paths: list[Any] = ["../secret", "/etc/passwd", "pipe", "nowhere/else", "x" * 5000, "\0", 7, None]
    (directory / "manifest.json").write_text(json.dumps({"files": [{"path": path} for path in paths]}))
    outcome: list[str] = []
    thread = threading.Thread(
        target=lambda: outcome.extend([fingerprint(directory), signature(directory)]), daemon=True
    )
    thread.start()
    thread.join(20)
    assert [len(identity) for identity in outcome] == [64, 64]
    (tmp_path / "secret").write_text("y")
    assert [fingerprint(directory), signature(directory)] == outcome
