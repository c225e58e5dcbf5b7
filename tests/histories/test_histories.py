"""Any sequence of deliveries, good, broken, repaired, repeated, late or killed, gives the states of the contract.

Through landing, validation and history, in one process, against the model of ``tests/validation/contract_model.py``.
Whatever happened on the way, the states are those of a machine that took the same deliveries in order, in one night.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any
from unittest import mock

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from orchestration import intake, manifest, validation
from orchestration.history import ROW_NUMBER, state_query
from orchestration.intake import take_waiting
from orchestration.ledger import Ledger
from orchestration.settings import Settings
from tests.deliveries import COLUMNS, write_delivery
from tests.validation.contract_model import KEYS, Registry
from tests.validation.test_validation import DELTA, FULL, QUIET, keys_of, model_keys

FIRST_DAY = date(2017, 1, 1)
Tables = Mapping[str, list[dict[str, Any]]]


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass(frozen=True)
class Step:
    """One day: a delivery, and what happens to it.

    ``fault``: ``broken`` (its bytes are damaged, and repaired a night later), ``lost`` (never repaired), ``killed``
    (the night dies at the n-th step that changes something on disk), ``late`` (extracted before the one before),
    ``again`` (the delivery before comes once more, with the same bytes).
    """

    kind: str
    tables: Tables
    fault: str = ""
    at: int = 0


FAULTS = ("", "", "", "broken", "lost", "killed", "killed", "late", "again")


def sequences(least: int, most: int, faults: Sequence[str] = FAULTS) -> st.SearchStrategy[list[Step]]:
    """A full delivery and so many others after it."""
    fault, at = st.sampled_from(faults), st.integers(0, 40)
    delta = st.builds(Step, st.just("delta"), DELTA, fault, at)
    step = st.one_of(st.builds(Step, st.just("full"), FULL, fault, at), delta, delta)
    rest = st.lists(step, min_size=least, max_size=most)
    return st.builds(lambda first, rest: [Step("full", first), *rest], FULL, rest)


@contextmanager
def killed_at(n: int) -> Iterator[None]:
    """The n-th time from now on that something is put in its place or brought to disk, the process dies before it."""
    left = [n]

    def dying(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*args, **kwargs)

        return call

    with (
        mock.patch.object(Path, "rename", dying(Path.rename)),
        mock.patch.object(Path, "replace", dying(Path.replace)),
        mock.patch.object(os, "sync", dying(os.sync)),
        mock.patch.object(shutil, "rmtree", dying(shutil.rmtree)),
    ):
        yield


@dataclass
class Machine:
    """A landing zone and a data folder, and what the contract says of them.

    ``expected``: result and code of every delivery. ``refused``: when those refused were extracted; ``sound``: those of
    them whose bytes are not damaged, and ``damaged`` the others that have a place among them. ``states``: the contents
    of the registry with the last delivery of a night.
    """

    directory: Path
    registry: Registry = field(default_factory=Registry)
    expected: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    refused: dict[str, date] = field(default_factory=dict)
    sound: dict[str, Step] = field(default_factory=dict)
    damaged: dict[str, Step] = field(default_factory=dict)
    last_taken: date | None = None
    states: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.directory / "landing").mkdir(parents=True)
        (self.directory / "key").write_bytes(b"k" * 32)
        (self.directory / "key").chmod(0o600)
        self.settings = Settings(
            landing=self.directory / "landing",
            data=self.directory / "data",
            max_quarantine_rate=1,
            max_volume_drop=1,
            pseudonym_key_file=self.directory / "key",
        )

    def live(self, n: int, step: Step) -> None:
        """A day: deliver, and take what lies there until nothing is left to take."""
        day = FIRST_DAY + timedelta(days=10 * n - (15 if step.fault == "late" else 0))
        delivery_id = f"d{n:02d}"
        directory = write_delivery(
            self.settings.landing, delivery_id, f"{day}T20:00:00+01:00", self.tables(n, step), kind=step.kind
        )
        if step.fault == "again":
            # Other files, so that only their bytes tell that nothing is new.
            before = self.settings.landing / f"d{n - 1:02d}"
            shutil.copytree(before, self.directory / "again")
            shutil.rmtree(before)
            (self.directory / "again").rename(before)
        if step.fault in ("broken", "lost"):
            file = next(iter(directory.glob("*.csv")), directory / "manifest.json")
            good = file.read_bytes()
            file.write_bytes(good + b"\x00" if file.suffix == ".csv" else b"{")
            if file.suffix == ".csv":
                code = self._refusal(step, day) or "checksum_mismatch"
                self.refused[delivery_id], self.damaged[delivery_id] = day, step
            else:
                # Its time cannot be read: it has no place among the others.
                code = "manifest_invalid"
                self.refused[delivery_id] = date.max
            self.expected[delivery_id] = ("refused", code)
            self.night()
            if step.fault == "lost":
                return
            file.write_bytes(good)
            del self.refused[delivery_id]
            self.damaged.pop(delivery_id, None)
        self._expect(delivery_id, step, day)
        if step.fault == "killed":
            self.die(step.at)
        self.night()

    def tables(self, n: int, step: Step) -> Tables:
        """What the delivery of a day holds."""
        return step.tables

    def die(self, at: int) -> None:
        """A night that is killed, perhaps: at the ``at``-th step that changes something on disk."""
        try:
            with killed_at(at):
                list(take_waiting(self.settings))
        except Killed:
            pass

    def _refusal(self, step: Step, day: date) -> str | None:
        """Why the contract refuses a delivery of that day in view of those before."""
        if self.last_taken and day < self.last_taken:
            return "delivery_out_of_order"
        if step.kind == "delta" and any((self.last_taken or date.min) < other < day for other in self.refused.values()):
            return "predecessor_refused"
        return None

    def _expect(self, delivery_id: str, step: Step, day: date) -> None:
        code = self._refusal(step, day)
        self.expected[delivery_id] = ("refused", code) if code else ("taken", None)
        if code:
            self.refused[delivery_id] = day
            self.sound[delivery_id] = step
            return
        self.last_taken = day
        self.registry.take(delivery_id, step.tables, step.kind)
        # What could not be taken and lies before it has no place any more.
        for other, when in self.refused.items():
            if when < day:
                self.expected[other] = ("refused", "delivery_out_of_order")
        # And what was refused for want of a delivery before it may have one now: it is taken in the same night.
        for when, other in sorted((when, other) for other, when in self.refused.items() if other in self.sound):
            if other in self.refused and not self._refusal(self.sound[other], when):
                del self.refused[other]
                self._expect(other, self.sound[other], when)
        # Or only its bytes are in its way.
        for other, damaged in self.damaged.items():
            if not self._refusal(damaged, self.refused[other]):
                self.expected[other] = ("refused", "checksum_mismatch")

    def night(self) -> None:
        """Take what can be taken; a second time nothing is taken, and what is told of the rest is for good."""
        list(take_waiting(self.settings))
        outcomes = list(take_waiting(self.settings))
        assert all(outcome.result != "taken" for outcome in outcomes)
        self.check({o.delivery_id: ("taken" if o.result == "unchanged" else o.result, o.code) for o in outcomes})

    def check(self, told: Mapping[str, tuple[str, str | None]]) -> None:
        """What was told of the deliveries, and the state that they leave, are the contract's."""
        assert told == self.expected
        taken = [entry.delivery_id for entry in Ledger(self.settings.ledger).taken()]
        if taken:
            states = {extract: self.state(taken, extract) for extract in COLUMNS}
            for extract in KEYS:
                assert self.keys_of(states[extract], extract) == model_keys(self.registry, extract)
            self.states.setdefault(taken[-1], _contents(states))

    def keys_of(self, state: pl.DataFrame, extract: str) -> list[tuple[str, ...]]:
        """Keys of the rows that the model knows of."""
        return keys_of(state, extract)

    def state(self, taken: list[str], extract: str) -> pl.DataFrame:
        directories = [self.settings.validated / delivery_id for delivery_id in taken]
        return duckdb.sql(state_query(directories, extract)).pl().drop(ROW_NUMBER)

    def contents(self, taken: list[str]) -> dict[str, list[str]]:
        return _contents({extract: self.state(taken, extract) for extract in COLUMNS})

    def quarantined(self) -> list[str]:
        files = self.settings.quarantine.rglob("*.parquet")
        return sorted(repr(row) for path in files for row in pl.read_parquet(path).rows())


