"""What became of every delivery: one JSON document per delivery directory, its latest status.

Here: writing, reading and ordering those entries. Writing a ``taken`` entry is the commit point of a delivery: its
directories in the archive, the quarantine and the validated zone exist for a reader only from then on. Not here: the
decision to take or refuse (``intake.py``), rows of any kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from orchestration.disk import reading, write_whole
from orchestration.manifest import BRUSSELS

_LONGEST_NAME = 200

DELIVERY_CHANGED = (
    "this delivery was taken before with other bytes. What was taken stays; deliver corrections under a new "
    "delivery_id, or put the bytes of that time back."
)
"""What is said of a taken delivery whose ``changed_fingerprint`` is set."""

WITHDRAWN = "withdrawn"
"""Refusal code of bytes that were taken and then withdrawn (``kbi withdraw``)."""


class RowAccount(BaseModel):
    """Where the rows of one extract of one delivery went: delivered = accepted + quarantined + duplicates."""

    model_config = ConfigDict(frozen=True)

    extract: str
    n_delivered: int
    n_accepted: int
    n_quarantined: int
    n_duplicates: int


class Entry(BaseModel):
    """The latest status of one delivery directory.

    ``fingerprint``: identity of the bytes (manifest and files) that were taken or refused; ``changed_fingerprint``:
    that of other bytes under which a taken delivery lies there now (``delivery_changed``); ``signature``: cheap
    attributes of the files, under which that identity was established. ``rule_counts``: quarantined rows per extract
    and rule code; one row may count under several codes. A refused delivery has no row accounts: nothing was taken.
    ``archived``: identity of the archived bytes where erased persons were left out of them; ``left_out``: how many rows
    that were, per extract. ``withdrawn``: fingerprints under which this delivery was taken and withdrawn; those bytes
    are never taken again. ``kept``: the Parquet files that were made of it, below ``KBI_DATA/<zone>/<delivery_id>``, as
    ``<zone>/<path>``.
    """

    model_config = ConfigDict(frozen=True)

    delivery_id: str
    status: Literal["taken", "refused"]
    extracted_at: datetime | None = None
    kind: str | None = None
    synthetic: bool | None = None
    taken_at: datetime | None = None
    refusal_code: str | None = None
    refusal_detail: str | None = None
    fingerprint: str | None = None
    archived: str | None = None
    left_out: Mapping[str, int] = Field(default_factory=dict)
    changed_fingerprint: str | None = None
    signature: str | None = None
    key_version: str | None = None
    files: tuple[Mapping[str, str | int], ...] = ()
    rule_counts: Mapping[str, Mapping[str, int]] = Field(default_factory=dict)
    reconciliation: tuple[RowAccount, ...] = ()
    unexpected_columns: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def fingerprint_now(self) -> str | None:
        """Identity of the bytes that lie in the landing zone, as far as this entry knows."""
        return self.changed_fingerprint or self.fingerprint

    @property
    def archived_fingerprint(self) -> str | None:
        """Identity of the bytes in the archive: those that were taken, less the rows of erased persons."""
        return self.archived or self.fingerprint

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Code and detail if the directory as it lies there now is refused.

        What was taken of it before still counts: ``taken_at`` tells.
        """
        if self.changed_fingerprint:
            return "delivery_changed", DELIVERY_CHANGED
        return (self.refusal_code, self.refusal_detail or "") if self.refusal_code else None

    @property
    def order(self) -> tuple[datetime, str]:
        """Deliveries are taken in this order. Only entries of readable manifests have one."""
        if self.extracted_at is None:
            raise ValueError(f"delivery {self.delivery_id} has no readable extracted_at")
        return self.extracted_at, self.delivery_id

    @property
    def date(self) -> date:
        """The date of the delivery: the calendar date of ``extracted_at`` in Brussels."""
        return self.order[0].astimezone(BRUSSELS).date()

    def is_known_on(self, day: date) -> bool:
        """Whether it exists for a state of knowledge: it is dated up to the end of that day."""
        try:
            return self.extracted_at is not None and self.date <= day
        except OverflowError:
            # Refused for a time at the very edge of the calendar, which Brussels puts beyond it.
            return False


class Ledger:
    """The entries in one directory; absent directory = no delivery yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def entries(self, known_on: date | None = None) -> list[Entry]:
        """Latest status of every delivery directory ever seen, taken ones first in their order, then by name.

        Args:
            known_on: only deliveries dated up to the end of this day. One whose manifest tells no time has no date.
        """
        entries = [self._read(path) for path in sorted(self._directory.glob("*.json"))]
        if known_on:
            entries = [entry for entry in entries if entry.is_known_on(known_on)]
        taken = sorted((entry for entry in entries if entry.status == "taken"), key=lambda entry: entry.order)
        return taken + sorted((e for e in entries if e.status != "taken"), key=lambda entry: entry.delivery_id)

    def taken(self, known_on: date | None = None) -> list[Entry]:
        """The deliveries that make up the warehouse's knowledge, in the order in which they were taken.

        Args:
            known_on: what it knew at the end of this day: only deliveries dated up to then.
        """
        return [entry for entry in self.entries(known_on) if entry.status == "taken"]

    def of(self, delivery_id: str) -> Entry | None:
        """The latest status of one delivery directory."""
        path = self._path(delivery_id)
        return self._read(path) if path.exists() else None

    def record(self, entry: Entry) -> None:
        """Replace the delivery's entry, whole or not at all."""
        self._directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(entry.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        write_whole(self._path(entry.delivery_id), text.encode())

    def _read(self, path: Path) -> Entry:
        remedy = (
            f"Restore it from a backup of `{self._directory.name}/`. Without one, move all of that folder away and run "
            "`kbi rebuild`: it takes everything in the archive again, but no longer knows what was refused."
        )
        with reading(path, remedy):
            return Entry.model_validate_json(path.read_bytes())

    def _path(self, delivery_id: str) -> Path:
        # A directory may have a name that is no valid delivery_id: its refusal is recorded all the same.
        name = quote(delivery_id, safe="")
        if len(name) > _LONGEST_NAME:
            name = hashlib.sha256(name.encode()).hexdigest()
        return self._directory / f"{name}.json"
