"""Careers in Dutch as a second language (NT2): modules from A1 to A2 and beyond, re-sits, drop-outs and returns.

Here: enrolments, results, tests and decisions on their days. Not here: what the registry shows of them, and when
(``attendance.py``, ``tracks.py``).
"""

from __future__ import annotations

import numpy as np

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import NEVER, Days, Draws, Mask, by_year, day, shift_out_of
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
from orchestration.simulation.trajectories import COURSE, EXEMPT, PRIOR, Trajectories

A1, A2, B1 = 0, 1, 2
COMPONENT_OF_LEVEL = np.array([1, 2, 3], dtype=np.int8)
"""Position in ``COMPONENT_KINDS`` by level."""


def attend_dutch(draws: Draws, who: Trajectories, reached_before: np.ndarray, until: int) -> Career:
    """Everyone's career in Dutch up to the day ``until``.

    ``reached_before``: the highest level passed in an earlier trajectory of the person, -1 for none.
    """
    n = len(who)
    pair, stopped = who.voluntary, who.stopped
    target = np.where(who.effort, A1, A2)
    takes_courses = who.nt2_by == COURSE
    level = np.where(draws.chance(np.asarray(p.NT2_STARTS_AT_A2)[pair], n), A2, A1)
    level = np.minimum(np.maximum(level, reached_before + 1), B1).astype(np.int8)
    open_now = takes_courses & ((level <= target) | draws.chance(p.NT2_GOES_ON[1], n))
    pace_tables = np.cumsum(np.asarray(p.NT2_PACE), axis=1)
    pace = (draws.uniform(n)[:, None] >= pace_tables[pair]).sum(axis=1).clip(0, 2)
    clock = who.signed + draws.spread_by(p.NT2_ENROLLED_AFTER, np.minimum(level, A2))
    planned = np.zeros(n, dtype=bool)
    modules = _modules(draws, level)

    passed, failed_for_good, last_event = never(n), never(n), who.signed.copy()
    reached = reached_before.astype(np.int8).copy()
    start_of = np.full((3, n), NEVER, dtype=np.int32)
    first_dated = np.full((3, n), NEVER, dtype=np.int32)
    first_met = np.zeros((3, n), dtype=bool)
    fails_here = np.zeros(n, dtype=np.int8)
    courses, tests, resits = [nothing(Courses)], [nothing(Tests)], [nothing(Decisions)]

    for _ in range(p.NT2_COURSES):
        clock = shift_out_of(clock, who.suspended, who.suspended_until)
        now = np.flatnonzero(open_now & (clock < stopped) & (clock <= until))
        planned |= open_now & (clock < stopped) & (clock > until)
        open_now[:] = False
        if not len(now):
            break
        m = len(now)
        at, side = level[now], pair[now]
        enrolled = clock[now]
        begin = enrolled + draws.spread(p.NT2_STARTS_AFTER_ENROLMENT, m)
        end = begin + draws.spread_by(p.NT2_COURSE_LASTS, pace[now])
        # A course that was running before the signature is over after it.
        end = np.where(enrolled < who.signed[now], np.maximum(end, who.signed[now] + 10), end).astype(np.int32)
        happened = draws.uniform(m)
        no_show = happened < p.NT2_NO_SHOW
        drops = ~no_show & (happened < p.NT2_NO_SHOW + np.asarray(p.NT2_DROP_OUT)[side, at])
        part = draws.uniform(m)
        left = np.where(drops, begin + 3 + (part * 0.85 * (end - begin)).astype(np.int32), NEVER)
        left = np.where(drops, np.maximum(left, who.signed[now] + 2), left)
        cut_off = (stopped[now] <= end) & (stopped[now] < left)
        left = np.where(cut_off, np.maximum(stopped[now], enrolled), left).astype(np.int32)
        stayed = ~no_show & ~drops & ~cut_off

        fail_rate = np.asarray(p.NT2_FAIL)[side, at] * by_year(p.NT2_FAIL_BY_YEAR, end)
        again = fails_here[now] > 0
        fail = stayed & draws.chance(np.where(again, fail_rate * p.NT2_FAIL_AGAIN_FACTOR, fail_rate), m)
        passes = stayed & ~fail
        result = np.select([passes, fail, no_show], [PASSED, FAILED, ABSENT], NO_RESULT).astype(np.int8)
        unrecorded = stayed & draws.chance(p.NT2_RESULT_MISSING, m)
        says_absent = (drops | cut_off) & draws.chance(p.LEFT_WITH_NO_SHOW_RESULT, m)
        # Attendance decides under the obligation of effort; elsewhere it is only told.
        attended = np.where(passes, 0.82 + 0.18 * draws.uniform(m), 0.45 + 0.34 * draws.uniform(m))
        attended = np.where(stayed, attended, np.where(no_show, 0.0, part * (0.5 + 0.3 * draws.uniform(m))))
        courses.append(
            Courses(
                trajectory=now.astype(np.int32),
                enrolled=enrolled.astype(np.int32),
                begin=begin.astype(np.int32),
                end=end,
                left=left,
                attended=attended,
                result=np.select([unrecorded, says_absent], [NO_RESULT, ABSENT], result).astype(np.int8),
                level=at,
                known=np.minimum(left, end + draws.spread(p.NT2_RECORDED_AFTER, m)).astype(np.int32),
                individual=np.zeros(m, dtype=bool),
                place_kept=np.zeros(m, dtype=bool),
            )
        )
        tests.append(_tests(draws, now[stayed], at[stayed], end[stayed], passes[stayed], who))

        last_module = modules[now] <= 1
        level_done = passes & last_module
        # A pass of a first module counts as its level, so the component is decided by it.
        decides = stayed & (fail | passes)
        first_here = decides & (first_dated[at, now] == NEVER)
        decided = end + draws.spread(p.NT2_DECIDED_AFTER, m)
        start_of[at, now] = np.minimum(start_of[at, now], enrolled)
        first_dated[at, now] = np.where(first_here, decided, first_dated[at, now])
        first_met[at, now] = np.where(first_here, passes, first_met[at, now])
        resit = np.flatnonzero(decides & ~first_here & again)
        resits.append(
            decided_on(COMPONENT_OF_LEVEL[at[resit]], now[resit], enrolled[resit], decided[resit], passes[resit])
        )

        at_target = at >= target[now]
        passed[now] = np.where(passes & at_target, np.minimum(passed[now], end), passed[now])
        reached[now] = np.where(passes, np.maximum(reached[now], at), reached[now])
        last_event[now] = np.minimum(left, end)
        fails_here[now] = np.where(level_done, 0, fails_here[now] + fail)
        level[now] = np.where(level_done, at + 1, at)
        modules[now] = np.where(level_done, _modules(draws, np.minimum(at + 1, B1)), modules[now] - passes)

        sits_again = fail & (fails_here[now] < p.NT2_ATTEMPTS_AT_LEVEL)
        sits_again &= draws.chance(np.asarray(p.NT2_RESITS)[side], m)
        returns = (drops | no_show) & draws.chance(np.asarray(p.NT2_RETURNS)[side], m)
        beyond = passes & (level[now] > target[now])
        goes_on = draws.chance(np.asarray(p.NT2_GOES_ON)[np.where(at == A1, 0, 1)], m)
        open_now[now] = sits_again | returns | (passes & (~beyond | goes_on))
        open_now[now] &= (level[now] <= B1) & ~((at == B1) & (fail | drops))
        waits = np.select(
            [passes, fail], [draws.spread(p.NT2_NEXT_COURSE_AFTER, m), draws.spread(p.NT2_RESIT_AFTER, m)],
            draws.spread(p.NT2_RETURNS_AFTER, m),
        )  # fmt: skip
        clock[now] = np.minimum(left, end) + waits
        hopeless = fail & (~open_now[now] | (clock[now] >= stopped[now]) | (clock[now] > until))
        failed_for_good[now] = np.where(hopeless & (at <= target[now]), end, NEVER)

    joined = Courses.join(courses)
    kept, kept_decisions = _components(draws, who, start_of, first_dated, first_met, Decisions.join(resits), passed)
    prior_courses, prior_tests = _prior_level(draws, who)
    placement = _placement_tests(draws, who)
    exempt = np.flatnonzero(who.nt2_by == EXEMPT)
    component = COMPONENT_OF_LEVEL[target[exempt]]
    return Career(
        courses=Courses.join([joined, _places_kept(draws, joined), prior_courses]),
        tests=Tests.join([*tests, prior_tests, placement]),
        decisions=Decisions.join([kept, kept_decisions, exemptions(draws, component, exempt, who.signed)]),
        passed=passed,
        failed_for_good=failed_for_good,
        last_event=last_event.astype(np.int32),
        planned=planned,
        level_reached=reached,
    )


