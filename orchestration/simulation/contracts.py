"""Rows of contracts, their addenda and their suspensions.

Here: contracten, addenda, opschortingen. Not here: what is done under the contract (``attendance.py``) and what is
decided on it (``tracks.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Days, Draws, Mask, day
from orchestration.simulation.persons import People, late
from orchestration.simulation.table import RegistryTable, Version, labels, numbered
from orchestration.simulation.trajectories import COURSE, EXEMPT, NIS_CODES, NOT_IN_CONTRACT, PRIOR, Trajectories

_TEMPLATES = (*p.TEMPLATES["effort"], *p.TEMPLATES["result"], *p.TEMPLATES["pillars"])
_AGENCIES = (p.AGENCY, *p.AGENCY_OF_MUNICIPALITY.values(), p.AGENCY_BRUSSELS_DUTCH)
_CITIES = list(p.AGENCY_OF_MUNICIPALITY)


class Contracts:
    """The contracts of a batch: which trajectories have one, under which number, recorded when."""

    def __init__(self, draws: Draws, who: Trajectories, people: People, first_number: int, until: int) -> None:
        self.who, self.people, self.until = who, people, until
        self.trajectory = np.flatnonzero(who.sequence > 0)
        self.number = np.full(len(who), -1, dtype=np.int64)
        self.number[self.trajectory] = first_number + np.arange(len(self.trajectory))
        self.recorded = np.minimum(who.signed + late(draws, len(who)), until).astype(np.int32)
        self._next_number = first_number + len(self.trajectory)

    def tables(self, draws: Draws) -> list[RegistryTable]:
        """contracten, addenda, opschortingen."""
        return [self._contracts(draws), self._addenda(draws), self._suspensions(draws)]

    def _contracts(self, draws: Draws) -> RegistryTable:
        # Some are entered by mistake, with a number of their own, and removed later.
        n_real = len(self.trajectory)
        mistaken = np.flatnonzero(draws.chance(p.MISTAKEN_CONTRACTS, n_real))
        at = np.concatenate([self.trajectory, self.trajectory[mistaken]])
        n = len(at)
        number = np.concatenate([self.number[self.trajectory], self._next_number + np.arange(len(mistaken))])
        who = self.who.take(at)
        recorded = self.recorded[at]
        deleted = np.full(n, NEVER, dtype=np.int32)
        gone = recorded[n_real:] + draws.spread(p.MISTAKEN_FOR, len(mistaken))
        deleted[n_real:] = np.minimum(gone, self.until)
        mo, nt2, lo = self._flags(draws, who)
        return RegistryTable(
            "contracten",
            recorded,
            {
                "contract_id": numbered("C", number),
                "insz": self.people.insz(who.person, recorded),
                "datum_registratie": who.signed,
                "type": labels(_template(draws, who.signed), _TEMPLATES),
                "kbo_nummer": labels(_agency(draws, who), _AGENCIES),
                "nis_gemeente": labels(who.municipality, NIS_CODES),
                "onderdeel_mo": mo,
                "onderdeel_nt2": nt2,
                "onderdeel_lo": lo,
            },
            deleted=deleted,
        )

    def _flags(self, draws: Draws, who: Trajectories) -> tuple[NDArray[np.int8], ...]:
        n = len(who)
        asks_mo = np.isin(who.mo_by, (COURSE, EXEMPT))
        asks_nt2 = np.isin(who.nt2_by, (COURSE, EXEMPT)) | ((who.nt2_by == PRIOR) & draws.chance(0.6, n))
        flags = [asks_mo, asks_nt2, draws.chance(p.LO_IN_CONTRACT, n)]
        all_empty, all_false = draws.chance(p.FLAGS_ALL_EMPTY, n), draws.chance(p.FLAGS_ALL_FALSE, n)
        written = []
        for flag in flags:
            empty = all_empty | draws.chance(p.FLAG_EMPTY, n)
            written.append(np.where(empty, -1, flag & ~all_false).astype(np.int8))
        return tuple(written)

    def _addenda(self, draws: Draws) -> RegistryTable:
        at = self.trajectory[draws.chance(p.ADDENDUM_SHARE, len(self.trajectory))]
        n = len(at)
        who = self.who.take(at)
        signed = who.signed + draws.spread(p.ADDENDUM_AFTER, n)
        # What it says: adds career orientation, repeats the contract, drops Dutch, adds MO, or nothing at all.
        says = draws.pick((0.45, 0.30, 0.08, 0.09, 0.08), n)
        mo = np.where(says == 1, who.mo_by != NOT_IN_CONTRACT, np.where(says == 3, 1, -1))
        nt2 = np.where(says == 1, who.nt2_by == COURSE, np.where(says == 2, 0, -1))
        lo = np.where(np.isin(says, (0, 1)), 1, -1)
        mo, nt2, lo = (np.where(says == 4, -1, flag).astype(np.int8) for flag in (mo, nt2, lo))
        return RegistryTable(
            "addenda",
            np.maximum(signed + late(draws, n), self.recorded[at]).astype(np.int32),
            {
                "addendum_id": numbered("A", self.number[at]),
                "contract_id": numbered("C", self.number[at]),
                "datum_registratie": signed.astype(np.int32),
                "type": labels(draws.pick((1,) * len(p.ADDENDUM_TYPES), n), p.ADDENDUM_TYPES),
                "onderdeel_mo": mo,
                "onderdeel_nt2": nt2,
                "onderdeel_lo": lo,
            },
        )

    def _suspensions(self, draws: Draws) -> RegistryTable:
        at = self.trajectory[self.who.suspended[self.trajectory] < NEVER]
        n = len(at)
        begin, end = self.who.suspended[at], self.who.suspended_until[at]
        recorded = np.maximum(begin + late(draws, n), self.recorded[at]).astype(np.int32)
        reasons = list(p.SUSPENSION_REASONS)
        # Half of the ends are foreseen when it begins, the other half are entered when it is over.
        foreseen = draws.chance(0.5, n)
        known = np.where(foreseen, recorded, np.maximum(end, recorded)).astype(np.int32)
        return RegistryTable(
            "opschortingen",
            recorded,
            {
                "contract_id": numbered("C", self.number[at]),
                "begin": begin,
                "reden": labels(draws.pick(list(p.SUSPENSION_REASONS.values()), n), reasons),
            },
            [Version(known, {"einde": end})],
        )


def _template(draws: Draws, signed: Days) -> NDArray[np.int16]:
    """The document template: those of the regime of the day."""
    n = len(signed)
    n_effort, n_result = len(p.TEMPLATES["effort"]), len(p.TEMPLATES["result"])
    effort = draws.pick((1,) * n_effort, n)
    result = n_effort + draws.pick((1,) * n_result, n)
    pillars = n_effort + n_result + draws.pick((1,) * len(p.TEMPLATES["pillars"]), n)
    later = np.where(signed < day(p.TEST_REGIME_FROM), result, pillars)
    return np.where(signed < day(p.RESULT_REGIME_FROM), effort, later).astype(np.int16)


def _agency(draws: Draws, who: Trajectories) -> NDArray[np.int16]:
    """Two cities have an agency of their own, Brussels a second one."""
    n = len(who)
    agency = np.zeros(n, dtype=np.int16)
    for rank, code in enumerate(_CITIES):
        agency[who.municipality == NIS_CODES.index(code)] = 1 + rank
    dutch: Mask = who.in_brussels & draws.chance(p.BRUSSELS_DUTCH_SHARE, n)
    agency[dutch] = 1 + len(_CITIES)
    agency[draws.chance(p.AGENCY_MISSING, n)] = -1
    return agency
