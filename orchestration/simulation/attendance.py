"""Rows of lessons and tests.

Here: mo_cursussen, nt2_cursussen, afgelegde_testen, wachtlijst, and when the registry shows their results. Not here:
how a career goes (``social_orientation.py``, ``dutch.py``).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Days, Draws, day, year_of
from orchestration.simulation.events import FAILED, NO_RESULT, PASSED, TEST_KINDS, Courses, Tests
from orchestration.simulation.persons import People, late
from orchestration.simulation.table import RegistryTable, Version, labels, numbered
from orchestration.simulation.trajectories import COURSE, Trajectories

LEVELS = ("A1", "A2", "B1")
RESULTS = ("NT_GESLAAGD", "GESLAAGD", "NT_DEELGENOMEN")
_MODULES = ("10101", "10103", "10588")
_PROGRAMMES = ("10113", "10113", "10114")
_PLACES = ("INGESCHREVEN", "UITGESCHREVEN", "GERESERVEERD", "TOEGEWEZEN", "NT_INGESCHREVEN", "NT_TOEGEWEZEN")
_CENTRES = tuple(str(number) for number in range(125_012, 125_012 + 60 * 17, 17))


def _hours(planned: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hours attended, in half hours rounded up and never more than planned."""
    return np.minimum(np.ceil(planned * share * 2) / 2, planned)


def social_orientation_courses(
    draws: Draws, courses: Courses, who: Trajectories, people: People, first_number: int
) -> RegistryTable:
    """mo_cursussen."""
    n = len(courses)
    person = who.person[courses.trajectory]
    recorded = (courses.enrolled + late(draws, n)).astype(np.int32)
    group_hours = np.asarray(p.MO_HOURS, dtype=float)[draws.whole(0, len(p.MO_HOURS) - 1, n)]
    own_hours = np.asarray(p.MO_INDIVIDUAL_HOURS, dtype=float)[draws.whole(0, len(p.MO_INDIVIDUAL_HOURS) - 1, n)]
    planned = np.where(courses.individual, own_hours, group_hours)
    attended = _hours(planned, courses.attended)
    known = np.maximum(courses.known + late(draws, n), recorded).astype(np.int32)
    first_count = np.maximum(attended - np.where(draws.chance(p.CORRECTED_SHARE, n), 4.0, 0.0), 0.0)
    group = draws.whole(1, 999, n)
    number = pl.Series(year_of(courses.begin)).cast(pl.String) + "-" + pl.Series(group).cast(pl.String).str.zfill(4)
    languages = list(p.MO_LANGUAGES)
    return RegistryTable(
        "mo_cursussen",
        recorded,
        {
            "deelname_id": numbered("M", first_number + np.arange(n)),
            "insz": people.insz(person, recorded),
            "cursus_nummer": number,
            "taal": labels(draws.pick(list(p.MO_LANGUAGES.values()), n), languages),
            "individueel": np.where(draws.chance(0.02, n), -1, courses.individual).astype(np.int8),
            "begin": courses.begin,
            "einde": courses.end,
            "datum_inschrijving": courses.enrolled,
            "lesuren": planned,
            "aanwezige_uren": np.full(n, np.nan),
        },
        [
            Version(known, {"datum_uitschrijving": courses.left, "aanwezige_uren": first_count}),
            # Where the first count was right, both versions are the same.
            Version(_later(draws, known, n), {"aanwezige_uren": attended}),
        ],
    )


def dutch_courses(
    draws: Draws, courses: Courses, who: Trajectories, people: People, first_number: int
) -> RegistryTable:
    """nt2_cursussen: enrolments, and places kept or refused."""
    n = len(courses)
    person = who.person[courses.trajectory]
    recorded = (courses.enrolled + late(draws, n)).astype(np.int32)
    known = np.where(
        courses.known < NEVER, np.maximum(courses.known + late(draws, n), recorded), NEVER
    ).astype(np.int32)  # fmt: skip
    planned = np.round((courses.end - courses.begin) * p.NT2_HOURS_A_DAY / 10) * 10
    centre = draws.whole(0, len(_CENTRES) - 1, n)
    unread = draws.chance(0.003, n)  # the level cannot be read from the module's name
    place = 2 + draws.pick((0.3, 0.3, 0.15, 0.25), n)
    # Those who stayed are mostly still shown as enrolled; some carry no status at all.
    enrolled = np.where(draws.chance(0.03, n), -1, 0)
    before = np.where(courses.place_kept, place, enrolled)
    after = np.where(courses.left < NEVER, 1, np.where(draws.chance(0.1, n), 1, before))
    wrong_first = draws.chance(p.CORRECTED_SHARE, n) & np.isin(courses.result, (PASSED, FAILED))
    first_result = np.where(wrong_first, 1 - courses.result, courses.result)
    removed = courses.place_kept & draws.chance(0.05, n)
    return RegistryTable(
        "nt2_cursussen",
        recorded,
        {
            "deelname_id": numbered("N", first_number + np.arange(n)),
            "insz": people.insz(person, recorded),
            "davinci_instellingsnummer": labels(centre, _CENTRES),
            "opleiding_code": labels(courses.level, _PROGRAMMES),
            "module_code": labels(courses.level, _MODULES),
            "niveau": labels(np.where(unread, -1, courses.level), LEVELS),
            "begin": courses.begin,
            "einde": courses.end,
            "datum_inschrijving": courses.enrolled,
            "lesuren": np.where(courses.place_kept, np.nan, planned),
            "aanwezige_uren": np.full(n, np.nan),
            "status": labels(before, _PLACES),
        },
        [
            Version(known, {
                "datum_uitschrijving": courses.left,
                "aanwezige_uren": _hours(planned, courses.attended),
                "status": labels(after, _PLACES),
                "besluit": labels(first_result, RESULTS),
            }),
            Version(np.where(wrong_first, _later(draws, known, n), NEVER).astype(np.int32), {
                "besluit": labels(courses.result, RESULTS),
            }),
        ],
        deleted=np.where(removed, courses.enrolled + 45, NEVER).astype(np.int32),
    )  # fmt: skip


