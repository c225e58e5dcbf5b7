"""What the warehouse knows and serves at this moment.

Here: the ledger, the manifest of the release being served and the free disk, put together for people (text) and for
machines (JSON). Not here: any figure about participants (``answer.py``). The warehouse is not opened, so this works in
the middle of a night, and before the first.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration.ledger import Entry, Ledger
from orchestration.publication import Release, Rollback, current, needs_publication, rollback_in_force
from orchestration.records import Record, records
from orchestration.settings import Settings

_SHOWN = {
    "delivery_id",
    "extracted_at",
    "kind",
    "synthetic",
    "taken_at",
    "rule_counts",
    "unexpected_columns",
    "reconciliation",
}
_LAST = 5
"""Acts by hand, and deliveries with what was wrong in them, that the text shows."""
_COUNTS = ("n_delivered", "n_accepted", "n_quarantined", "n_duplicates")


@dataclass(frozen=True)
class Disk:
    """Room on the file system of ``KBI_DATA``, in bytes."""

    path: Path
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Status:
    """``entries``: every delivery directory seen, taken ones first in their order. ``release``: the one being served.

    ``is_publication_due``: deliveries were taken, or the code changed, since that release, or since the ``rollback``
    that put it back. ``records``: what people did by hand, oldest first.
    """

    entries: tuple[Entry, ...]
    release: Release | None
    is_publication_due: bool
    disk: Disk
    rollback: Rollback | None = None
    records: tuple[Record, ...] = ()

    def as_json(self) -> str:
        """The document described in docs/runbook.md, "What `kbi status` says"."""
        document = {
            "deliveries": [_delivery(entry) for entry in self.entries],
            "publication": self.release and {**self.release.manifest, "directory": str(self.release.directory)},
            "publication_due": self.is_publication_due,
            "rollback": self.rollback and asdict(self.rollback),
            "records": [asdict(record) for record in self.records],
            "disk": asdict(self.disk),
        }
        return json.dumps(document, indent=2, ensure_ascii=False, default=str)

    def as_text(self) -> str:
        """For a terminal: deliveries with their rows, what was refused and why, the release served, the disk."""
        taken = [entry for entry in self.entries if entry.status == "taken"]
        refused = [(entry, *refusal) for entry in self.entries if (refusal := entry.refusal)]
        lines = [f"Deliveries taken: {len(taken)}"]
        lines += _table(
            ["delivery", "of", "kind", "delivered", "accepted", "quarantined", "duplicate"],
            [[e.delivery_id, f"{e.date}", e.kind or "", *(f"{n:,}" for n in totals(e).values())] for e in taken],
        )
        for entry in taken:
            lines += [f"  {entry.delivery_id}: unexpected column {extract}.{name}, kept out"
                      for extract, names in entry.unexpected_columns.items() for name in names]  # fmt: skip
        if broken := [entry for entry in taken[-_LAST:] if entry.rule_counts]:
            lines += ["", "Rows quarantined, by rule (a row may break several; the JSON tells of which extract):"]
            lines += [f"  {entry.delivery_id}: {_broken_rules(*entry.rule_counts.values())}" for entry in broken]
        lines += ["", f"Deliveries refused: {len(refused)}"]
        for entry, code, detail in refused:
            lines.append(f"  {entry.delivery_id}: {code}: {detail}")
            if entry.status == "refused":
                lines += [f"    {name}: {_broken_rules(counts)}" for name, counts in entry.rule_counts.items()]
        lines += ["", *self._publication()]
        if self.records:
            lines += ["", "Done by hand, latest last:", *(f"  {record}" for record in self.records[-_LAST:])]
        free, total = self.disk.free_bytes / 1e9, self.disk.total_bytes / 1e9
        lines += ["", f"Disk: {free:,.1f} GB free of {total:,.1f} GB at {self.disk.path}"]
        return "\n".join(lines)

    def _publication(self) -> list[str]:
        due = "A publication is due: run `kbi night`." if self.is_publication_due else "No publication is due."
        if self.release is None:
            return ["Published: nothing yet.", due]
        manifest = self.release.manifest
        return [
            f"Published: {manifest['release_id']}, state of knowledge of {manifest['known_on']}"
            + (" (synthetic data: nobody real)" if manifest["synthetic"] else ""),
            f"  {self.release.directory}",
            f"  written {manifest['created_at']} by {manifest['code_version']},"
            f" {len(manifest['marts'])} marts, {sum(mart['rows'] for mart in manifest['marts']):,} rows",
            *self._rolled_back(),
            due,
        ]

    def _rolled_back(self) -> list[str]:
        if self.rollback is None:
            return []
        replaced = self.rollback.instead_of
        return [
            f"  AN EARLIER RELEASE IS SERVED: rolled back at {self.rollback.at}, from {replaced}"
            + (f" ({self.rollback.reason})." if self.rollback.reason else "."),
            "  It stays until another delivery is taken or the code changes;"
            f" `kbi rollback {replaced}` serves that one again.",
        ]


def status(settings: Settings) -> Status:
    """Look at ``KBI_DATA`` as it is now; before the first night everything is empty."""
    data = next(path for path in (settings.data, *settings.data.parents) if path.exists())
    usage = shutil.disk_usage(data)
    return Status(
        entries=tuple(Ledger(settings.ledger).entries()),
        release=current(settings),
        is_publication_due=needs_publication(settings),
        disk=Disk(settings.data, usage.free, usage.total),
        rollback=rollback_in_force(settings),
        records=tuple(records(settings)),
    )


def totals(entry: Entry) -> dict[str, int]:
    """Rows of a delivery over all its extracts, by where they went."""
    return {count: sum(getattr(account, count) for account in entry.reconciliation) for count in _COUNTS}


def _delivery(entry: Entry) -> dict[str, Any]:
    code, detail = entry.refusal or (None, None)
    latest = {"status": "refused" if code else "taken", "refusal_code": code, "refusal_detail": detail}
    return entry.model_dump(mode="json", include=_SHOWN) | latest | totals(entry)


def _broken_rules(*counts: Mapping[str, int]) -> str:
    """How many rows broke which rule, over all that is given."""
    total = sum(map(Counter, counts), Counter())
    return ", ".join(f"{code} {n:,}" for code, n in total.items())


def _table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Text to the left in the first three columns, numbers to the right; nothing for no rows."""
    rows = list(rows)
    if not rows:
        return []
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return [
        "  " + "  ".join(
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]  # fmt: skip
