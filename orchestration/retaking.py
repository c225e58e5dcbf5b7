"""Deliveries taken again from the archive: everything, everything but one, or one to see that it gives the same.

Here: which deliveries are taken again, into a data folder made aside, and what then takes the place of what there is.
The same bytes, taken in the same order with the same key, give the same state, quarantine and ledger; which rows lie
where in a file may differ, so a delivery is only ever replaced together with all that came after it. Not here: taking
a delivery (``intake.py``), the exchange (``exchange.py``), building and publishing afterwards, which the night does.

The caller holds the night's lock. Until the exchange nothing in ``KBI_DATA`` has changed, whatever fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration import records
from orchestration.deliveries import delivery_directories
from orchestration.exchange import Plan, exchange, new_zones, remove, scratch
from orchestration.intake import refuse_in_view_of, take_again
from orchestration.ledger import WITHDRAWN, Entry, Ledger
from orchestration.manifest import Refusal, read_manifest
from orchestration.pseudonyms import load_key
from orchestration.settings import Settings, SettingsError
from orchestration.sql import quoted

Report = Callable[[str], None]


class RetakingFailed(Exception):
    """The archive does not give what was taken from it. Nothing was changed."""


class NotTaken(Exception):
    """What was asked for is about a delivery that does not count, or that cannot be missed."""


class Aside(Settings):
    """Settings under which the night's functions fill a data folder made aside: the same key, no limits.

    What was taken once was within the limits of its time, or accepted by hand. ``home``: the data folder it is for.
    """

    home: Path

    @property
    def dbt_target(self) -> Path:
        """dbt's own files of that build, kept: parsing the project again would take longer than the build."""
        return self.home / "dbt" / "aside"


@dataclass(frozen=True)
class Retaken:
    """One delivery taken again. ``is_same``: row for row what lay there; if not, it and all after it were replaced."""

    entry: Entry
    is_same: bool


def rebuild(settings: Settings, report: Report, reason: str = "") -> int:
    """Take everything again from the archive, and replace what was made of it. Returns the number of deliveries.

    Which deliveries, and when they were taken, the ledger tells; where it is lost with the rest, all that lie in the
    archive, in the contract's order. Refused deliveries stay as the ledger has them.

    Raises:
        NotTaken: there is nothing to take.
        RetakingFailed: an archived delivery is damaged, missing, or refused by the code as it is now.
        SettingsError: the key is not the one they were taken with.
    """
    entries = Ledger(settings.ledger).taken() or _found_in_archive(settings)
    if not entries:
        raise NotTaken(f"There is nothing to rebuild: no delivery was taken, and none lies in {settings.archive}.")
    aside = made_aside(settings, entries)
    retake(settings, aside, entries, report)
    replace_zones(settings, aside, entries, records.now("rebuild", deliveries=len(entries), reason=reason))
    return len(entries)


def withdraw(settings: Settings, delivery_id: str, reason: str, report: Report) -> None:
    """Undo the taking of a delivery: as if it had never come, what came after it is taken again without it.

    Its bytes leave the archive for ``Settings.withdrawn``, and are never taken again; other bytes may come under its
    name. Nobody misses it: a later delta is not refused for want of it.

    Raises:
        NotTaken: it does not count, or without it there would be nothing to build on.
        RetakingFailed, SettingsError: as ``rebuild``.
    """
    entry = Ledger(settings.ledger).of(delivery_id)
    if entry is None or entry.status != "taken":
        raise NotTaken(_why_not(delivery_id, entry))
    before, after = _around(settings, entry)
    if not before and (not after or after[0].kind == "delta"):
        raise NotTaken(
            f"Without delivery {delivery_id} nothing complete would be left: it is the first, and "
            + ("the only one. " if not after else "what comes after it are changes to it. ")
            + "Have a full delivery made first, and withdraw this one once that is taken; or begin with an empty "
            "KBI_DATA."
        )
    record = records.now("withdraw", delivery=delivery_id, reason=reason)
    aside = made_aside(settings, [entry, *before, *after])
    keep(settings, aside, before)
    retake(settings, aside, after, report)
    lies_changed = entry.changed_fingerprint is not None
    withdrawn = Entry(
        delivery_id=delivery_id,
        status="refused",
        extracted_at=entry.extracted_at,
        kind=entry.kind,
        synthetic=entry.synthetic,
        refusal_code=WITHDRAWN,
        refusal_detail=f"withdrawn at {record.at}: {reason}",
        fingerprint=entry.fingerprint,
        signature=None if lies_changed else entry.signature,
        withdrawn=(*entry.withdrawn, entry.fingerprint),
    )
    Ledger(aside.ledger).record(withdrawn)
    replace_zones(settings, aside, [entry, *after], record, {delivery_id: entry.fingerprint})


