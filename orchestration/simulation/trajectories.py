"""Who signs what and when, and what will interrupt it.

Here: the population of trajectories (contracts, and Dutch careers without one) with everything fixed at signature and
the days on which the target group, the person or the agency ends it. Not here: what happens in between
(``social_orientation.py``, ``dutch.py``), nor the rows that tell of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Codes, Days, Draws, Mask, by_year, day, year_of

COMPULSORY, VOLUNTARY, UNDETERMINED = 0, 1, 2
COURSE, NOT_IN_CONTRACT, EXEMPT, PRIOR = 0, 1, 2, 3
"""How a component is met: by courses, not asked for, exempt by decision, at the level before signature."""

NIS_CODES = tuple(p.MUNICIPALITIES)
_IN_BRUSSELS = np.array([code.startswith("21") for code in NIS_CODES])


@dataclass
class Trajectories:
    """Columns over trajectories, ordered by signature. Days that never come are ``NEVER``."""

    person: NDArray[np.int32]
    sequence: NDArray[np.int8]  # 1 = the person's first contract, 0 = no contract at all
    signed: Days  # without contract: the day the Dutch career began
    next_signed: Days
    municipality: Codes
    participation: NDArray[np.int8]
    mo_by: NDArray[np.int8]
    nt2_by: NDArray[np.int8]
    left: Days  # the target group
    returned: Days
    changed: Days  # from compulsory to voluntary or back
    closed_by_change: Mask
    suspended: Days
    suspended_until: Days
    gave_up: Days

    def __len__(self) -> int:
        return len(self.person)

    def take(self, positions: NDArray[Any]) -> Trajectories:
        """The trajectories at these positions."""
        return Trajectories(**{field.name: getattr(self, field.name)[positions] for field in fields(self)})

    @property
    def effort(self) -> Mask:
        """Signed under the obligation of effort: target level A1, attendance counts."""
        return self.signed < day(p.RESULT_REGIME_FROM)

    @property
    def voluntary(self) -> NDArray[np.int8]:
        """0 compulsory, 1 otherwise: the index of the parameters' pairs."""
        return (self.participation != COMPULSORY).astype(np.int8)

    @property
    def in_brussels(self) -> Mask:
        """The municipality at signature lies in the Brussels Region."""
        return _IN_BRUSSELS[self.municipality]

    @property
    def stopped(self) -> Days:
        """The day from which nothing more is begun."""
        by_change = np.where(self.closed_by_change, self.changed, NEVER)
        return np.minimum.reduce([self.left, by_change, self.gave_up]).astype(np.int32)


def first_signature(until: date) -> int:
    """The first day on which a contract can be signed."""
    return min(day(p.FIRST_SIGNATURE), day(until) - p.SHORTEST_HISTORY)


