"""What was known of every extract, from which delivery to which.

Here: how versions of rows lie on disk and the queries that read a state or the whole history from them. Not here: which
rows a delivery brings or ends (``validation.py``, ``merging.py``), or any meaning of a row (dbt).

A delivery's directory in the validated zone holds what changed with it, and nothing else:

* ``<extract>.parquet``: versions of rows that are known from this delivery on (``delivered_in``);
* ``ended/<extract>.parquet``: versions known until then, by the delivery that brought them and their place in its file
  (``ended_in``: the delivery of the directory).

* ``quarantined/<extract>.parquet``: keys of its quarantined rows, as far as they could be read: what comes under one of
  them later is a repair.

No change, no file; only the first delivery has a file for every extract. So storage grows with what changes. Files are
never changed once their delivery is committed, and the state with any delivery can be read at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from orchestration.sql import quoted_list
from schemas import EXTRACTS, validated_schema

ROW_NUMBER = "row_number"
"""Place of a version in its file, from 0."""
ENDED_IN = "ended_in"
"""The delivery with which a version ceased to be known."""


def versions_file(directory: Path, extract: str) -> Path:
    """Versions that are known from the delivery of this directory on."""
    return directory / f"{extract}.parquet"


def ended_file(directory: Path, extract: str) -> Path:
    """Versions known until the delivery of this directory."""
    return directory / "ended" / f"{extract}.parquet"


def quarantined_keys_file(directory: Path, extract: str) -> Path:
    """Keys of the rows of this delivery that were quarantined, numbers of persons as pseudonyms."""
    return directory / "quarantined" / f"{extract}.parquet"


@dataclass(frozen=True)
class Changes:
    """What one delivery changed in the state of one extract: versions that begin with it, and that end."""

    n_versions: int
    n_ended: int


def changes_of(directory: Path, extract: str) -> Changes:
    """Count them, without reading a row."""
    files = versions_file(directory, extract), ended_file(directory, extract)
    return Changes(*(pq.read_metadata(path).num_rows if path.exists() else 0 for path in files))


def has_todays_shape(directory: Path) -> bool:
    """Whether the files of a delivery can be read and have the columns that ``schemas`` gives rows now."""
    there = [(path, extract) for name, extract in EXTRACTS.items() if (path := versions_file(directory, name)).exists()]
    try:
        return all(pq.read_schema(path).names == list(validated_schema(extract)) for path, extract in there)
    except PermissionError:
        raise
    except (pa.ArrowException, OSError):  # depending on where in its footer a file is damaged
        return False


def state_query(directories: Sequence[Path], extract: str) -> str:
    """The rows known with the last of these deliveries: columns of ``schemas.validated_schema`` and ``ROW_NUMBER``.

    Args:
        directories: of all deliveries up to that one, in the order in which they were taken; at least one.
    """
    versions = _versions(directories, extract)
    ended = quoted_list(ended_file(directory, extract) for directory in directories)
    if not ended:
        return versions
    return (
        f"select versions.* from ({versions}) as versions "
        f"anti join read_parquet({ended}) as ended using (delivered_in, {ROW_NUMBER})"
    )


def changes_query(before: Sequence[Path], deliveries: Sequence[Path], extract: str) -> str:
    """The versions that began with these deliveries and hold after them, or held before them and ended with them.

    Columns of a row, and ``is_new``: which of the two.

    Args:
        before: directories of all deliveries before them, in order; at least one.
        deliveries: their own, in order.
    """
    columns = f"* exclude ({ROW_NUMBER})"
    parts = []
    if any(versions_file(directory, extract).exists() for directory in deliveries):
        parts.append(f"select {columns}, true as is_new from ({state_query(deliveries, extract)})")
    if ended := quoted_list(ended_file(directory, extract) for directory in deliveries):
        parts.append(
            f"select {columns}, false as is_new from ({state_query(before, extract)}) "
            f"semi join read_parquet({ended}) using (delivered_in, {ROW_NUMBER})"
        )
    if not parts:
        parts.append(f"select {columns}, true as is_new from ({_versions(before, extract)}) limit 0")
    return " union all ".join(parts)


def history_query(directories: Sequence[Path], extract: str) -> str:
    """Every version ever known up to the last of these deliveries, with ``known_from`` and ``known_until``.

    Both are deliveries; a version is known with the first and no longer with the second, which is empty where it holds.
    """
    columns = f"select versions.* exclude (delivered_in, {ROW_NUMBER}), versions.delivered_in as known_from"
    versions = _versions(directories, extract)
    endings = quoted_list(ended_file(directory, extract) for directory in directories)
    if not endings:
        return f"{columns}, cast(null as varchar) as known_until from ({versions}) as versions"
    return (
        f"{columns}, ended.{ENDED_IN} as known_until from ({versions}) as versions "
        f"left join read_parquet({endings}) as ended using (delivered_in, {ROW_NUMBER})"
    )


def _versions(directories: Sequence[Path], extract: str) -> str:
    files = quoted_list(versions_file(directory, extract) for directory in directories)
    return (
        f"select * exclude (file_row_number), file_row_number as {ROW_NUMBER} "
        f"from read_parquet({files}, file_row_number = true)"
    )