def rematerialize(settings: Settings, delivery_id: str, report: Report) -> Retaken:
    """Take one delivery again and see that it gives the same; if it does not, replace it and all that came after it.

    It does not where its files were damaged or lost, or where the code has changed since.

    Raises:
        NotTaken: it is not known here, or its turn comes with the next night.
        Refusal: it was never taken and cannot be any more (``delivery_out_of_order``), or was refused.
        RetakingFailed, SettingsError: as ``rebuild``.
    """
    entry = Ledger(settings.ledger).of(delivery_id)
    if entry is None or entry.status != "taken":
        _refuse_untaken(settings, delivery_id, entry)
        raise NotTaken(_why_not(delivery_id, entry))
    before, after = _around(settings, entry)
    aside = made_aside(settings, [entry])
    keep(settings, aside, before)
    (again,) = retake(settings, aside, [entry], report)
    is_same = again == entry and all(
        _contents(new / delivery_id) == _contents(old / delivery_id)
        for new, old in ((aside.validated, settings.validated), (aside.quarantine, settings.quarantine))
    )
    if is_same:
        remove(scratch(settings))
    else:
        report(f"{delivery_id}: not what lies there; it and the {len(after)} after it are replaced")
        retake(settings, aside, after, report)
        record = records.now("rebuild", delivery=delivery_id, deliveries=1 + len(after))
        replace_zones(settings, aside, [entry, *after], record)
    return Retaken(again, is_same)


def made_aside(settings: Settings, entries: Sequence[Entry]) -> Aside:
    """An empty data folder for deliveries to be taken again into, under ``scratch``.

    Args:
        entries: those deliveries, as far as anybody knows with which key they were taken.

    Raises:
        SettingsError: that key is not there.
    """
    key_file = _key_file(settings, entries)
    remove(scratch(settings))
    changes = {"data": new_zones(settings), "landing": settings.archive, "pseudonym_key_file": key_file}
    unlimited = {"max_quarantine_rate": 1, "max_volume_drop": 1}
    aside = Aside(**settings.model_dump() | changes | unlimited, home=settings.data)
    settings.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch(settings).mkdir(mode=0o700)
    for zone in (aside.data, aside.validated, aside.ledger):
        zone.mkdir()
    aside.quarantine.mkdir(mode=0o700)
    return aside


def keep(settings: Settings, aside: Aside, entries: Iterable[Entry]) -> None:
    """Have these deliveries in the folder aside as they are: files of the validated zone never change."""
    for entry in entries:
        for old, new in ((settings.validated, aside.validated), (settings.quarantine, aside.quarantine)):
            try:
                shutil.copytree(old / entry.delivery_id, new / entry.delivery_id, copy_function=_linked)
            except FileNotFoundError:
                raise RetakingFailed(
                    f"Delivery {entry.delivery_id} was taken, but {old / entry.delivery_id} is not there. "
                    "Run `kbi rebuild`: it is made again from the archive. Nothing was changed."
                ) from None
        Ledger(aside.ledger).record(entry)


def retake(
    settings: Settings,
    aside: Aside,
    entries: Sequence[Entry],
    report: Report,
    bytes_of: Mapping[str, Path] | None = None,
) -> list[Entry]:
    """Take deliveries again, in this order, each at the moment at which it was taken.

    Args:
        entries: what is known of them; an empty ``fingerprint`` is not held against the bytes.
        bytes_of: where the bytes of a delivery lie, if not in the archive.

    Raises:
        RetakingFailed: a delivery is not there, has other bytes, or is refused.
    """
    retaken = []
    for number, entry in enumerate(entries, 1):
        report(f"{entry.delivery_id}: taken again from the archive, {number} of {len(entries)}")
        directory = (bytes_of or {}).get(entry.delivery_id, settings.archive / entry.delivery_id)
        try:
            again = take_again(aside, directory, entry.taken_at)
        except Refusal as refusal:
            raise RetakingFailed(_not_again(entry, directory, f"{refusal.code}: {refusal.detail}")) from None
        if entry.archived_fingerprint and again.fingerprint != entry.archived_fingerprint:
            raise RetakingFailed(_not_again(entry, directory, "its bytes are not those that were taken."))
        # What lies in the landing zone has not changed by this.
        kept = ["signature", "changed_fingerprint", "withdrawn"]
        if entry.archived:
            kept += ["fingerprint", "archived", "left_out", "unexpected_columns"]
        again = again.model_copy(update={name: getattr(entry, name) for name in kept})
        Ledger(aside.ledger).record(again)
        remove(aside.archive / entry.delivery_id)
        retaken.append(again)
    return retaken


