"""Careers in social orientation (MO): a course of some sixty hours, an evaluation, re-sits.

Here: enrolments, tests and decisions on their days. Not here: what the registry shows of them, and when
(``attendance.py``, ``tracks.py``).
"""

from __future__ import annotations

from datetime import date

import numpy as np

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Days, Draws, day, shift_out_of
from orchestration.simulation.events import (
    ABSENT,
    FAILED,
    NO_RESULT,
    PASSED,
    Career,
    Courses,
    Decisions,
    Tests,
    components_of,
    decided_on,
    exemptions,
    never,
    nothing,
    small,
)
from orchestration.simulation.trajectories import COURSE, EXEMPT, Trajectories


def attend_social_orientation(draws: Draws, who: Trajectories, until: int) -> Career:
    """Everyone's MO career up to the day ``until``."""
    n = len(who)
    stopped = who.stopped
    pair = who.voluntary
    takes_tests = who.signed >= day(p.TEST_REGIME_FROM)
    periods = np.array([day(date(year, 1, 1)) for year in p.MO_ENROLLED_AFTER])
    period = np.searchsorted(periods[1:], who.signed, side="right")
    clock = who.signed + draws.spread_by(list(p.MO_ENROLLED_AFTER.values()), period)

    passed, failed_for_good = never(n), never(n)
    last_event = who.signed.copy()
    open_now, planned = who.mo_by == COURSE, np.zeros(n, dtype=bool)
    start_of, first_dated = never(n), never(n)
    first_met = np.zeros(n, dtype=bool)
    by_test_alone = np.zeros(n, dtype=bool)
    fails = np.zeros(n, dtype=np.int8)
    courses, tests, resits = [nothing(Courses)], [nothing(Tests)], [nothing(Decisions)]

    for _ in range(p.MO_ATTEMPTS):
        clock = shift_out_of(clock, who.suspended, who.suspended_until)
        now = np.flatnonzero(open_now & (clock < stopped) & (clock <= until))
        planned |= open_now & (clock < stopped) & (clock > until)
        open_now[:] = False
        if not len(now):
            break
        m = len(now)
        test_only = by_test_alone[now]
        enrolled = clock[now]
        begin = enrolled + draws.spread(p.MO_STARTS_AFTER_ENROLMENT, m)
        end = begin + draws.spread(p.MO_LASTS, m)
        begin, end = np.where(test_only, enrolled, begin), np.where(test_only, enrolled, end)
        happened = draws.uniform(m)
        no_show = ~test_only & (happened < p.MO_NO_SHOW)
        drop_rate = p.MO_NO_SHOW + np.asarray(p.MO_DROP_OUT)[pair[now]]
        drops = ~test_only & ~no_show & (happened < drop_rate)
        share_done = draws.uniform(m)
        left = np.where(drops, begin + 3 + (share_done * 0.8 * (end - begin)).astype(np.int32), NEVER)
        left = np.where(no_show, begin, left)
        cut_off = (stopped[now] <= end) & (stopped[now] < left)
        left = np.where(cut_off & ~test_only, np.maximum(stopped[now], enrolled), left).astype(np.int32)
        stayed = (left == NEVER) & ~cut_off
        decided = end + draws.spread(p.MO_DECIDED_AFTER, m)

        again = fails[now] > 0
        fail_rate = np.where(takes_tests[now], np.asarray(p.MO_TEST_FAIL)[pair[now]], np.asarray(p.MO_FAIL)[pair[now]])
        attended_enough = draws.chance(p.ATTENDED_ENOUGH, m)
        fail = draws.chance(np.where(again, p.MO_FAIL_AGAIN, fail_rate), m)
        fail = np.where(who.effort[now], ~attended_enough, fail) & stayed
        passes = stayed & ~fail
        done = 0.82 + 0.18 * draws.uniform(m)
        too_little = 0.35 + 0.42 * draws.uniform(m)
        part = np.clip((left - begin) / np.maximum(end - begin, 1), 0, 1) * (0.6 + 0.4 * draws.uniform(m))
        attended = np.where(stayed, np.where(who.effort[now] & fail, too_little, done), np.where(no_show, 0.0, part))
        in_course = ~test_only
        individual = draws.chance(p.MO_INDIVIDUAL_SHARE, m)
        courses.append(
            Courses(
                trajectory=now.astype(np.int32),
                enrolled=enrolled.astype(np.int32),
                begin=begin.astype(np.int32),
                end=end.astype(np.int32),
                left=left,
                attended=attended,
                result=small(NO_RESULT, m),
                level=small(0, m),
                known=np.minimum(left, end).astype(np.int32),
                individual=individual,
                place_kept=np.zeros(m, dtype=bool),
            ).take(in_course)
        )
        tests.append(_tests(draws, now[stayed], decided[stayed], passes[stayed], takes_tests[now][stayed]))

        start_of[now] = np.minimum(start_of[now], enrolled)
        is_first = stayed & (first_dated[now] == NEVER)
        first_dated[now] = np.where(is_first, decided, first_dated[now])
        first_met[now] = np.where(is_first, passes, first_met[now])
        later = np.flatnonzero(stayed & ~is_first)
        resits.append(decided_on(small(0, len(later)), now[later], enrolled[later], decided[later], passes[later]))

        passed[now] = np.where(passes, decided, passed[now])
        last_event[now] = np.where(stayed, decided, np.minimum(left, end))
        sits_again = fail & draws.chance(np.asarray(p.MO_RESITS)[pair[now]], m)
        returns = (drops | no_show) & draws.chance(np.asarray(p.MO_DROP_OUT_RETURNS)[pair[now]], m)
        after_fail = decided + draws.spread(p.MO_RESIT_AFTER, m)
        after_drop = np.where(left < NEVER, left, end) + draws.spread(p.MO_RETURNS_AFTER, m)
        clock[now] = np.where(sits_again, after_fail, after_drop)
        open_now[now] = sits_again | returns
        by_test_alone[now] = sits_again & takes_tests[now] & draws.chance(p.MO_RESIT_BY_TEST_ALONE, m)
        fails[now] += fail
        gives_up = fail & (~sits_again | (clock[now] >= stopped[now]) | (clock[now] > until))
        failed_for_good[now] = np.where(gives_up, decided, NEVER)

    missing_rate = np.where(takes_tests, p.MO_DECISION_MISSING_WITH_TEST, p.MO_DECISION_MISSING)
    unrecorded = draws.chance(missing_rate, n)
    own_component = draws.chance(p.MO_RESIT_OWN_COMPONENT, n)
    decisions = components_of(small(0, n), start_of, first_dated, first_met, Decisions.join(resits), own_component)
    decisions.last = np.where(unrecorded[decisions.trajectory], NO_RESULT, decisions.last).astype(np.int8)
    exempt = np.flatnonzero(who.mo_by == EXEMPT)
    decisions = Decisions.join([decisions, exemptions(draws, small(0, len(exempt)), exempt, who.signed)])
    return Career(
        courses=Courses.join(courses),
        tests=Tests.join(tests),
        decisions=decisions,
        passed=passed,
        failed_for_good=failed_for_good,
        last_event=last_event.astype(np.int32),
        planned=planned,
    )


def _tests(draws: Draws, who: np.ndarray, dated: Days, passes: np.ndarray, takes_tests: np.ndarray) -> Tests:
    """The test behind an evaluation: always under the test regime, seldom before; some miss a first date."""
    tested = takes_tests | draws.chance(p.MO_TEST_BEFORE_REGIME, len(who))
    who, dated, passes = who[tested], dated[tested], passes[tested]
    n = len(who)
    taken = Tests(
        trajectory=who.astype(np.int32),
        dated=dated.astype(np.int32),
        result=np.where(passes, PASSED, FAILED).astype(np.int8),
        level=small(-1, n),
        kind=small(0, n),
    )
    missed = taken.take(draws.chance(p.MO_TEST_ABSENT, n))
    missed.dated = (missed.dated - draws.whole(7, 20, len(missed))).astype(np.int32)
    missed.result = small(ABSENT, len(missed))
    return Tests.join([taken, missed])
