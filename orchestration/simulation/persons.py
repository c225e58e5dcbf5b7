"""The persons of a batch: numbers, attributes, target-group history.

Here: who they are and how that changes. Not here: what they sign and attend (``trajectories.py`` and after).

Numbers are synthetic: the month of birth is raised by 60 and the check digits are right, so no number can be a real
person's. Within a day of birth, the serial numbers are shared out by batch (``Serials``), so that numbers are unique
over batches that know nothing of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Codes, Days, Draws, Mask, by_year, day
from orchestration.simulation.events import never
from orchestration.simulation.table import RegistryTable, Version, labels, text
from orchestration.simulation.trajectories import COMPULSORY, NIS_CODES, UNDETERMINED, Trajectories

SERIALS_OF_CURRENT = 498
"""Serial numbers 1-498 are for current numbers, 499-996 for the numbers they replaced; 997 and 998 stay free."""
FREE_SERIALS = (997, 998)
NATIONALITIES = (*p.NATIONALITIES_EU, *p.NATIONALITIES_THIRD)
_N_EU = len(p.NATIONALITIES_EU)
_TARGET_GROUP_TYPES = ("PLICHT", "RECHT", "NADER_TE_BEPALEN", "RECHT_PLICHT", "MINDERJARIG", "GEEN")


def synthetic_insz(birth: Days, serial: NDArray[Any], whole_month: bool = False) -> NDArray[np.int64]:
    """Synthetic numbers of births on these days; ``whole_month`` leaves the day part 00, as for a day unknown."""
    dates = birth.astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    years, month = months // 12 + 1970, months % 12 + 1
    day_part = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
    day_part = np.zeros_like(day_part) if whole_month else day_part
    nine = ((years % 100 * 100 + month + 60) * 100 + day_part) * 1000 + serial
    checked = np.where(years >= 2000, nine + 2_000_000_000, nine)
    return nine * 100 + 97 - checked % 97


@dataclass(frozen=True)
class Serials:
    """The serial numbers that one batch may give out per day of birth."""

    batch: int
    batches: int

    @property
    def per_day(self) -> int:
        """How many persons of the batch may be born on one day."""
        return SERIALS_OF_CURRENT // self.batches

    def share_out(self, birth: Days) -> tuple[Days, NDArray[np.int64]]:
        """Each person's day of birth and serial number. Where a day is full, the birth moves to the next day."""
        order = np.argsort(birth, kind="stable")
        wanted = birth[order].astype(np.int64) * self.per_day
        rank = np.arange(len(birth))
        # Places on a line, per_day to a day; each takes the first free one at or after the wanted place.
        place = np.maximum.accumulate(wanted - rank) + rank
        days, within = place // self.per_day, place % self.per_day
        # Where in its share a day begins is arbitrary; without this every first serial would be 1.
        serial = 1 + self.batch * self.per_day + (within + days * 7) % self.per_day
        back = np.empty_like(order)
        back[order] = rank
        return days[back].astype(np.int32), serial[back]


