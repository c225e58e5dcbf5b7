"""Taking deliveries: landing, reading, validation and commit, one delivery after the other in the contract's order.

Here: which deliveries are waiting, what refuses one in view of those taken before, and the commit. Not here: the checks
of a manifest (``manifest.py``), of bytes (``landing.py``) or of rows (``validation.py``); the warehouse.

Everything is made aside in ``work/`` and renamed; the ledger entry, written last, makes a delivery taken. Killed
anywhere before that, a run leaves no trace of the delivery but leftovers, which the next one replaces.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from orchestration import exchange, records
from orchestration.deliveries import MANIFEST, delivery_directories
from orchestration.disk import ends_as_parquet
from orchestration.dossiers import flatten
from orchestration.history import has_todays_shape, state_query
from orchestration.landing import archive, fingerprint, signature
from orchestration.ledger import DELIVERY_CHANGED, WITHDRAWN, Entry, Ledger
from orchestration.manifest import Manifest, Refusal, about, glimpse, read_manifest
from orchestration.pseudonyms import Key, load_key
from orchestration.reading import read_extract
from orchestration.redacting import NO_CHANGES, LeftOut, leave_out
from orchestration.settings import Settings, SettingsError, cannot_write
from orchestration.tombstones import Tombstones
from orchestration.validation import DeliveredRows, Limits, Verdict, validate
from schemas import DELETED, DOSSIERS, EXTRACTS

_MADE = ("quarantine", "validated")
"""Zones of what is made of a delivery's bytes."""
_A_NAME = re.compile(r"(?!.*\d{6})[\w .-]{1,64}")
_NO_NAME = "(a name not repeated: it may be a value)"
"""Instead of an unexpected column's name that holds a number as long as a date, or what no name holds."""


@dataclass(frozen=True)
class Outcome:
    """What a night made of one delivery directory.

    ``is_news``: nobody was told yet. A refused delivery that lies there unchanged is tried again, but is no news.
    """

    delivery_id: str
    result: Literal["taken", "unchanged", "refused"]
    entry: Entry
    is_news: bool = True
    code: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class _Waiting:
    """A delivery directory and what its manifest says, or why it says nothing."""

    directory: Path
    manifest: Manifest | Refusal

    @property
    def order(self) -> tuple[bool, datetime, str]:
        """Unreadable manifests first: they have no place among the others."""
        if isinstance(self.manifest, Refusal):
            return False, datetime.min.replace(tzinfo=UTC), self.directory.name
        return True, *self.manifest.order


def take_waiting(
    settings: Settings,
    *,
    now: datetime | None = None,
    accept_volume: Collection[str] = (),
    report: Callable[[str], None] = lambda message: None,
) -> Iterator[Outcome]:
    """Take every delivery that can be taken, in the contract's order; yield what became of each directory.

    Args:
        now: the clock, against which a manifest may not lie ahead.
        accept_volume: deliveries whose drop in volume somebody has looked at and accepted.

    Raises:
        SettingsError: a folder or the key cannot be used.
    """
    now = now or datetime.now(UTC)
    _make_zones(settings)
    _see_that_nothing_is_lost(settings)
    waiting = []
    for directory in delivery_directories(settings.landing):
        try:
            waiting.append(_Waiting(directory, read_manifest(directory, now)))
        except Refusal as refusal:
            waiting.append(_Waiting(directory, refusal))
    dated = {one.directory.name: one.manifest.extracted_at for one in waiting if isinstance(one.manifest, Manifest)}
    for delivery in sorted(waiting, key=lambda delivery: delivery.order):
        yield _Intake(settings, delivery, now, accept_volume, report, dated).outcome()
    exchange.remove(_scratch(settings))


