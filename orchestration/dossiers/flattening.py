"""From delivered files to text Parquet: one dossier after the other, in the order of their file names.

Here: which files are dossiers, byte-equal ones, line numbers, and writing in batches. Not here: a dossier's contents
(``answers.py``, ``blocks.py``), the files' hashes and the safety of a zip's paths (``landing.py``).
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.dossiers.answers import MAX_DOSSIER_BYTES, InvalidDossier, read_dossier, text_of
from orchestration.dossiers.blocks import FLATTENED_EXTRACTS, rows_of
from orchestration.manifest import Refusal
from orchestration.pseudonyms import Key
from schemas import DELETED, DOSSIER_ERROR, DOSSIERS, EXTRACTS, LINE_NUMBER

IS_DUPLICATE = "is_duplicate"
"""Column of ``dossiers.parquet``: the file is byte-equal to an earlier one."""
_ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class Flattened:
    """What a delivery of dossiers came to: ``files`` = good + ``invalid`` + ``duplicates``; ``rows`` per extract."""

    files: int
    invalid: int
    duplicates: int
    rows: Mapping[str, int]


def dossier_names(path: Path) -> list[str]:
    """The ``.xml`` files in a directory or zip (with their folders there), in the order in which they are numbered.

    Raises:
        Refusal: ``file_unreadable``, the zip cannot be read.
    """
    if path.is_dir():
        names = [file.name for file in path.iterdir() if file.is_file()]
    else:
        with _opened_zip(path) as archive:
            names = archive.namelist()
    return sorted(name for name in names if name.endswith(".xml"))


def flatten(path: Path, into: Path, key: Key, *, delta: bool = False) -> Flattened:
    """Write ``into/<extract>.parquet`` for every flattened extract, and ``into/dossiers.parquet``.

    The extracts are text Parquet (docs/architecture.md), numbered in the order of file names, then of the document; in
    a delta with an empty ``verwijderd``, for what a dossier no longer holds it cannot name.
    ``dossiers.parquet`` has a row per file: ``line_number`` (rank of the file name), ``file_name``, ``insz`` (null
    where there is no good dossier), the fact ``DOSSIER_ERROR`` (null = good) and ``IS_DUPLICATE`` (byte-equal to an
    earlier file and not flattened again). All of them hold persons' numbers and belong in a restricted zone.

    Two dossiers of one person are both flattened, each with its own ranks of equals: where they agree their rows are
    duplicates, where they do not they conflict, as any two rows of one key.

    Args:
        path: the directory or zip of dossiers, as archived.

    Raises:
        Refusal: ``file_unreadable``, the zip cannot be read.
    """
    into.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    n_invalid = n_duplicates = 0
    with ExitStack() as open_files:
        tables = {
            extract: open_files.enter_context(_TextFile(into / f"{extract}.parquet", _columns(extract, delta)))
            for extract in FLATTENED_EXTRACTS
        }
        files = open_files.enter_context(
            _TextFile(into / f"{DOSSIERS.name}.parquet", ["file_name", "insz", DOSSIER_ERROR], flags=[IS_DUPLICATE])
        )
        for name, content, digest in _contents(path):
            if digest in seen:
                n_duplicates += 1
                files.add({"file_name": name, IS_DUPLICATE: True})
                continue
            seen.add(digest)
            try:
                dossier = read_dossier(content)
            except InvalidDossier as invalid:
                n_invalid += 1
                files.add({"file_name": name, DOSSIER_ERROR: str(invalid), IS_DUPLICATE: False})
                continue
            files.add({"file_name": name, "insz": text_of(dossier, "Personalia/INSZ"), IS_DUPLICATE: False})
            for extract, row in rows_of(dossier, key):
                tables[extract].add(row)
    return Flattened(files.rows, n_invalid, n_duplicates, {extract: table.rows for extract, table in tables.items()})


def _contents(path: Path) -> Iterator[tuple[str, bytes, bytes]]:
    """Name, content and hash of every dossier; of a file too large to be one only so much that this shows."""
    if path.is_dir():
        for name in dossier_names(path):
            with (path / name).open("rb") as file:
                yield name, *_read(file)
        return
    names = dossier_names(path)
    with _opened_zip(path) as archive:
        for name in names:
            with archive.open(name) as file:
                yield name, *_read(file)


def _read(file: IO[bytes]) -> tuple[bytes, bytes]:
    content = file.read(MAX_DOSSIER_BYTES + 1)
    digest = hashlib.sha256(content)
    while chunk := file.read(2**20):
        digest.update(chunk)
    return content, digest.digest()


def _columns(extract: str, delta: bool) -> list[str]:
    return [*EXTRACTS[extract].names, *([DELETED] if delta else [])]


@contextmanager
def _opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Refusal(
            "file_unreadable", f"cannot be unpacked ({type(error).__name__}): it is damaged. Pack and deliver it again."
        ) from None


class _TextFile:
    """Text Parquet written in batches; rows are numbered from 1."""

    def __init__(self, path: Path, columns: Sequence[str], flags: Sequence[str] = ()) -> None:
        types = dict.fromkeys(columns, pa.string()) | dict.fromkeys(flags, pa.bool_())
        self._schema = pa.schema([(LINE_NUMBER, pa.int64()), *types.items()])
        self._names = list(types)
        self._path = path
        self._batch: list[list[str | bool | None]] = []
        self.rows = 0

    def __enter__(self) -> _TextFile:
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="snappy")
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self._writer.close()

    def add(self, row: Mapping[str, str | bool | None]) -> None:
        self.rows += 1
        self._batch.append([row.get(name) for name in self._names])
        if len(self._batch) == _ROWS_PER_BATCH:
            self._write()

    def _write(self) -> None:
        numbers = range(self.rows - len(self._batch) + 1, self.rows + 1)
        values = [numbers, *(zip(*self._batch, strict=True) if self._batch else [()] * len(self._names))]
        columns = [pa.array(column, f.type) for column, f in zip(values, self._schema, strict=True)]
        self._writer.write_table(pa.table(columns, schema=self._schema))
        self._batch.clear()
