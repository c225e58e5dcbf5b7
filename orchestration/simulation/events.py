"""What happens in a career, before it becomes rows of the registry.

Here: the column sets that the two components' careers share: courses, tests, decisions. Not here: how a career goes
(``social_orientation.py``, ``dutch.py``), nor when the registry shows it (``attendance.py``, ``tracks.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from orchestration.simulation.draws import NEVER, Days, Draws, Mask

FAILED, PASSED, ABSENT = 0, 1, 2
"""Results of an evaluation; absent = did not take part."""
NO_RESULT = -1


@dataclass
class Events:
    """Columns over events; ``trajectory`` is a position in the batch."""

    trajectory: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.trajectory)

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """One after the other."""
        names = [item.name for item in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def take(self, chosen: NDArray[Any]) -> Self:
        """The chosen events (positions or mask)."""
        return type(self)(**{item.name: getattr(self, item.name)[chosen] for item in fields(self)})


@dataclass
class Courses(Events):
    """Enrolments. ``left`` is the day of leaving early; ``result`` counts for Dutch only."""

    enrolled: Days
    begin: Days
    end: Days
    left: Days
    attended: NDArray[np.float64]  # share of the lesson hours
    result: NDArray[np.int8]
    level: NDArray[np.int8]  # 0 A1, 1 A2, 2 B1; MO: 0
    known: Days  # the day on which the course's outcome is recorded
    individual: Mask
    place_kept: Mask  # a place kept or refused, not an enrolment


@dataclass
class Tests(Events):
    """Tests taken or missed."""

    dated: Days
    result: NDArray[np.int8]
    level: NDArray[np.int8]
    kind: NDArray[np.int8]  # position in TEST_KINDS


TEST_KINDS = ("MO", "NT2", "NIVEAU")


@dataclass
class Decisions(Events):
    """Components of tracks with their decisions: an earlier one that was overwritten, and the last one."""

    kind: NDArray[np.int8]  # position in COMPONENT_KINDS
    begin: Days
    earlier: NDArray[np.int8]  # position in DECISIONS, or NO_RESULT
    earlier_dated: Days
    last: NDArray[np.int8]
    last_dated: Days


COMPONENT_KINDS = ("TO_OB_MO", "TO_A1", "TO_A2", "TO_B1/1", "TO_OB_LLO")
DECISIONS = ("NVO", "VO", "NVT")
NOT_MET, MET, NOT_APPLICABLE = 0, 1, 2


@dataclass
class Career:
    """One component's events of all trajectories, and per trajectory where it stands in the end."""

    courses: Courses
    tests: Tests
    decisions: Decisions
    passed: Days  # of the trajectory itself
    failed_for_good: Days
    last_event: Days
    planned: Mask  # something more is to come after the last simulated day
    level_reached: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))


def nothing(kind: type[Events]) -> Any:
    """No events of this kind."""
    dtypes = {"attended": np.float64, "individual": np.bool_, "place_kept": np.bool_}
    dtypes |= dict.fromkeys(("result", "level", "kind", "earlier", "last"), np.int8)
    make = cast(Callable[..., Events], kind)
    return make(**{item.name: np.zeros(0, dtype=dtypes.get(item.name, np.int32)) for item in fields(kind)})


def never(n: int) -> Days:
    """n days that do not come."""
    return np.full(n, NEVER, dtype=np.int32)


def small(value: int, n: int) -> NDArray[np.int8]:
    """n times one small number."""
    return np.full(n, value, dtype=np.int8)


def decided_on(kind: NDArray[np.int8], who: NDArray[Any], begin: Days, dated: Days, met: Mask) -> Decisions:
    """Components with one decision each."""
    n = len(who)
    return Decisions(
        trajectory=who.astype(np.int32),
        kind=kind,
        begin=begin.astype(np.int32),
        earlier=small(NO_RESULT, n),
        earlier_dated=never(n),
        last=np.where(met, MET, NOT_MET).astype(np.int8),
        last_dated=dated.astype(np.int32),
    )


def exemptions(draws: Draws, kind: NDArray[np.int8], who: NDArray[Any], signed: Days) -> Decisions:
    """Components decided to be not applicable, soon after signature."""
    decisions = decided_on(kind, who, signed[who], signed[who] + draws.whole(0, 40, len(who)), np.ones(len(who), bool))
    decisions.last[:] = NOT_APPLICABLE
    return decisions


def components_of(
    kind: NDArray[np.int8], begin: Days, first_dated: Days, first_met: Mask, resits: Decisions, own_component: Mask
) -> Decisions:
    """One component for each trajectory that began, with its first decision, if any.

    A re-sit is a component of its own, or it overwrites the first decision, as the registry does.
    """
    began = np.flatnonzero(begin < NEVER)
    first = decided_on(kind[began], began, begin[began], first_dated[began], first_met[began])
    first.last[first_dated[began] == NEVER] = NO_RESULT
    # The last re-sit of each trajectory: they are in order of time, so the last assignment wins.
    last_resit = np.full(len(begin), -1, dtype=np.int64)
    last_resit[resits.trajectory] = np.arange(len(resits))
    resit = last_resit[began]
    overwritten = (resit >= 0) & ~own_component[began]
    first.earlier = np.where(overwritten, first.last, NO_RESULT).astype(np.int8)
    first.earlier_dated = np.where(overwritten, first.last_dated, NEVER).astype(np.int32)
    first.last[overwritten] = resits.last[resit[overwritten]]
    first.last_dated[overwritten] = resits.last_dated[resit[overwritten]]
    return Decisions.join([first, resits.take(own_component[resits.trajectory])])