def take_again(
    settings: Settings,
    directory: Path,
    now: datetime,
    report: Callable[[str], None] = lambda message: None,
) -> Entry:
    """Take one delivery into this data folder, from the archive of another or its own, as if it were ``now``.

    Raises:
        Refusal: it is not whole, or does not follow on what this folder holds.
        SettingsError: a folder or the key cannot be used.
    """
    _make_zones(settings)
    delivery = _Waiting(directory, read_manifest(directory, now))
    return _Intake(settings, delivery, now, (), report).take(delivery.manifest, signed="")


def archived_without(settings: Settings, directory: Path, target: Path, key: Key, tombstones: Tombstones) -> LeftOut:
    """Copy an archived delivery to ``target`` without the rows of erased persons.

    Args:
        settings: where there is room to work.

    Raises:
        Refusal: it is not whole.
    """
    _make_zones(settings)
    delivery = _Waiting(directory, read_manifest(directory, datetime.now(UTC)))
    return _Intake(settings, delivery, datetime.now(UTC), (), lambda message: None).copy_without(
        target, key, tombstones
    )


class _Intake:
    """One delivery directory and what becomes of it.

    ``dated``: when the deliveries that lie in the landing zone now were extracted: one that was refused may have come
    again with another date.
    """

    def __init__(
        self,
        settings: Settings,
        delivery: _Waiting,
        now: datetime,
        accept_volume: Collection[str],
        report: Callable[[str], None],
        dated: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        self._settings, self._now, self._accept_volume, self._dated = settings, now, accept_volume, dated
        self._directory, self._manifest = delivery.directory, delivery.manifest
        self._ledger = Ledger(settings.ledger)
        self._before = self._ledger.of(delivery.directory.name)
        self._report = lambda message: report(f"{delivery.directory.name}: {message}")

    def outcome(self) -> Outcome:
        signed = signature(self._directory)
        before = self._before
        bytes_now = before.fingerprint_now if before and before.signature == signed else None
        if before and before.status == "taken":
            return self._seen_again(before, signed, bytes_now or fingerprint(self._directory))
        if before and before.withdrawn:
            bytes_now = bytes_now or fingerprint(self._directory)
        try:
            if before and bytes_now in before.withdrawn:
                raise self._withdrawn(before)
            if isinstance(self._manifest, Refusal):
                raise self._manifest
            entry = self.take(self._manifest, signed)
        except Refusal as refusal:
            return self._refused(refusal, signed, bytes_now or fingerprint(self._directory))
        self._report("taken")
        return Outcome(entry.delivery_id, "taken", entry)

    def _seen_again(self, before: Entry, signed: str, bytes_now: str) -> Outcome:
        """A delivery that was taken: a no-op, unless its bytes are others now."""
        changed = bytes_now != before.fingerprint
        entry = before.model_copy(update={"signature": signed, "changed_fingerprint": bytes_now if changed else None})
        if entry != before:
            self._ledger.record(entry)
        if not changed:
            return Outcome(entry.delivery_id, "unchanged", entry, is_news=False)
        is_news = before.changed_fingerprint != bytes_now
        return Outcome(entry.delivery_id, "refused", entry, is_news, "delivery_changed", DELIVERY_CHANGED)

    @staticmethod
    def _withdrawn(before: Entry) -> Refusal:
        detail = before.refusal_detail if before.refusal_code == WITHDRAWN else None
        return Refusal(WITHDRAWN, detail or "it was withdrawn, with these bytes. `kbi status` tells when and why.")

    def _refused(self, refusal: Refusal, signed: str, bytes_now: str) -> Outcome:
        told = glimpse(self._directory)
        counts: dict[str, dict[str, int]] = {}
        for (extract, code), n in refusal.rule_counts.items():
            counts.setdefault(extract, {})[code] = n
        entry = Entry(
            delivery_id=self._directory.name,
            status="refused",
            extracted_at=told.extracted_at,
            kind=told.kind,
            synthetic=told.synthetic,
            refusal_code=refusal.code,
            refusal_detail=refusal.detail,
            fingerprint=bytes_now,
            signature=signed,
            rule_counts=counts,
            withdrawn=self._before.withdrawn if self._before else (),
        )
        is_news = self._before is None or self._before.fingerprint != bytes_now
        if entry != self._before:
            self._ledger.record(entry)
        if is_news:
            self._report(f"refused, {refusal.code}: {refusal.detail}")
        return Outcome(entry.delivery_id, "refused", entry, is_news, refusal.code, refusal.detail)

    def take(self, manifest: Manifest, signed: str) -> Entry:
        """Land, judge and commit it, or raise its refusal; nothing of a refused delivery stays."""
        taken = self._ledger.taken()
        refuse_in_view_of(manifest, [self._as_it_lies(entry) for entry in self._ledger.entries()])
        key = load_key(self._settings, manifest.synthetic)
        if taken and taken[-1].key_version != key.version:
            raise SettingsError(
                "KBI_PSEUDONYM_KEY_FILE: this is not the key that the deliveries so far were pseudonymised with, so "
                "persons would not be found again. Restore that key, or begin with an empty KBI_DATA."
            )
        aside = _scratch(self._settings) / manifest.delivery_id
        exchange.remove(aside)
        aside.mkdir(mode=0o700)
        self._report(f"landing {len(manifest.files)} files")
        bytes_taken = archive(self._directory, manifest, aside / "landing")
        rows, unexpected = self._read(manifest, aside, key)
        known = [self._settings.validated / entry.delivery_id for entry in taken]
        left_out = self._leave_out(manifest, aside, rows, unexpected, key, known)
        if left_out and left_out.archived:
            manifest = left_out.manifest
            exchange.remove(aside / "text")
            rows, _ = self._read(manifest, aside, key)
        verdict = validate(
            manifest,
            rows,
            known,
            self._settings.quarantine / taken[-1].delivery_id if taken else None,
            key.pseudonyms,
            Limits(self._settings.max_quarantine_rate, self._settings.max_volume_drop, self._accept_volume),
            validated=aside / "validated",
            quarantine=aside / "quarantine",
            spill=aside / "spill",
            memory_limit=self._settings.memory_limit,
            report=self._report,
        )
        return self._commit(manifest, aside, bytes_taken, signed, key, verdict, unexpected, left_out)

    def _as_it_lies(self, entry: Entry) -> Entry:
        """A refused delivery that has come again is awaited at its new date, not at the one it was refused with."""
        if entry.status == "taken" or entry.delivery_id not in self._dated:
            return entry
        return entry.model_copy(update={"extracted_at": self._dated[entry.delivery_id]})

    def copy_without(self, target: Path, key: Key, tombstones: Tombstones) -> LeftOut:
        """Archive it at ``target``, and leave out of that what belongs to erased persons."""
        aside = _scratch(self._settings) / self._manifest.delivery_id
        exchange.remove(aside)
        aside.mkdir(mode=0o700)
        archive(self._directory, self._manifest, aside / "landing")
        rows, unexpected = self._read(self._manifest, aside, key)
        memory_limit = self._settings.memory_limit
        left_out = leave_out(aside / "landing", self._manifest, rows, unexpected, key, tombstones, memory_limit)
        (aside / "landing").rename(target)
        exchange.remove(aside)
        return left_out

    def _leave_out(
        self,
        manifest: Manifest,
        aside: Path,
        rows: DeliveredRows,
        unexpected: Collection[str],
        key: Key,
        known: Sequence[Path],
    ) -> LeftOut | None:
        """What is left without erased persons, in the archive made aside too; None where nobody was ever erased."""
        tombstones = Tombstones.read(self._settings.tombstones)
        if not len(tombstones):
            return None
        changes = state_query(known, "insz_wijzigingen") if known else NO_CHANGES
        memory_limit = self._settings.memory_limit
        left_out = leave_out(aside / "landing", manifest, rows, unexpected, key, tombstones, memory_limit, changes)
        for extract, n in left_out.rows.items():
            self._report(f"{extract}: {n:,} left out, of persons who were erased")
        for extract, n in left_out.texts.items():
            self._report(f"{extract}: {n:,} texts about others had numbers of persons who were erased")
        if left_out.joined.height:
            self._report(
                f"{left_out.joined.height:,} more numbers are of persons who were erased. If anything was taken under "
                "them before, `kbi rebuild` erases that too."
            )
        return left_out

    def _read(self, manifest: Manifest, aside: Path, key: Key) -> tuple[DeliveredRows, dict[str, tuple[str, ...]]]:
        """Text Parquet of every extract, from the archived bytes."""
        landed, texts = aside / "landing", aside / "text"
        texts.mkdir()
        is_delta = manifest.kind == "delta"
        dossiers = manifest.file_of(DOSSIERS.name)
        if dossiers:
            self._report(f"{DOSSIERS.name}: reading {dossiers.rows:,} files")
            with about(f"Delivery {manifest.delivery_id}, file {dossiers.path}"):
                flattened = flatten(landed / dossiers.path, texts, key, delta=is_delta)
            paths = {name: texts / f"{name}.parquet" for name in flattened.rows}
            counts = {**flattened.rows, DOSSIERS.name: flattened.files}
            return DeliveredRows(paths, counts, texts / f"{DOSSIERS.name}.parquet"), {}
        paths, counts, unexpected = {}, {}, {}
        for file in sorted(manifest.files, key=lambda file: list(EXTRACTS).index(file.extract)):
            self._report(f"{file.extract}: reading {file.rows:,} rows")
            columns = [*EXTRACTS[file.extract].names, *((DELETED,) if is_delta else ())]
            paths[file.extract] = texts / f"{file.extract}.parquet"
            read = read_extract(landed / file.path, file, columns, paths[file.extract], manifest.delivery_id)
            counts[file.extract] = read.rows
            if read.unexpected_columns:
                unexpected[file.extract] = tuple(
                    name if _A_NAME.fullmatch(name) else _NO_NAME for name in read.unexpected_columns
                )
                self._report(f"{file.extract}: column_unexpected, {len(read.unexpected_columns)} kept out")
        return DeliveredRows(paths, counts), unexpected

    def _commit(
        self,
        manifest: Manifest,
        aside: Path,
        bytes_taken: str,
        signed: str,
        key: Key,
        verdict: Verdict,
        unexpected: dict[str, tuple[str, ...]],
        left_out: LeftOut | None,
    ) -> Entry:
        kept = [path.relative_to(aside) for zone in _MADE for path in (aside / zone).rglob("*.parquet")]
        for name, zone in _zones(self._settings).items():
            target = zone / manifest.delivery_id
            exchange.remove(target)  # leftovers of a run that was killed before its ledger entry
            (aside / name).rename(target)
        os.sync()  # what the entry promises must be on disk before it
        entry = Entry(
            delivery_id=manifest.delivery_id,
            status="taken",
            extracted_at=manifest.extracted_at,
            kind=manifest.kind,
            synthetic=manifest.synthetic,
            taken_at=self._now,
            fingerprint=bytes_taken,
            archived=left_out.archived if left_out else None,
            left_out=left_out.rows if left_out else {},
            signature=signed,
            key_version=key.version,
            files=tuple(asdict(file) for file in manifest.files),
            rule_counts=verdict.rule_counts,
            reconciliation=tuple(verdict.accounts),
            unexpected_columns=unexpected,
            withdrawn=self._before.withdrawn if self._before else (),
            kept=tuple(sorted(path.as_posix() for path in kept)),
        )
        if manifest.delivery_id in self._accept_volume:
            records.record(self._settings, "accept_volume", delivery=manifest.delivery_id)
        if left_out:
            # Before the delivery counts: killed in between, it is taken again and tells the same.
            left_out.remember(self._settings.tombstones)
        self._ledger.record(entry)
        exchange.remove(aside)
        return entry


def refuse_in_view_of(manifest: Manifest, entries: Sequence[Entry]) -> None:
    """Refuse a delivery that does not fit what the ledger says of others (entries in its order)."""
    *_, last = [None, *(entry for entry in entries if entry.status == "taken")]
    if last and manifest.order < last.order:
        raise Refusal(
            "delivery_out_of_order",
            f"it was extracted before delivery {last.delivery_id}, which has been taken. A later full delivery holds "
            "what it would have brought.",
        )
    if last and manifest.synthetic != last.synthetic:
        kinds = {True: "synthetic", False: "real"}
        raise Refusal(
            "synthetic_mismatch",
            f"it is {kinds[manifest.synthetic]}, the warehouse holds {kinds[bool(last.synthetic)]} deliveries. Give it "
            "a KBI_DATA of its own.",
        )
    if manifest.kind == "delta":
        missing = [
            entry.delivery_id
            for entry in entries
            if entry.status == "refused"
            and entry.refusal_code != WITHDRAWN
            and entry.extracted_at
            and (last.order if last else (_BEGINNING, "")) < entry.order < manifest.order
        ]
        if missing:
            raise Refusal(
                "predecessor_refused",
                f"it builds on {', '.join(missing)}, refused so far. Have that delivered again, or a full delivery.",
            )


_BEGINNING = datetime.min.replace(tzinfo=UTC)


def _make_zones(settings: Settings) -> None:
    """Create the zones; those that hold rows about persons are for their owner only."""
    try:
        for zone in (settings.archive, settings.quarantine, settings.validated, settings.work):
            zone.mkdir(parents=True, exist_ok=True, mode=0o700)
            zone.chmod(0o700)
        settings.ledger.mkdir(parents=True, exist_ok=True)
        if not os.access(settings.data, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise cannot_write(settings.data, error) from None
    exchange.remove(exchange.scratch(settings))  # of a rebuild that was killed
    exchange.remove(_scratch(settings))
    _scratch(settings).mkdir(mode=0o700)


def _see_that_nothing_is_lost(settings: Settings) -> None:
    """Everything that was taken, and all that was made of it, must still be there.

    Raises:
        SettingsError: something is not, or was cut off.
    """
    taken = Ledger(settings.ledger).taken()
    zones = _zones(settings)
    for entry in taken:
        archived = settings.archive / entry.delivery_id
        if not all((archived / path).exists() for path in (MANIFEST, *(str(file["path"]) for file in entry.files))):
            raise SettingsError(
                f"KBI_DATA: {archived} is not there or not whole, though that delivery was taken. Restore it from a "
                "backup: nothing can be made of it again without."
            )
        made = [zones[zone] / entry.delivery_id / Path(*path) for zone, *path in (Path(k).parts for k in entry.kept)]
        lost = [zones[zone] / entry.delivery_id for zone in _MADE if not (zones[zone] / entry.delivery_id).is_dir()]
        if lost := lost or [path for path in made if not ends_as_parquet(path)]:
            raise SettingsError(
                f"KBI_DATA: {lost[0]} is damaged or not there, though that delivery was taken. Restore it, or run "
                "`kbi rebuild`, which makes it again from the archive."
            )
    # The first delivery has every extract, and all have the shape of the first.
    if taken and not has_todays_shape(first := settings.validated / taken[0].delivery_id):
        raise SettingsError(
            f"KBI_DATA: {first} is damaged, or its rows have other columns than this version of the program gives "
            "them. Run `kbi rebuild`, which makes all of them again from the archive."
        )


def _zones(settings: Settings) -> dict[str, Path]:
    """Where what is made aside of a delivery goes."""
    return {"landing": settings.archive, "quarantine": settings.quarantine, "validated": settings.validated}


def _scratch(settings: Settings) -> Path:
    return settings.work / "intake"
