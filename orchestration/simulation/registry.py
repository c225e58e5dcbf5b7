"""The whole registry of one batch of contracts, through time.

Here: the order in which a batch comes about, and its fourteen tables. Not here: any of its parts, nor the writing of
deliveries (``deliveries.py``). Batches know nothing of each other: they may be made in any order, one at a time.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Any

import numpy as np

from orchestration.simulation.attendance import dutch_courses, social_orientation_courses, tests_taken, waiting_list
from orchestration.simulation.contracts import Contracts
from orchestration.simulation.draws import Draws, day
from orchestration.simulation.dutch import attend_dutch
from orchestration.simulation.events import Career, Decisions, Events, Tests
from orchestration.simulation.layout import EXTRACTS
from orchestration.simulation.persons import People, Serials
from orchestration.simulation.social_orientation import attend_social_orientation
from orchestration.simulation.table import RegistryTable
from orchestration.simulation.tracks import Tracks, draw_ends
from orchestration.simulation.trajectories import NOT_IN_CONTRACT, Trajectories, draw_trajectories

BATCH_SIZE = 100_000
"""Contracts simulated at a time: bounds the memory, and is part of what a seed means."""
_NUMBERS_PER_BATCH = 10_000_000


def simulate_batch(
    seed: int, batch: int, batches: int, contracts: int, first_delivery: date, until: date
) -> dict[str, RegistryTable]:
    """All fourteen extracts of one batch, in the order of the delivery contract."""

    def _draws(topic: str) -> Draws:
        return Draws(seed, batch, topic)

    number = batch * _NUMBERS_PER_BATCH
    who, n_persons = draw_trajectories(_draws("trajectories"), contracts, until)
    mo, nt2 = _careers(_draws("social orientation"), _draws("dutch"), who, day(until))
    people = People(_draws("people"), who, n_persons, Serials(batch, batches), day(first_delivery))
    signed = Contracts(_draws("contracts"), who, people, number, day(until))
    ends = draw_ends(_draws("ends"), who, mo, nt2)
    tracks = Tracks(_draws("tracks"), who, people, signed, ends, number)
    tests = Tests.join([mo.tests, nt2.tests])
    decisions = Decisions.join([mo.decisions, nt2.decisions])
    # Whoever appears in a row is known from then on: this comes before the rows about persons themselves.
    for events, days in ((nt2.courses, nt2.courses.enrolled), (tests, tests.dated), (mo.courses, mo.courses.enrolled)):
        people.knows_from(who.person[events.trajectory], days)
    tables = [
        *people.tables(),
        people.target_groups(_draws("target groups")),
        *signed.tables(_draws("contract rows")),
        tracks.tracks(_draws("track rows")),
        tracks.components(_draws("component rows"), decisions, number),
        social_orientation_courses(_draws("mo rows"), mo.courses, who, people, number),
        dutch_courses(_draws("nt2 rows"), nt2.courses, who, people, number),
        tests_taken(_draws("test rows"), tests, who, people, number),
        tracks.certificates(_draws("certificate rows"), number),
        tracks.infringements(_draws("infringement rows"), number),
        waiting_list(_draws("waiting list"), who, people),
    ]
    by_name = {table.extract.name: table for table in tables}
    return {name: by_name[name] for name in EXTRACTS}


def _careers(mo_draws: Draws, nt2_draws: Draws, who: Trajectories, until: int) -> tuple[Career, Career]:
    """The careers under first contracts, then those under later ones, which build on what was reached before."""
    n_persons = int(who.person.max()) + 1
    reached = np.full(n_persons, -1, dtype=np.int8)
    mo_passed = np.zeros(n_persons, dtype=bool)
    done: list[tuple[np.ndarray, Career, Career]] = []
    for contract in (1, 2, 3):
        at = np.flatnonzero(np.maximum(who.sequence, 1) == contract)
        # MO once passed is not in a later contract.
        who.mo_by[at[mo_passed[who.person[at]]]] = NOT_IN_CONTRACT
        taking = who.take(at)
        mo = attend_social_orientation(mo_draws, taking, until)
        nt2 = attend_dutch(nt2_draws, taking, reached[taking.person], until)
        reached[taking.person] = nt2.level_reached
        mo_passed[taking.person] |= mo.passed <= until
        done.append((at, mo, nt2))
    positions = [at for at, _, _ in done]
    return _together(positions, [mo for _, mo, _ in done]), _together(positions, [nt2 for _, _, nt2 in done])


def _together(positions: list[np.ndarray], careers: list[Career]) -> Career:
    """Careers of parts of a batch as one: events keep their order, columns go to their trajectories' places."""
    back = np.argsort(np.concatenate(positions), kind="stable")
    joined: dict[str, Any] = {}
    for item in fields(Career):
        parts = [getattr(career, item.name) for career in careers]
        if isinstance(parts[0], Events):
            for at, part in zip(positions, parts, strict=True):
                part.trajectory = at[part.trajectory].astype(np.int32)
            joined[item.name] = type(parts[0]).join(parts)
        else:
            column = np.concatenate(parts)
            joined[item.name] = column[back] if len(column) == len(back) else column
    return Career(**joined)