class People:
    """The persons of one batch and their numbers over time."""

    def __init__(self, draws: Draws, who: Trajectories, n_persons: int, serials: Serials, first_delivery: int) -> None:
        n = n_persons
        self.n = n
        firsts = np.flatnonzero(who.sequence <= 1)
        order = np.empty(n, dtype=np.int64)
        order[who.person[firsts]] = firsts
        self.first = who.take(order)  # the first trajectory of each person, in the order of persons
        age = draws.spread([years * 365 for years in p.AGE_AT_SIGNATURE], n)
        self.birth, serial = serials.share_out(self.first.signed - age)
        self.serial = serial
        self.known_from = (self.first.signed - draws.spread(p.TRACK_BEGINS_BEFORE, n) - 30).astype(np.int32)

        self._draw_numbers(draws, serials)
        self.dropped = (self.known[1] <= first_delivery) & draws.chance(p.OLD_NUMBER_DROPPED, n)
        self._texts = pl.Series("insz", self.numbers.ravel()).cast(pl.String).str.zfill(11)
        self._draw_attributes(draws)

    def _draw_numbers(self, draws: Draws, serials: Serials) -> None:
        """Up to three numbers in time order: the oldest of a chain, the one before the current, the current one.

        ``numbers`` has a row for each, -1 where there is none; ``dated`` and ``known`` have a row for each of the two
        replacements: the day that it happened, and the day that the registry knows of it.
        """
        n, serial = self.n, self.serial
        current = synthetic_insz(self.birth, serial)
        earlier = synthetic_insz(self.birth, serial + SERIALS_OF_CURRENT)
        # The oldest number of a chain has the day of birth unknown; few enough to share a month's serials by batch.
        month = self.birth.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        has_bis = draws.chance(p.BIS_FIRST_SHARE, n)
        corrected = has_bis & draws.chance(p.NUMBER_CORRECTED_SHARE / p.BIS_FIRST_SHARE, n)
        rank_in_month = _rank_within(month, corrected)
        corrected &= rank_in_month < serials.per_day
        oldest_serial = 1 + serials.batch * serials.per_day + rank_in_month
        oldest = synthetic_insz(self.birth, np.minimum(oldest_serial, FREE_SERIALS[1]), whole_month=True)
        changed = self.known_from + draws.spread(p.NUMBER_CHANGED_AFTER, n)
        again = changed + 20 + draws.spread(p.NUMBER_CHANGED_AFTER, n)
        known = changed + late(draws, n)
        self.dated = np.stack([np.where(corrected, changed, NEVER), np.where(corrected, again, changed)])
        self.dated[1][~has_bis] = NEVER
        known_again = np.maximum(self.dated[1], known) + 1
        self.known = np.stack([np.where(corrected, known, NEVER), np.where(corrected, known_again, known)])
        self.known[1][~has_bis] = NEVER
        self.numbers = np.stack([np.where(corrected, oldest, -1), np.where(has_bis, earlier, -1), current])

    def _draw_attributes(self, draws: Draws) -> None:
        n, first = self.n, self.first
        self.nationality = _nationality(draws, first)
        naturalised = draws.chance(p.NATURALISED_SHARE, n)
        after = first.signed + draws.spread(p.NATURALISED_AFTER, n)
        self.naturalised = np.where(naturalised & (self.nationality >= 0), after, NEVER).astype(np.int32)
        moves = draws.chance(p.MOVED_SHARE, n)
        self.moved = np.where(moves, first.signed + draws.spread(p.MOVED_AFTER, n), NEVER).astype(np.int32)
        self.moved_to = draws.pick(list(p.MUNICIPALITIES.values()), n)
        # Odd serial numbers are men's, even ones women's.
        self.sex = np.where(draws.chance(p.SEX_UNKNOWN, n), -1, 1 - self.serial % 2).astype(np.int16)
        differs = draws.chance(p.BIRTH_DATE_DIFFERS, n)
        self.birth_date = np.where(differs, self.birth + draws.whole(-400, 400, n), self.birth).astype(np.int32)
        self.client_number = draws.whole(0, 2**31 - 2, 4 * n).view(np.uint8).reshape(n, 16)
        self.new_client_letter = draws.whole(0, 25, n).astype(np.int16)
        self.new_client_number = draws.whole(1_000_000, 9_999_999, n)

    def knows_from(self, person: NDArray[Any], days: Days) -> None:
        """The person is known from these days on, if not before."""
        np.minimum.at(self.known_from, person, days)

    def insz(self, person: NDArray[Any], recorded: Days) -> pl.Series:
        """The number that a row recorded on a day carries: the person's number as known on that day."""
        at = np.where(recorded >= self.known[1, person], 2, np.where(self.numbers[1, person] >= 0, 1, 2))
        chain = self.numbers[0, person] >= 0
        at = np.where(chain & (recorded < self.known[0, person]), 0, at)
        return self._texts.gather(at.astype(np.int64) * self.n + person)

    def tables(self) -> list[RegistryTable]:
        """personen, insz_wijzigingen."""
        n = self.n
        everyone = np.arange(n)
        has_bis, chain = self.numbers[1] >= 0, self.numbers[0] >= 0
        # One row per number; the row of a number appears when the number does, and is frozen when it is replaced.
        which = np.concatenate([np.full(n, 2), np.full(int(has_bis.sum()), 1), np.full(int(chain.sum()), 0)])
        person = np.concatenate([everyone, np.flatnonzero(has_bis), np.flatnonzero(chain)])
        current = which == 2
        follows_chain = (which == 1) & chain[person]
        begins = np.where(current & has_bis[person], self.known[1, person], self.known_from[person])
        begins = np.where(follows_chain, self.known[0, person], begins).astype(np.int32)
        dropped = ~current & self.dropped[person]
        foreign = labels(self.nationality, NATIONALITIES).gather(person)
        place = labels(self.first.municipality, NIS_CODES).gather(person)
        persons = RegistryTable(
            "personen",
            np.where(dropped, NEVER, begins).astype(np.int32),
            {
                "insz": self._texts.gather(which * n + person),
                "kbi_nummer": _hexadecimal(self.client_number).gather(person),
                "geboortedatum": self.birth_date[person],
                "geslacht_code": labels(self.sex, ("1", "2")).gather(person),
                "nationaliteit_code": foreign,
                "nis_gemeente": place,
            },
            [
                Version(np.full(len(person), day(p.CLIENT_NUMBERS_CHANGED), dtype=np.int32), {
                    "kbi_nummer": self._new_client_numbers().gather(person),
                }),
                Version(np.where(current, self.naturalised[person], NEVER).astype(np.int32), {
                    "nationaliteit_code": text("BE", len(person)),
                }),
                Version(np.where(current, self.moved[person], NEVER).astype(np.int32), {
                    "nis_gemeente": labels(self.moved_to, NIS_CODES).gather(person),
                }),
            ],
        )  # fmt: skip
        return [persons, self._number_changes(has_bis, chain)]

    def _number_changes(self, has_bis: Mask, chain: Mask) -> RegistryTable:
        step = np.concatenate([np.full(int(chain.sum()), 0), np.full(int(has_bis.sum()), 1)])
        person = np.concatenate([np.flatnonzero(chain), np.flatnonzero(has_bis)])
        return RegistryTable(
            "insz_wijzigingen",
            self.known[step, person].astype(np.int32),
            {
                "oude_insz": self._texts.gather(step * self.n + person),
                "nieuwe_insz": self._texts.gather((step + 1) * self.n + person),
                "datum": self.dated[step, person].astype(np.int32),
            },
        )

    def _new_client_numbers(self) -> pl.Series:
        letters = labels(self.new_client_letter, [chr(ord("A") + place) for place in range(26)])
        return letters + pl.Series(self.new_client_number).cast(pl.String)

    def target_groups(self, draws: Draws) -> RegistryTable:
        """doelgroepen: the record at first contact, and those that follow a change, a departure or a return."""
        n, first = self.n, self.first
        compulsory = first.participation == COMPULSORY
        base = np.where(compulsory, 0, np.where(first.participation == UNDETERMINED, 2, 1)).astype(np.int16)
        base[compulsory & draws.chance(p.RECHT_PLICHT_SHARE, n)] = 3
        minor = (first.signed - self.birth < 18 * 365) & (base < 2)
        base[minor] = 4
        begins = first.signed - draws.spread_by(p.TARGET_GROUP_BEFORE, first.voluntary) - 1
        changes = first.changed < NEVER
        leaves, returns = first.left < NEVER, first.returned < NEVER
        everyone = np.flatnonzero(~draws.chance(p.NO_TARGET_GROUP_RECORD, n) | changes | leaves)
        changed, left, returned = np.flatnonzero(changes), np.flatnonzero(leaves), np.flatnonzero(returns)
        switched = np.where(np.isin(base, (0, 3)), 1, 0).astype(np.int16)
        before_departure = np.where(changes & (first.changed < first.left), switched, base)

        person = np.concatenate([everyone, changed, left, returned])
        begin = np.concatenate(
            [begins[everyone], first.changed[changed], first.left[left], first.returned[returned]]
        ).astype(np.int32)
        after_first = np.minimum(first.changed, first.left)
        ends = np.concatenate([after_first[everyone], first.left[changed], first.returned[left], never(len(returned))])
        kind = np.concatenate(
            [base[everyone], switched[changed], np.full(len(left), 5, np.int16), before_departure[returned]]
        )
        m = len(person)
        end = np.where(ends < NEVER, ends - 1, NEVER).astype(np.int32)
        recorded = np.maximum(begin, self.known_from[person]) + late(draws, m)
        closed_late = draws.chance(p.TARGET_GROUP_CLOSED_LATE, m)
        closed = np.where(closed_late, ends + draws.spread(p.TARGET_GROUP_CLOSED_AFTER, m), ends)
        closed = np.where(ends < NEVER, np.maximum(closed, recorded), NEVER).astype(np.int32)
        gone = kind == 5
        code = np.where(gone, 1, np.where(kind == 2, 2, 0))
        subtype = np.where(np.isin(kind, (0, 3)), draws.pick((0.8, 0.2), m), 2 + draws.pick((0.5, 0.3, 0.15, 0.05), m))
        subtype = np.where(kind == 4, 6, np.where(gone | (kind == 2), -1, subtype))
        reason = np.where(gone, draws.pick((3, 3, 2, 1, 1), m), -1)
        exempt = np.where((kind == 1) & draws.chance(0.25, m), draws.pick((4, 2, 1), m), -1)
        return RegistryTable(
            "doelgroepen",
            recorded.astype(np.int32),
            {
                "insz": self.insz(person, recorded),
                "begin": begin,
                "code": labels(code, ("JA", "NEE", "NADER_TE_BEPALEN")),
                "type": labels(kind, _TARGET_GROUP_TYPES),
                "subtype": labels(
                    subtype, ("VOL_PROG", "DOELGROEP", "RECHTHEBBEND", "RECHT", "PRI_RECHT", "NT2", "MINDERJARIG")
                ),
                "reden_geen_doelgroep": labels(reason, ("02", "04", "05", "07", "09")),
                "reden_vrijstelling": labels(exempt, ("EU_BURGER", "ATTEST", "ZIEK_HANDICAP")),
            },
            [Version(closed, {"einde": end})],
        )


