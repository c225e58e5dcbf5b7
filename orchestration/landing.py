"""The bytes of a delivery: are they the announced ones, and a copy of them that stays.

Here: hashes, the archive, and what tells that a delivery lies there unchanged. Not here: how the landing zone is opened
(``deliveries.py``), what the bytes say (``reading.py``, ``dossiers``).

Whoever delivers can write to the landing zone at any time, so bytes are hashed while they are copied and everything
later reads the copy: what is judged is what was checked, whatever happens over there meanwhile. Dossiers may be named
after the person they are about, so no message names one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from orchestration.deliveries import MANIFEST, IrregularFileError, list_folder, open_file
from orchestration.disk import sync
from orchestration.manifest import DeliveredFile, Manifest, Refusal, about, glimpse

_MIB = 1 << 20
_LARGEST_DOSSIER = 64 * _MIB
"""Unpacked bytes of one file in a zip; a real dossier takes some tens of thousands."""
_LARGEST_RATIO = 200
"""Unpacked to packed bytes of a zip as a whole. Dossiers reach 10 to 30, what deflate can do at most is 1032."""
_ABSENT = "-"


def archive(directory: Path, manifest: Manifest, target: Path) -> str:
    """Copy the manifest and the files it lists to ``target``, which must not exist; returns their ``fingerprint``.

    The copy is written once and for its owner only (files 0400, folders 0700). It is on disk when this returns, but for
    the entry of ``target`` in its parent folder, which is left to whoever renames it.

    Raises:
        Refusal: ``file_missing``, ``checksum_mismatch``, ``manifest_invalid`` (a link on the way, or no file at its
            end; a zip that would unpack elsewhere or without measure), ``file_unreadable`` (it may not be read, or is
            no zip), ``row_count_mismatch`` (of dossiers). ``target`` is incomplete then.
    """
    target.mkdir(mode=0o700)
    with _new_file(target / MANIFEST) as copy:
        copy.write(manifest.content)
    hashes: dict[str, str] = {}
    for file in manifest.files:
        with about(f"Delivery {directory.name}, file {file.path}"):
            if file.format == "kbi-xml":
                hashes |= _copy_dossiers(directory, file, target)
            else:
                hashes[file.path] = _copied(directory, file.path, target)
                _check_hash(file, hashes[file.path])
    _settle(target)
    return _fingerprint({MANIFEST: hashlib.sha256(manifest.content).hexdigest(), **hashes})


def fingerprint(directory: Path) -> str:
    """Identity of the bytes of a delivery: manifest and listed files, whatever else lies beside them.

    Equal to what ``archive`` returned as long as they are the same. Never refuses: what is not there counts as such.
    SHA-256, 64 hex digits, of the lines that ``sha256sum`` prints for the files, in order of their paths.
    """

    def hashed(path: str) -> str:
        try:
            with open_file(directory, path) as file:
                return _hash(file)
        except (FileNotFoundError, IrregularFileError, PermissionError):
            return _ABSENT

    return _fingerprint({path: hashed(path) for path in _paths_there(directory)})


def sha256_of(path: Path) -> str:
    """SHA-256 of an archived file, or of a folder of dossiers, as a manifest has it."""
    if path.is_dir():
        return _hash_of_lines(_lines((file.name, sha256_of(file)) for file in sorted(path.glob("*.xml"))))
    with path.open("rb") as file:
        return _hash(file)


def signature(directory: Path) -> str:
    """What a ``fingerprint`` cannot have changed without: size, times and inode of the same files, not their bytes."""

    def marks(path: str) -> tuple[int, ...]:
        try:
            status = (directory / path).lstat()
        except OSError:
            return ()
        return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    there = {path: marks(path) for path in _paths_there(directory)}
    return hashlib.sha256(repr(sorted(there.items())).encode()).hexdigest()


def _paths_there(directory: Path) -> list[str]:
    """The files that belong to a delivery, as far as a manifest that need not be valid names them."""
    paths = [MANIFEST]
    for path in glimpse(directory).paths:
        try:
            names = list_folder(directory, path)
        except (FileNotFoundError, IrregularFileError, PermissionError):
            names = None
        paths += [path] if names is None else _dossiers_in(path, names)
    return paths


def _dossiers_in(folder: str, names: list[str]) -> list[str]:
    """Paths of the dossiers in a folder. Anything else is left alone: the manifest's count shows it, if that is one."""
    return [f"{folder}/{name}" for name in names if name.endswith(".xml")]


def _fingerprint(hashes: Mapping[str, str]) -> str:
    return _hash_of_lines(_lines(sorted(hashes.items())))


def _lines(hashes: Iterable[tuple[str, str]]) -> list[str]:
    """As ``sha256sum`` prints them."""
    return [f"{digest}  {name}\n" for name, digest in hashes]


