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

DOSSIERS = "dossiers"
_ROWS_PER_BATCH = 10_000


@dataclass(frozen=True)
class Flattened:
    """What a delivery of dossiers came to: ``files`` = good + ``invalid`` + ``duplicates``; ``rows`` per extract."""

    files: int
    invalid: int
    duplicates: int
    rows: Mapping[str, int]


def dossier_names(path: Path) -> list[str]:
    """The ``.xml`` files in a directory or zip, in the order in which they are numbered.

    Raises:
        Refusal: ``file_unreadable``, the zip cannot be read.
    """
    if path.is_dir():
        names = [file.name for file in path.iterdir()]
    else:
        with _readable(path), zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    return sorted(name for name in names if name.endswith(".xml"))


def flatten(path: Path, into: Path, key: Key, columns: Mapping[str, Sequence[str]]) -> Flattened:
    """Write ``into/<extract>.parquet`` for every flattened extract, and ``into/dossiers.parquet``.

    The extracts hold their ``columns`` as text and ``line_number`` (1 = first row, in the order of file names, then of
    the document). ``dossiers.parquet`` has a row per file: ``line_number`` (rank of the file name), ``file_name``,
    ``insz`` (null where there is no good dossier), ``dossier_error`` (null = good) and ``is_duplicate`` (byte-equal to
    an earlier file, not flattened again). Both hold persons' numbers and belong in a restricted zone.

    Args:
        path: the directory or zip of dossiers, as archived.
        columns: per extract, the expected columns in order.

    Raises:
        Refusal: ``file_unreadable``, the zip cannot be read.
    """
    into.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    n_invalid = n_duplicates = 0
    with ExitStack() as open_files:
        tables = {
            extract: open_files.enter_context(_TextFile(into / f"{extract}.parquet", columns[extract]))
            for extract in FLATTENED_EXTRACTS
        }
        files = open_files.enter_context(
            _TextFile(into / f"{DOSSIERS}.parquet", ("file_name", "insz", "dossier_error"), is_duplicate=pa.bool_())
        )
        for name, content, digest in _contents(path):
            if digest in seen:
                n_duplicates += 1
                files.add({"file_name": name, "is_duplicate": True})
                continue
            seen.add(digest)
            try:
                dossier = read_dossier(content)
            except InvalidDossier as invalid:
                n_invalid += 1
                files.add({"file_name": name, "dossier_error": str(invalid), "is_duplicate": False})
                continue
            files.add({"file_name": name, "insz": text_of(dossier, "Personalia/INSZ"), "is_duplicate": False})
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
    with _readable(path), zipfile.ZipFile(path) as archive:
        for name in dossier_names(path):
            with archive.open(name) as file:
                yield name, *_read(file)


def _read(file: IO[bytes]) -> tuple[bytes, bytes]:
    content = file.read(MAX_DOSSIER_BYTES + 1)
    digest = hashlib.sha256(content)
    while chunk := file.read(2**20):
        digest.update(chunk)
    return content, digest.digest()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise Refusal(
            "file_unreadable",
            f"{path.name} is not a zip that can be read ({type(error).__name__}): it is broken, encrypted or packed in "
            "an unknown way. Have it delivered again.",
        ) from error


class _TextFile:
    """Text Parquet written in batches; rows are numbered from 1."""

    def __init__(self, path: Path, columns: Sequence[str], **further: pa.DataType) -> None:
        types = dict.fromkeys(columns, pa.string()) | further
        self._schema = pa.schema([("line_number", pa.int64()), *types.items()])
        self._names = list(types)
        self._path = path
        self._batch: list[list[str | bool | None]] = []
        self.rows = 0

    def __enter__(self) -> _TextFile:
        self._writer = pq.ParquetWriter(self._path, self._schema, compression="zstd", compression_level=1)
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
        first = self.rows - len(self._batch) + 1
        values = [
            range(first, self.rows + 1),
            *(zip(*self._batch, strict=True) if self._batch else [[] for _ in self._names]),
        ]
        self._writer.write_table(
            pa.table([pa.array(v, t.type) for v, t in zip(values, self._schema, strict=True)], schema=self._schema)
        )
        self._batch.clear()