def _later(draws: Draws, known: Days, n: int) -> Days:
    """The days on which what was first recorded wrongly is put right."""
    return np.minimum(known.astype(np.int64) + draws.spread(p.CORRECTED_AFTER, n), NEVER).astype(np.int32)


def tests_taken(draws: Draws, tests: Tests, who: Trajectories, people: People, first_number: int) -> RegistryTable:
    """afgelegde_testen. MO tests show scores, the result, or both; the threshold for values rose in March 2023."""
    n = len(tests)
    recorded = (tests.dated + late(draws, n)).astype(np.int32)
    is_mo = tests.kind == 0
    threshold = np.where(tests.dated >= day(p.VALUES_THRESHOLD_FROM), 9, 6)
    passes, fails = tests.result == PASSED, tests.result == FAILED
    practical = draws.whole(16, 30, n)
    values = threshold + (draws.uniform(n) * (12 - threshold)).astype(np.int32)
    # A fail is on the practical part, on values, or on both.
    short = draws.pick((0.55, 0.30, 0.15), n)
    practical = np.where(fails & (short != 1), draws.whole(5, 15, n), practical)
    values = np.where(fails & (short != 0), (draws.uniform(n) * threshold).astype(np.int32), values)
    shows = draws.pick(p.MO_TEST_SHOWS, n)
    scored = is_mo & (passes | fails) & (shows != 2)
    result = np.where(scored & (shows == 0), NO_RESULT, tests.result)
    level = np.where(tests.kind == 1, tests.level, np.where(tests.kind == 2, draws.pick((5, 2, 1), n), -1))
    languages = list(p.MO_LANGUAGES)
    language = np.where(is_mo, draws.pick(list(p.MO_LANGUAGES.values()), n), languages.index("nld"))
    return RegistryTable(
        "afgelegde_testen",
        recorded,
        {
            "test_id": numbered("E", first_number + np.arange(n)),
            "insz": people.insz(who.person[tests.trajectory], recorded),
            "type": labels(tests.kind, TEST_KINDS),
            "datum": tests.dated,
            "versie": labels(draws.pick((4, 3, 2, 1), n), ("1", "2", "3", "4")),
            "taal": labels(language, languages),
            "niveau": labels(level, LEVELS),
            "score_praktisch": np.where(scored, practical, -1).astype(np.int32),
            "score_waarden": np.where(scored, values, -1).astype(np.int32),
            "resultaat": labels(result, RESULTS),
        },
    )


def waiting_list(draws: Draws, who: Trajectories, people: People) -> RegistryTable:
    """wachtlijst: an entry per component for some of those who wait for a course; entries are kept."""
    n = len(who)
    dated = who.signed + draws.spread(p.WAITING_LIST_AFTER, n)
    waits = (
        (who.mo_by == COURSE) & draws.chance(p.WAITING_LIST_MO, n),
        (who.nt2_by == COURSE) & draws.chance(p.WAITING_LIST_NT2, n),
    )
    at = np.concatenate([np.flatnonzero(mask) for mask in waits])
    component = np.repeat(np.array([0, 1], dtype=np.int8), [int(mask.sum()) for mask in waits])
    # A person with two contracts of one day waits once: the first entry of a person, component and day stands.
    key = (who.person[at].astype(np.int64) * 2 + component) * 2**17 + dated[at]
    first = np.sort(np.unique(key, return_index=True)[1])
    at, component = at[first], component[first]
    recorded = (dated[at] + late(draws, len(at))).astype(np.int32)
    return RegistryTable(
        "wachtlijst",
        recorded,
        {
            "insz": people.insz(who.person[at], recorded),
            "onderdeel": labels(component, ("MO", "NT2")),
            "datum": dated[at].astype(np.int32),
            "module_code": labels(np.where(component == 0, -1, draws.whole(0, 1, len(at))), _MODULES),
        },
    )