def _hash_of_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def _copy_dossiers(directory: Path, file: DeliveredFile, target: Path) -> dict[str, str]:
    with _as_refusals():
        names = list_folder(directory, file.path)
    if names is None:
        if not file.path.endswith(".zip"):
            raise Refusal("manifest_invalid", "is neither a folder of .xml files nor a .zip of them. Deliver one.")
        hashes = {file.path: _copied(directory, file.path, target)}
        _check_hash(file, hashes[file.path])
        with (target / file.path).open("rb") as packed:
            n_dossiers = _check_zip(packed)
    else:
        paths = _dossiers_in(file.path, names)
        (target / file.path).mkdir(parents=True)
        hashes = {path: _copied(directory, path, target) for path in paths}
        lines = _lines((PurePosixPath(path).name, digest) for path, digest in hashes.items())
        # The contract does not say by what the list is sorted: `sha256sum *.xml` sorts by name, `| sort` by hash.
        _check_hash(file, _hash_of_lines(lines), _hash_of_lines(sorted(lines)))
        n_dossiers = len(paths)
    if n_dossiers != file.rows:
        raise Refusal(
            "row_count_mismatch",
            f"holds {n_dossiers} .xml files, the manifest says {file.rows}. Deliver all of them with their true count.",
        )
    return hashes


def _check_hash(file: DeliveredFile, *hashes: str) -> None:
    if file.sha256 not in hashes:
        raise Refusal(
            "checksum_mismatch",
            "its bytes do not have the SHA-256 that the manifest says: they were damaged or changed on the way. "
            "Deliver it again.",
        )


def _check_zip(packed: BinaryIO) -> int:
    """Refuse a zip that would unpack outside of its folder or without measure; returns its number of ``.xml`` files.

    Nothing is unpacked: no member ever yields more bytes than the directory of the zip says it has.
    """
    try:
        with zipfile.ZipFile(packed) as opened:
            members = opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OSError):
        raise Refusal("file_unreadable", "is no zip that can be read. Pack it again.") from None
    for member in members:
        name = member.orig_filename
        if name.startswith("/") or ".." in name.split("/") or not name.isprintable() or "\\" in name:
            raise Refusal("manifest_invalid", "has a member outside of the zip's own folder. Pack it without paths.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Refusal("manifest_invalid", "has a link among its members. Pack the files themselves.")
        if member.flag_bits & 1:
            raise Refusal("file_unreadable", "has an encrypted member. Pack it without a password.")
    if len({member.filename for member in members}) < len(members):
        raise Refusal("manifest_invalid", "has two members of one name. Pack every dossier under its own.")
    sizes = [member.file_size for member in members]
    limit = max(_LARGEST_DOSSIER, _LARGEST_RATIO * packed.seek(0, os.SEEK_END))
    if sum(sizes) > limit or max(sizes, default=0) > _LARGEST_DOSSIER:
        raise Refusal(
            "manifest_invalid",
            f"unpacks to more than {_LARGEST_RATIO} times its size, or holds a file of more than "
            f"{_LARGEST_DOSSIER // _MIB} MiB. Those are no dossiers; split what is too large.",
        )
    return sum(member.filename.endswith(".xml") for member in members)


def _copied(directory: Path, path: str, target: Path) -> str:
    """SHA-256 of a delivered file, copied to the same path in ``target`` in the same pass."""
    with _as_refusals():
        source = open_file(directory, path)
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    with source, _new_file(target / path) as copy:
        return _hash(source, copy)


def _hash(source: BinaryIO, copy: BinaryIO | None = None) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_MIB):
        digest.update(chunk)
        if copy:
            copy.write(chunk)
    return digest.hexdigest()


def _new_file(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "wb")


def _settle(target: Path) -> None:
    """Close the folders of the archive to others and bring it to disk."""
    entries = [target, *target.rglob("*")]
    for folder in filter(Path.is_dir, entries):
        folder.chmod(0o700)
    # At once, not one after the other: the file system then writes its journal once for many of them.
    with ThreadPoolExecutor(16) as pool:
        deque(pool.map(sync, entries), maxlen=0)


@contextmanager
def _as_refusals() -> Iterator[None]:
    """What opening something in the landing zone may meet, as the contract calls it. A broken disk stays an error."""
    try:
        yield
    except FileNotFoundError:
        raise Refusal("file_missing", "is listed but not there. Deliver it, and the manifest after it.") from None
    except IrregularFileError:
        raise Refusal("manifest_invalid", "is a link or leads over one, or is no file. Deliver real files.") from None
    except PermissionError:
        raise Refusal("file_unreadable", "may not be read. Let the account of the warehouse read it.") from None