def _modules(draws: Draws, level: np.ndarray) -> np.ndarray:
    """Courses that a level takes: one or two."""
    return (1 + draws.chance(np.asarray(p.NT2_TWO_MODULES)[level], len(level))).astype(np.int8)


def _components(
    draws: Draws,
    who: Trajectories,
    start_of: Days,
    first_dated: Days,
    first_met: Mask,
    resits: Decisions,
    passed: Days,
) -> tuple[Decisions, Decisions]:
    """The components of the levels A1 and A2, then those of B1.

    The component of A2 opens with the track, or when that of A1 is decided: between the two nothing would be open, and
    the registry would look as if the person had left.
    """
    n = len(who)
    unrecorded = draws.chance(p.NT2_DECISION_MISSING, n)
    own_component = np.zeros(n, dtype=bool)
    opened_early = draws.chance(p.NT2_A2_OPENED_EARLY, n)
    met_a1 = (first_dated[A1] < NEVER) & first_met[A1]
    resit_met = np.zeros(n, dtype=bool)
    resit_dated = never(n)
    of_a1 = resits.take((resits.kind == COMPONENT_OF_LEVEL[A1]) & (resits.last == 1))
    resit_met[of_a1.trajectory] = True
    resit_dated[of_a1.trajectory] = of_a1.last_dated
    a1_met_on = np.where(met_a1, first_dated[A1], np.where(resit_met, resit_dated, NEVER))
    # Without a goal of A2 in the contract no component of A2 opens by itself.
    opens_a2 = np.where(opened_early & ~who.effort & (start_of[A1] < NEVER), start_of[A1], NEVER)
    opens_a2 = np.where(~who.effort, np.minimum(opens_a2, a1_met_on), opens_a2)
    begin = start_of.copy()
    begin[A2] = np.minimum(begin[A2], opens_a2)
    parts = []
    for level in (A1, A2, B1):
        of_level = resits.take(resits.kind == COMPONENT_OF_LEVEL[level])
        kind = np.full(n, COMPONENT_OF_LEVEL[level], dtype=np.int8)
        parts.append(components_of(kind, begin[level], first_dated[level], first_met[level], of_level, own_component))
    first, second, third = parts
    below = Decisions.join([first, second])
    hidden = unrecorded[below.trajectory]
    below.last = np.where(hidden, NO_RESULT, below.last).astype(np.int8)
    return below, third