def late(draws: Draws, n: int) -> Days:
    """Days between an event and its registration: mostly none, for some up to half a year."""
    return np.where(draws.chance(p.LATE_SHARE, n), draws.spread(p.LATE_BY, n), 0).astype(np.int32)


def _rank_within(group: NDArray[Any], chosen: Mask) -> NDArray[np.int64]:
    """For the chosen: their rank, from 0, among the chosen of the same group."""
    positions = np.flatnonzero(chosen)
    order = positions[np.argsort(group[positions], kind="stable")]
    ranks = np.zeros(len(group), dtype=np.int64)
    if len(order):
        starts = np.r_[True, np.diff(group[order]) != 0]
        first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
        ranks[order] = np.arange(len(order)) - first
    return ranks


def _nationality(draws: Draws, first: Trajectories) -> Codes:
    """Positions in ``NATIONALITIES``: citizens of the EU+ are never compulsory; refugee countries vary by year."""
    n = len(first)
    europe = (first.participation != COMPULSORY) & draws.chance(p.EU_SHARE_OF_VOLUNTARY, n)
    drawn = np.where(
        europe, draws.pick(list(p.NATIONALITIES_EU.values()), n),
        _N_EU + draws.pick(list(p.NATIONALITIES_THIRD.values()), n),
    )  # fmt: skip
    # In a year of weight w a share 1 - 1/w of the others give their place to a refugee country, at most a third.
    extra = np.clip(1 - 1 / np.maximum(by_year(p.REFUGEE_WEIGHT, first.signed), 1.0), 0, 1) / 3
    refugees = [_N_EU + list(p.NATIONALITIES_THIRD).index(code) for code in p.REFUGEE_NATIONALITIES]
    replaced = ~europe & draws.chance(extra, n)
    drawn = np.where(replaced, np.asarray(refugees)[draws.pick((5, 3, 3), n)], drawn)
    return np.where(draws.chance(p.NATIONALITY_MISSING, n), -1, drawn).astype(np.int16)


def _hexadecimal(octets: NDArray[np.uint8]) -> pl.Series:
    """Sixteen octets each, as thirty-two hex digits."""
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    characters = np.empty((len(octets), 32), dtype=np.uint8)
    characters[:, 0::2] = digits[octets >> 4]
    characters[:, 1::2] = digits[octets & 15]
    return pl.Series(characters.view("S32").ravel()).cast(pl.String) if len(octets) else pl.Series([], dtype=pl.String)


def orphan_numbers(draws: Draws, n: int) -> pl.Series:
    """Right numbers that belong to nobody."""
    birth = draws.whole(day(date(1960, 1, 1)), day(date(1999, 12, 31)), n)
    numbers = synthetic_insz(birth, np.asarray(FREE_SERIALS)[draws.whole(0, 1, n)])
    return pl.Series(numbers).cast(pl.String).str.zfill(11)