def _signature_days(draws: Draws, n: int, until: date) -> Days:
    """Days of signature in proportion to the published numbers per year and quarter, in ascending order."""
    first = first_signature(until)
    days = np.arange(first, day(until) + 1, dtype=np.int32)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int32) % 12
    weights = np.asarray(p.MONTH_WEIGHTS)[months]
    weights = np.where((days + 3) % 7 >= 5, weights * p.WEEKEND_WEIGHT, weights)
    years = year_of(days)
    whole_years = np.arange(years[0], years[-1] + 1)
    # A year cut off by either end keeps the weight of its days, not the whole year's.
    for year in whole_years:
        in_year = years == year
        if year in p.CONTRACTS_PER_QUARTER:
            for quarter, contracts in enumerate(p.CONTRACTS_PER_QUARTER[year]):
                in_quarter = in_year & (months // 3 == quarter)
                share = in_quarter.sum() / 91.25
                if share:
                    weights[in_quarter] *= contracts * share / weights[in_quarter].sum()
        else:
            known = [known_year for known_year in p.CONTRACTS_PER_YEAR if known_year <= year]
            contracts = p.CONTRACTS_PER_YEAR[max(known, default=min(p.CONTRACTS_PER_YEAR))]
            weights[in_year] *= contracts * min(1.0, in_year.sum() / 365.25) / weights[in_year].sum()
    edges = np.cumsum(weights)
    drawn = np.searchsorted(edges / edges[-1], draws.uniform(n), side="right")
    return np.sort(days[np.minimum(drawn, len(days) - 1)])


def _signatures(draws: Draws, n: int, until: date) -> tuple[NDArray[np.int32], NDArray[np.int8], Days, Days]:
    """Person, sequence, signature and next signature of ``n`` contracts."""
    last = day(until)
    n_later = round(n * p.LATER_CONTRACT_SHARE)
    n_third = round(n_later * p.THIRD_CONTRACT_SHARE)
    n_second = n_later - n_third
    first = _signature_days(draws, n - n_later, until)
    # Those with time for another contract come first, in random order.
    shuffled = draws.order(len(first))
    second_of = shuffled[np.argsort(first[shuffled] > last - 2 * p.LATER_CONTRACT_AFTER[0], kind="stable")][:n_second]

    def _later(before: Days) -> Days:
        after = draws.spread(p.LATER_CONTRACT_AFTER, len(before))
        room = last - before
        # Where the drawn day lies beyond the end, the contract comes somewhere in the room that is left.
        earlier = (draws.uniform(len(before)) * room).astype(np.int32)
        return (before + np.where(after <= room, after, earlier)).astype(np.int32)

    second = _later(first[second_of])
    third = _later(second[:n_third])
    next_of_first = np.full(len(first), NEVER, dtype=np.int32)
    next_of_first[second_of] = second
    next_of_second = np.full(n_second, NEVER, dtype=np.int32)
    next_of_second[:n_third] = third
    person = np.concatenate([np.arange(len(first)), second_of, second_of[:n_third]]).astype(np.int32)
    sequence = np.repeat(np.array([1, 2, 3], dtype=np.int8), [len(first), n_second, n_third])
    signed = np.concatenate([first, second, third])
    following = np.concatenate([next_of_first, next_of_second, np.full(n_third, NEVER, dtype=np.int32)])
    return person, sequence, signed, following


def draw_trajectories(draws: Draws, n_contracts: int, until: date) -> tuple[Trajectories, int]:
    """The trajectories of one batch, and how many persons they belong to."""
    person, sequence, signed, following = _signatures(draws, n_contracts, until)
    n_persons = n_contracts - int((sequence > 1).sum())
    n_without = round(n_contracts * p.WITHOUT_CONTRACT_SHARE)
    person = np.concatenate([person, n_persons + np.arange(n_without, dtype=np.int32)])
    sequence = np.concatenate([sequence, np.zeros(n_without, dtype=np.int8)])
    signed = np.concatenate([signed, _signature_days(draws, n_without, until)])
    following = np.concatenate([following, np.full(n_without, NEVER, dtype=np.int32)])
    n, n_persons = len(person), n_persons + n_without

    has_contract = sequence > 0
    municipality = draws.pick(list(p.MUNICIPALITIES.values()), n_persons)[person]
    participation = _participation(draws, signed, municipality)
    participation[~has_contract] = VOLUNTARY
    mo_by, nt2_by = _components(draws, signed)
    mo_by[~has_contract] = NOT_IN_CONTRACT
    nt2_by[~has_contract] = COURSE

    pair = (participation != COMPULSORY).astype(np.int8)
    left = np.where(draws.chance(np.asarray(p.LEFT_SHARE)[pair], n), signed + draws.spread(p.LEFT_AFTER, n), NEVER)
    changes = draws.chance(np.asarray(p.CHANGED_SHARE)[pair], n) & (participation != UNDETERMINED) & has_contract
    changed = np.where(changes, signed + draws.spread(p.CHANGED_AFTER, n), NEVER)
    left = np.where((left < NEVER) & (np.abs(left - changed) > 1), left, NEVER)
    # A person with another contract belongs to the target group when signing it, and has one history of it:
    # that of the first contract, where it ends in time.
    left = np.where(left + 30 >= following, NEVER, left)
    left[sequence > 1] = NEVER
    changed = np.where((changed + 5 >= following) | (changed >= left), NEVER, changed)
    changed[sequence > 1] = NEVER
    goes_back = (left < NEVER) & ((following < NEVER) | draws.chance(p.RETURNED_SHARE, n))
    returned = np.where(goes_back, np.where(following < NEVER, following - 10, left + 200), NEVER)

    suspends = draws.chance(p.SUSPENDED_SHARE, n) & has_contract
    suspended = np.where(suspends, signed + draws.spread(p.SUSPENDED_AFTER, n), NEVER)
    lasting = draws.spread(p.SUSPENDED_FOR, n)
    open_ended = draws.chance(p.SUSPENSION_OPEN, n)
    suspended_until = np.where(suspends & ~open_ended, suspended + lasting, NEVER)

    gives_up = draws.chance(np.asarray(p.GAVE_UP_SHARE)[pair], n)
    gave_up = np.where(gives_up, signed + draws.spread(p.GAVE_UP_AFTER, n), NEVER)
    broken_off = (following < NEVER) & draws.chance(p.LATER_CONTRACT_ENDS_EARLIER, n)
    # In the latter half of the time that the next contract leaves it.
    place = 0.5 + 0.45 * draws.uniform(n)
    between = signed + (place * np.where(broken_off, following - signed, 1)).astype(np.int32)
    gave_up = np.minimum(gave_up, np.where(broken_off, between, NEVER))

    # The later contract of a person whose type changed is of the new type.
    changed_of = np.full(n_persons, NEVER, dtype=np.int32)
    type_of = np.zeros(n_persons, dtype=np.int8)
    firsts = sequence <= 1
    changed_of[person[firsts]] = changed[firsts]
    type_of[person[firsts]] = participation[firsts]
    later = sequence > 1
    moved = changed_of[person] <= signed
    inherited = np.where(moved & (type_of[person] != UNDETERMINED), 1 - type_of[person], type_of[person])
    participation = np.where(later, inherited, participation).astype(np.int8)

    trajectories = Trajectories(
        person=person.astype(np.int32),
        sequence=sequence,
        signed=signed,
        next_signed=following,
        municipality=municipality,
        participation=participation,
        mo_by=mo_by,
        nt2_by=nt2_by,
        left=left.astype(np.int32),
        returned=returned.astype(np.int32),
        changed=changed.astype(np.int32),
        closed_by_change=draws.chance(p.CHANGE_CLOSES_TRACK, n) & (changed < NEVER),
        suspended=suspended.astype(np.int32),
        suspended_until=suspended_until.astype(np.int32),
        gave_up=gave_up.astype(np.int32),
    )
    return trajectories.take(np.lexsort((sequence, signed))), n_persons


def _participation(draws: Draws, signed: Days, municipality: Codes) -> NDArray[np.int8]:
    """Compulsory or voluntary at signature; Brussels knew no obligation at first, so the others bear the share."""
    n = len(signed)
    brussels = _IN_BRUSSELS[municipality]
    brussels_share = sum(weight for code, weight in p.MUNICIPALITIES.items() if code.startswith("21"))
    brussels_share /= sum(p.MUNICIPALITIES.values())
    share = by_year(p.COMPULSORY_SHARE, signed)
    before = signed < day(p.BRUSSELS_COMPULSORY_FROM)
    share = np.where(before, np.where(brussels, 0.0, share / (1 - brussels_share)), share)
    participation = np.where(draws.chance(share, n), COMPULSORY, VOLUNTARY).astype(np.int8)
    participation[draws.chance(p.UNDETERMINED_SHARE, n)] = UNDETERMINED
    return participation


def _components(draws: Draws, signed: Days) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """How the contract's two components are met. At least one of them takes courses."""
    n = len(signed)
    mo_by = np.full(n, COURSE, dtype=np.int8)
    mo_by[draws.chance(p.MO_EXEMPT_BY_DECISION, n)] = EXEMPT
    mo_by[draws.chance(by_year(p.MO_NOT_IN_CONTRACT, signed), n)] = NOT_IN_CONTRACT
    shares = (p.NT2_NOT_IN_CONTRACT, p.NT2_EXEMPT_BY_DECISION, p.NT2_PRIOR_LEVEL)
    drawn = draws.pick((1 - sum(shares), *shares), n)
    nt2_by = np.array([COURSE, NOT_IN_CONTRACT, EXEMPT, PRIOR], dtype=np.int8)[drawn]
    mo_by[nt2_by != COURSE] = COURSE
    return mo_by, nt2_by
