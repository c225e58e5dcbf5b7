"""A release made again from the archive, and held against what was published.

Here: which bytes a release was made of and where they lie now, the release made aside from them by the steps of the
night, and the comparison. Nothing that the warehouse holds is used but the archive and the key, and nothing is changed.
Not here: those steps.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from orchestration import dbt_runner, publication, revisions, warehouse
from orchestration.exchange import remove, scratch
from orchestration.landing import fingerprint
from orchestration.ledger import Entry, Ledger
from orchestration.publication import ENGINES, Release
from orchestration.records import Record, records
from orchestration.retaking import Aside, Report, RetakingFailed, made_aside, retake
from orchestration.settings import Settings


@dataclass(frozen=True)
class Reproduction:
    """A release and what became of it now.

    ``marts``: whether its rows are the same, by mart. ``n_erased``: persons erased since, whose rows cannot come back.
    ``notes``: what else is not as it was then, in sentences.
    """

    release: Release
    marts: dict[str, bool]
    n_erased: int
    notes: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether every mart of the release has the rows it had."""
        return all(self.marts.values())


def reproduce(settings: Settings, release_id: str, report: Report) -> Reproduction:
    """Make a release again from the archived bytes of its deliveries. The caller holds the night's lock.

    Those of earlier states of knowledge too: they are of the deliveries dated up to then.

    Raises:
        UnknownRelease: there is no such release.
        RetakingFailed: bytes are missing, or do not give a warehouse that passes its checks.
        SettingsError: the key is not the one of then.
        DbtFailed, PublicationError: it cannot be built or written.
    """
    release = publication.named(settings, release_id, as_known=True)
    erasures = _erasures_since(settings, release)
    erased_from = {delivery_id for erasure in erasures for delivery_id in erasure.details["deliveries"]}
    entries = _entries(settings, release, erased_from)
    bytes_of = _bytes_of(settings, release, erased_from)
    aside = made_aside(settings, [*Ledger(settings.ledger).taken(), *entries])
    try:
        retake(settings, aside, entries, report, bytes_of)
        made = _published(settings, aside, report)
        now = {mart["name"]: mart["content_sha256"] for mart in made.manifest["marts"]}
    finally:
        remove(scratch(settings))
    marts = {mart["name"]: now.get(mart["name"]) == mart["content_sha256"] for mart in release.manifest["marts"]}
    return Reproduction(release, marts, sum(erasure.details["persons"] for erasure in erasures), _notes(release))


def _entries(settings: Settings, release: Release, erased_from: set[str]) -> list[Entry]:
    """The deliveries of a release as a ledger has them; the moment of taking has no part in any figure."""
    taken = {entry.delivery_id: entry.taken_at for entry in Ledger(settings.ledger).taken()}
    written = datetime.fromisoformat(release.manifest["created_at"])
    return [
        Entry(
            delivery_id=delivery["delivery_id"],
            status="taken",
            extracted_at=datetime.fromisoformat(delivery["extracted_at"]),
            synthetic=release.manifest["synthetic"],
            taken_at=taken.get(delivery["delivery_id"]) or written,
            fingerprint=None if delivery["delivery_id"] in erased_from else delivery["sha256"],
        )
        for delivery in release.manifest["deliveries"]
    ]


def _bytes_of(settings: Settings, release: Release, erased_from: set[str]) -> dict[str, Path]:
    """Where the bytes of a release's deliveries lie: in the archive, or among those withdrawn since."""
    found, missing = {}, []
    for delivery in release.manifest["deliveries"]:
        delivery_id, sha256 = delivery["delivery_id"], delivery["sha256"]
        archived, withdrawn = settings.archive / delivery_id, settings.withdrawn_bytes(delivery_id, sha256)
        lie_there = [
            path for path in (withdrawn, archived, *settings.withdrawn.glob(f"*/{delivery_id}")) if path.exists()
        ]
        same = [path for path in lie_there if fingerprint(path) == sha256]
        if same or (lie_there and delivery_id in erased_from):
            found[delivery_id] = [*same, *lie_there][0]
        else:
            missing.append(f"{delivery_id} ({'other bytes lie there now' if archived.exists() else 'not there'})")
    if missing:
        raise RetakingFailed(
            f"Release {release.release_id} cannot be reproduced: {settings.archive} lacks what it was made of, "
            f"{', '.join(missing)}. If a backup has it, restore it there first."
        )
    return found


def _published(settings: Settings, aside: Aside, report: Report) -> Release:
    project = dbt_runner.compiled_project(settings)
    revised = revisions.update(aside, project.manifest, Ledger(aside.ledger).taken(), report)
    warehouse.prepare(aside, revised)
    broken = [result for result in dbt_runner.build(aside, report=report) if result.is_broken]
    if broken:
        raise RetakingFailed("\n".join(["The release could not be made again, for this broke:", *map(str, broken)]))
    warehouse.commit(aside, project.directory)
    return publication.write_release(aside)


def _notes(release: Release) -> tuple[str, ...]:
    notes = []
    then, now = release.manifest["code_version"], publication.code_version()
    if then != now:
        notes.append(f"Made by {then}, made again by {now}: other code may give other figures.")
    engines = {"python": platform.python_version(), **{name: version(name) for name in ENGINES}}
    others = [
        f"{name} {before}, now {engines.get(name, 'none')}"
        for name, before in release.manifest["engines"].items()
        if engines.get(name) != before
    ]
    if others:
        notes.append(f"Other engines: {'; '.join(others)}.")
    return tuple(notes)


def _erasures_since(settings: Settings, release: Release) -> list[Record]:
    """Acts after a release was written that erased persons."""
    written = datetime.fromisoformat(release.manifest["created_at"])
    acts = (made for made in records(settings) if made.act in ("erase", "purge"))
    return [made for made in acts if datetime.fromisoformat(made.at) >= written]
