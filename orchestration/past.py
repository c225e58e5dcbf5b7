"""The warehouse as it was known on an earlier day: built when it is asked for, and asked and published like any other.

Here: which deliveries count for a day, the warehouse of that state, and what is answered and published from it. Not
here: how it is built (the functions of the night, on other folders), nor any rule: an earlier state of knowledge is
told by the definitions of today. What a night builds, answers and publishes is left alone, so all of this works while
one runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration import dbt_runner, publication, revisions, warehouse
from orchestration.answer import Answer, DateOutOfRange, answer
from orchestration.ledger import Entry, Ledger
from orchestration.publication import Release
from orchestration.settings import Settings
from orchestration.warehouse import NothingTaken

KEPT = 3
"""Warehouses of earlier states that are kept: those used last. Each is about as large as the present one."""

Report = Callable[[str], None]


def _silently(message: str) -> None:
    pass


class NothingKnown(Exception):
    """The day lies before the first delivery."""


class PastFailed(Exception):
    """The warehouse of an earlier state could not be built, or did not pass its checks."""


class PastSettings(Settings):
    """The settings under which the night's functions build an earlier state: the same deliveries, folders of its own.

    ``directory``: where its warehouse lies.
    """

    directory: Path

    @property
    def warehouse(self) -> Path:
        """That state's warehouse."""
        return self.directory / super().warehouse.name

    @property
    def work(self) -> Path:
        """Restricted. Scratch of the one build of an earlier state that runs."""
        return super().work / "past"

    @property
    def dbt_target(self) -> Path:
        """dbt's own files of that build."""
        return self.data / "dbt" / "past"

    @property
    def published(self) -> Path:
        """Releases of earlier states."""
        return super().published / publication.AS_KNOWN


@dataclass(frozen=True)
class _State:
    """What was known at the end of a day.

    ``known_on``: that day; None where no later delivery was taken, so that it is the present state. ``last``: the last
    delivery that counts. ``n_later``: deliveries that do not.
    """

    known_on: date | None
    last: Entry
    n_later: int

    def settings(self, settings: Settings) -> PastSettings:
        directory = settings.data / "past" / self.last.delivery_id
        if self.known_on is None and not warehouse.needs_build(settings):
            directory = settings.data
        return PastSettings(**settings.model_dump(), directory=directory)


def answer_as_known(settings: Settings, as_of: date, known_on: date, report: Report = _silently) -> Answer:
    """Answer for one day, from nothing but the deliveries dated up to another.

    Args:
        report: is told what is done where that takes minutes.

    Raises:
        NothingKnown: ``known_on`` lies before the first delivery.
        DateOutOfRange: ``as_of`` lies after the last delivery that counts.
        AnswerError, NothingTaken, PastFailed, DbtFailed: there is no warehouse to answer from.
    """
    state = _state(settings, known_on)
    if as_of > state.last.date:
        raise DateOutOfRange(
            f"{as_of} lies after the last delivery that was known on {known_on}, of {state.last.date}: give a date up "
            "to then, or a later --known-on."
        )
    return replace(answer(_built(settings, state, report), as_of), n_later=state.n_later)


def publish_as_known(settings: Settings, known_on: date, report: Report = _silently) -> Release:
    """Write the release of an earlier state of knowledge into ``published/as-known/``, if it is not there yet.

    Raises:
        NothingKnown: ``known_on`` lies before the first delivery.
        PublicationError, NothingTaken, PastFailed, DbtFailed: there is no warehouse to publish.
    """
    state = _state(settings, known_on)
    if release := publication.release_of(state.settings(settings), state.known_on):
        return release
    past = _built(settings, state, report)
    with _alone(settings, report):
        return publication.write_release(past, state.known_on)


@contextmanager
def held_off(settings: Settings) -> Iterator[None]:
    """No earlier state is built meanwhile, and none is left: for whoever changes what they are built from."""
    with _alone(settings, _silently):
        try:
            yield
        finally:
            shutil.rmtree(settings.data / "past", ignore_errors=True)
            shutil.rmtree(settings.work / "past", ignore_errors=True)


def _state(settings: Settings, known_on: date) -> _State:
    taken = Ledger(settings.ledger).taken()
    if not taken:
        raise NothingTaken(f"No delivery was taken yet. Put one into {settings.landing} and run `kbi night`.")
    counting = [entry for entry in taken if entry.is_known_on(known_on)]
    if not counting:
        raise NothingKnown(f"Nothing was known by {known_on}: the first delivery is of {taken[0].date}.")
    n_later = len(taken) - len(counting)
    return _State(known_on if n_later else None, counting[-1], n_later)


def _built(settings: Settings, state: _State, report: Report) -> PastSettings:
    """The settings under which that state's warehouse lies there, built now unless it was before."""
    past = state.settings(settings)
    if warehouse.needs_build(past, state.known_on):
        with _alone(settings, report):
            # Somebody else may have built it meanwhile.
            if warehouse.needs_build(past, state.known_on):
                report(f"Building the warehouse as known on {state.last.date}, with delivery {state.last.delivery_id}")
                _build(past, state.known_on, report)
                _keep_those_used_last(past.directory.parent)
    if past.directory != settings.data:
        os.utime(past.directory)
    return past


def _build(past: PastSettings, known_on: date | None, report: Report) -> None:
    project = dbt_runner.compiled_project(past)
    revised = revisions.update(past, project.manifest, Ledger(past.ledger).taken(known_on), report)
    warehouse.prepare(past, revised, known_on=known_on)
    broken = [result for result in dbt_runner.build(past, report=report) if result.is_broken]
    if broken:
        raise PastFailed("\n".join(["The warehouse of that state was not kept, for this broke:", *map(str, broken)]))
    past.directory.mkdir(parents=True, exist_ok=True)
    warehouse.commit(past, project.directory)


def _keep_those_used_last(directory: Path) -> None:
    by_use = sorted(directory.iterdir(), key=lambda kept: kept.stat().st_mtime_ns, reverse=True)
    for unused in by_use[KEPT:]:
        shutil.rmtree(unused)


@contextmanager
def _alone(settings: Settings, report: Report) -> Iterator[None]:
    """One build of an earlier state at a time; waits for another."""
    lock = FileLock(settings.data / "past.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("Waiting for another build of an earlier state of knowledge")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