def replace_zones(
    settings: Settings,
    aside: Aside,
    replaced: Sequence[Entry],
    record: records.Record,
    withdrawn: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> None:
    """Put what was made aside in place, beside what the ledger says of deliveries that were not taken."""
    ledger = Ledger(aside.ledger)
    for entry in Ledger(settings.ledger).entries():
        if entry.status != "taken" and ledger.of(entry.delivery_id) is None:
            ledger.record(entry)
    changed = tuple(entry.delivery_id for entry in replaced)
    exchange(settings, Plan(dict(withdrawn or {}), changed, record, tuple(more)))


def _around(settings: Settings, entry: Entry) -> tuple[list[Entry], list[Entry]]:
    taken = Ledger(settings.ledger).taken()
    position = taken.index(entry)
    return taken[:position], taken[position + 1 :]


def _found_in_archive(settings: Settings) -> list[Entry]:
    """Entries of what lies in the archive, as far as their manifests tell, for a folder whose ledger is lost."""
    now = datetime.now(UTC)
    found = []
    for directory in delivery_directories(settings.archive) if settings.archive.exists() else []:
        try:
            manifest = read_manifest(directory, now)
        except Refusal as refusal:
            raise RetakingFailed(f"{directory} cannot be rebuilt from. {refusal.detail} Nothing was changed.") from None
        found.append(
            Entry(
                delivery_id=manifest.delivery_id,
                status="taken",
                extracted_at=manifest.extracted_at,
                kind=manifest.kind,
                synthetic=manifest.synthetic,
                taken_at=now,
            )
        )
    return sorted(found, key=lambda entry: entry.order)


def _key_file(settings: Settings, entries: Sequence[Entry]) -> Path:
    """The file of the key with which these deliveries were taken."""
    versions = {entry.key_version for entry in entries if entry.key_version}
    path = settings.pseudonym_key_file or settings.data / "pseudonym.key"
    # A new one would be made where none is.
    is_there = path.exists() or settings.pseudonym_key_file or not versions
    try:
        key = load_key(settings, bool(entries[0].synthetic)) if is_there else None
    except Refusal as refusal:
        raise SettingsError(f"KBI_PSEUDONYM_KEY_FILE: {refusal.detail}") from None
    if key is None or versions - {key.version}:
        raise SettingsError(
            "KBI_PSEUDONYM_KEY_FILE: this is not the key that the deliveries were pseudonymised with, so persons would "
            "not be found again. Restore that key. Nothing was changed."
        )
    return path


def _refuse_untaken(settings: Settings, delivery_id: str, entry: Entry | None) -> None:
    """Refuse a delivery that lies there and cannot be taken in its turn any more."""
    directory = settings.landing / delivery_id
    if directory in delivery_directories(settings.landing):
        refuse_in_view_of(read_manifest(directory, datetime.now(UTC)), Ledger(settings.ledger).entries())
    if entry and entry.refusal:
        raise Refusal(*entry.refusal)


def _why_not(delivery_id: str, entry: Entry | None) -> str:
    if entry is None:
        return f"Delivery {delivery_id} was never taken. `kbi status` lists those that were; `kbi night` takes others."
    if entry.refusal_code == WITHDRAWN:
        return f"Delivery {delivery_id} is withdrawn already. `kbi night` builds and publishes what is left."
    return f"Delivery {delivery_id} was refused ({entry.refusal_code}), so it does not count."


def _not_again(entry: Entry, directory: Path, why: str) -> str:
    return (
        f"Delivery {entry.delivery_id} is not taken again from {directory}: {why} Restore that folder from the backup. "
        "Nothing was changed."
    )


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # not on this file system
        shutil.copy2(source, target)


def _contents(directory: Path) -> dict[str, Any]:
    """Rows of every Parquet file below a directory, as their number and a hash that knows no order."""
    with duckdb.connect() as connection:
        return {
            str(path.relative_to(directory)): _rows(connection, path) for path in sorted(directory.rglob("*.parquet"))
        }


def _rows(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[Any, ...] | None:
    # Rows that wait are numbered as they came, and nobody refers to it.
    columns = "* exclude (line_number)" if path.parent.name == "waiting" else "*"
    try:
        return connection.execute(
            f"select count(*), sum(hash(rows)) from (select {columns} from read_parquet({quoted(path)})) as rows"
        ).fetchone()
    except duckdb.Error:
        return None  # damaged