def _contents(states: Mapping[str, pl.DataFrame]) -> dict[str, list[str]]:
    return {extract: sorted(map(repr, state.rows())) for extract, state in states.items()}


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory, in memory where there is one, that no power cut is feared for: nothing waits for a disk."""
    memory = Path("/dev/shm")
    with (
        TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory,
        mock.patch.object(os, "sync"),
    ):
        yield Path(directory)


@contextmanager
def no_other_extracts() -> Iterator[None]:
    """A contract without the extracts that the model does not know: nothing in them would ever change."""
    modelled = MappingProxyType({name: extract for name, extract in schemas.EXTRACTS.items() if name in KEYS})
    with ExitStack() as stack:
        for module in (schemas, intake, manifest, validation):
            stack.enter_context(mock.patch.object(module, "EXTRACTS", modelled))
        stack.enter_context(mock.patch.dict(COLUMNS, {name: COLUMNS[name] for name in modelled}, clear=True))
        yield


def lives_as_the_contract_says(directory: Path, steps: list[Step]) -> None:
    machine = Machine(directory / "nights")
    for n, step in enumerate(steps):
        machine.live(n, step)
    taken = [entry.delivery_id for entry in Ledger(machine.settings.ledger).taken()]
    # Every earlier state can still be read as it was.
    for n, delivery_id in enumerate(taken, start=1):
        if delivery_id in machine.states:
            assert machine.contents(taken[:n]) == machine.states[delivery_id]
    at_once = Machine(directory / "at-once")
    for delivery_id in taken:
        shutil.copytree(machine.settings.landing / delivery_id, at_once.settings.landing / delivery_id)
    assert [outcome.result for outcome in take_waiting(at_once.settings)] == ["taken"] * len(taken)
    assert at_once.quarantined() == machine.quarantined()
    for n in range(1, len(taken) + 1):
        assert at_once.contents(taken[:n]) == machine.contents(taken[:n])
    assert {path.name for path in machine.settings.validated.iterdir()} == set(taken)


def test_a_late_full_delivery_lets_in_what_was_refused_before_it() -> None:
    steps = [Step("full", {}), Step("full", {}, "lost"), Step("delta", {}), Step("full", {}, "late")]
    with scratch() as directory:
        lives_as_the_contract_says(directory, steps)


@settings(max_examples=20, **QUIET)
@given(steps=sequences(2, 6))
def test_twenty_sequences(steps: list[Step]) -> None:
    with scratch() as directory, no_other_extracts():
        lives_as_the_contract_says(directory, steps)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=1000, **QUIET)
@given(steps=sequences(2, 6))
def test_a_thousand_sequences(steps: list[Step]) -> None:
    with scratch() as directory, no_other_extracts():
        lives_as_the_contract_says(directory, steps)