def _places_kept(draws: Draws, courses: Courses) -> Courses:
    """Places kept, assigned or refused some weeks before an enrolment."""
    kept = courses.take(draws.chance(p.NT2_PLACE_KEPT, len(courses)))
    before = draws.whole(5, 60, len(kept))
    kept.enrolled = (kept.enrolled - before).astype(np.int32)
    kept.result = small(NO_RESULT, len(kept))
    kept.left = never(len(kept))
    kept.attended = np.full(len(kept), np.nan)
    kept.known = never(len(kept))
    kept.place_kept = np.ones(len(kept), dtype=bool)
    return kept


def _prior_level(draws: Draws, who: Trajectories) -> tuple[Courses, Tests]:
    """The level reached before signature: a course that was over by then, or a test."""
    prior = np.flatnonzero(who.nt2_by == PRIOR)
    n = len(prior)
    by_test = draws.chance(p.NT2_PRIOR_WITHOUT_COURSE, n)
    end = who.signed[prior] - draws.spread((2, 20, 60, 150, 400, 900), n)
    begin = end - draws.spread(p.NT2_COURSE_LASTS[1], n)
    level = np.where(who.effort[prior] & draws.chance(0.5, n), A1, A2).astype(np.int8)
    courses = Courses(
        trajectory=prior.astype(np.int32),
        enrolled=(begin - draws.whole(0, 20, n)).astype(np.int32),
        begin=begin.astype(np.int32),
        end=end.astype(np.int32),
        left=never(n),
        attended=0.85 + 0.15 * draws.uniform(n),
        result=small(PASSED, n),
        level=level,
        known=end.astype(np.int32),
        individual=np.zeros(n, dtype=bool),
        place_kept=np.zeros(n, dtype=bool),
    )
    tests = Tests(
        trajectory=prior.astype(np.int32),
        dated=end.astype(np.int32),
        result=small(PASSED, n),
        level=level,
        kind=small(1, n),
    )
    return courses.take(~by_test), tests.take(by_test)


def _tests(draws: Draws, now: np.ndarray, at: np.ndarray, end: Days, passes: Mask, who: Trajectories) -> Tests:
    """The test behind a course's result: seldom before the standardised test, often after it at level A2."""
    standardised = (who.signed[now] >= day(p.NT2_TEST_FROM)) & (at == A2)
    tested = draws.chance(np.where(standardised, p.NT2_TEST_SHARE, p.NT2_TEST_SHARE_BEFORE), len(now))
    n = int(tested.sum())
    return Tests(
        trajectory=now[tested].astype(np.int32),
        dated=(end[tested] - draws.whole(0, 6, n)).astype(np.int32),
        result=np.where(passes[tested], PASSED, FAILED).astype(np.int8),
        level=at[tested],
        kind=small(1, n),
    )


def _placement_tests(draws: Draws, who: Trajectories) -> Tests:
    """Placement tests at intake: no evidence, but the registry is full of them."""
    tested = np.flatnonzero(draws.chance(p.NT2_LEVEL_TEST, len(who)) & (who.nt2_by == COURSE))
    n = len(tested)
    return Tests(
        trajectory=tested.astype(np.int32),
        dated=(who.signed[tested] - draws.whole(0, 25, n)).astype(np.int32),
        result=small(NO_RESULT, n),
        level=small(-1, n),
        kind=small(2, n),
    )
