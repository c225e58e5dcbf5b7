"""Zones made anew aside take the place of those there are, wholly or not at all.

Here: the folder ``KBI_DATA/exchange``, which holds whole new zones and what has to be done with them, and doing that.
The rename that puts it there decides: before it nothing has changed; after it whoever takes the night's lock next
completes the exchange, however often it was killed meanwhile. Not here: what the new zones hold (``retaking.py``).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestration import records
from orchestration.disk import reading
from orchestration.records import Record
from orchestration.settings import Settings

_PLAN = "plan.json"
_NEW, _OLD = "new", "old"
_ZONES = ("validated", "quarantine", "ledger")


@dataclass(frozen=True)
class Plan:
    """What follows from exchanging the zones.

    ``withdrawn``: fingerprint per delivery whose bytes leave the archive for ``Settings.withdrawn``. ``more``: paths
    below ``KBI_DATA``, beside the zones, of which new ones were made. ``changed``: deliveries of which anything derived
    from the old zones is worthless. ``record``: the act behind it.
    """

    withdrawn: dict[str, str]
    changed: tuple[str, ...]
    record: Record
    more: tuple[str, ...] = ()


def scratch(settings: Settings) -> Path:
    """Restricted. What is made aside before an exchange, and what is left after it; swept by the next night."""
    return settings.work / "retaking"


def new_zones(settings: Settings) -> Path:
    """Where the new zones are made: a data folder of its own."""
    return scratch(settings) / _NEW


def exchange(settings: Settings, plan: Plan) -> None:
    """Put the new zones in place. The caller holds the night's lock.

    Afterwards the warehouse is out of date, whatever the ledger says.
    """
    keep_only(new_zones(settings), {*_ZONES, *(Path(path).parts[0] for path in plan.more)})
    with (scratch(settings) / _PLAN).open("w", encoding="utf-8") as file:
        json.dump(asdict(plan), file)
    os.sync()  # all that the exchange relies on
    scratch(settings).rename(_place(settings))
    complete(settings)


def is_pending(settings: Settings) -> bool:
    """Whether an exchange was decided and not completed: the zones may be of before and of after."""
    return _place(settings).exists()


def complete(settings: Settings) -> None:
    """Do what is left of an exchange that was decided, if there is one. The caller holds the night's lock."""
    if not is_pending(settings):
        return
    place = _place(settings)
    with reading(place / _PLAN, "Restore KBI_DATA from a backup: nobody can tell what was to be done."):
        told = json.loads((place / _PLAN).read_bytes()) if (place / _PLAN).exists() else {}
        plan = Plan(told["withdrawn"], tuple(told["changed"]), Record(**told["record"]), tuple(told["more"]))
    from orchestration.past import held_off  # imports the publication, which nearly nobody needs who takes the lock

    # Nobody builds an earlier state of knowledge from one zone of before and one of after.
    with held_off(settings):
        for path in (*_ZONES, *plan.more):
            _swap(place, path, settings.data / path)
        for delivery_id, fingerprint in plan.withdrawn.items():
            _set_aside(settings, delivery_id, fingerprint)
        for delivery_id in plan.changed:
            for figures in settings.revisions.glob(f"{delivery_id}-????????????????.parquet"):
                figures.unlink(missing_ok=True)
    settings.build_due.touch()
    os.sync()
    records.add(settings, plan.record)
    settings.work.mkdir(mode=0o700, exist_ok=True)
    if plan.more:
        # What went wrong with rows of before may quote them.
        for error in settings.work.glob("error-*"):
            error.unlink()
    done = scratch(settings)
    remove(done)
    place.rename(done)
    remove(done)


def _swap(place: Path, zone: str, current: Path) -> None:
    new, old = place / _NEW / zone, place / _OLD / zone
    if not new.exists():
        return  # done before
    if current.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        current.rename(old)
    new.rename(current)


def _set_aside(settings: Settings, delivery_id: str, fingerprint: str) -> None:
    archived, target = settings.archive / delivery_id, settings.withdrawn_bytes(delivery_id, fingerprint)
    if archived.exists():
        settings.withdrawn.mkdir(mode=0o700, exist_ok=True)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        remove(target)
        archived.rename(target)


def keep_only(directory: Path, names: Collection[str]) -> None:
    """Remove everything else from a directory."""
    for path in directory.iterdir():
        if path.name not in names:
            remove(path) if path.is_dir() else path.unlink()


def remove(directory: Path) -> None:
    """Remove a directory, write-protected or not, if it is there."""
    if not directory.exists():
        return
    for folder, _, _ in os.walk(directory):
        Path(folder).chmod(0o700)
    shutil.rmtree(directory)


def _place(settings: Settings) -> Path:
    return settings.data / "exchange"
