"""Hours come from lessons exactly, levels from words; what is not said stays unknown."""

from __future__ import annotations

from decimal import Decimal
from xml.etree.ElementTree import fromstring

import pytest

from orchestration.dossiers.courses import lesson_hours, nt2_level
from tests.dossiers.answers import lesson, mo_course


def hours(*lessons: str) -> tuple[str | None, str | None]:
    return lesson_hours(fromstring(mo_course(*lessons)))


def test_hours_are_summed_over_lessons():
    present = lesson("09:00", "12:30", "AANWEZIG", "03:15")
    assert hours(present, present, lesson("13:00:00", "15:00:30.000", "VERANTW_AFWE")) == ("9.0083333333", "6.5")


@pytest.mark.parametrize("attendance", ["AFWEZIG", "VERANTW_AFWE"])
def test_who_is_absent_is_present_for_no_hours_whatever_the_duration_says(attendance):
    assert hours(lesson("09:00", "12:00", attendance, "03:00")) == ("3", "0")


@pytest.mark.parametrize(
    ("lessons", "expected"),
    [
        ([], (None, None)),
        ([lesson("09:00", "12:00")], ("3", None)),
        ([lesson("09:00", "12:00", "AANWEZIG")], ("3", None)),
        ([lesson("09:00", None, "AANWEZIG", "02:00")], (None, "2")),
        ([lesson("09:00", "12:00", "AANWEZIG"), lesson("09:00", "12:00", "AANWEZIG", "02:00")], ("6", "2")),
        ([lesson("09:00", "12:00", "AANWEZIG"), lesson("09:00", "12:00", "AFWEZIG")], ("6", "0")),
        ([lesson("09:00", "12:00", None, "02:00")], ("3", None)),
    ],
)
def test_what_is_not_recorded_adds_nothing_and_is_not_zero(lessons, expected):
    assert hours(*lessons) == expected


@pytest.mark.parametrize(
    ("lessons", "expected"),
    [
        ([lesson("9u30", "12:00", "AANWEZIG", "02:00")], ("9u30", None)),
        ([lesson("14:00", "13:00")], ("14:00-13:00", None)),
        ([lesson("09:00", "24:00", "AANWEZIG", "PT3H")], ("15", "PT3H")),
        ([lesson("09:00", "10:60")], ("10:60", None)),
    ],
)
def test_a_time_that_cannot_be_read_stands_for_the_sum_so_that_the_row_fails(lessons, expected):
    assert hours(*lessons) == expected


def lasting(minutes: int, *, attended: bool) -> str:
    end, duration = f"{8 + minutes // 60:02d}:{minutes % 60:02d}", f"{minutes // 60:02d}:{minutes % 60:02d}"
    return lesson("08:00", end, "AANWEZIG" if attended else "AFWEZIG", duration if attended else None)


@pytest.mark.parametrize("minutes", [1, 7, 20, 50, 60, 100])
def test_hours_without_a_last_digit_keep_full_and_eighty_percent_attendance(minutes):
    planned, present = hours(lasting(minutes, attended=True))
    assert planned == present
    planned, present = map(Decimal, hours(*[lasting(minutes, attended=i < 4) for i in range(5)]))
    assert planned * Decimal("0.80") <= present < planned * Decimal("0.8000001")


def test_more_presence_than_lesson_stays_more():
    planned, present = map(Decimal, hours(lesson("08:00", "08:20", "AANWEZIG", "00:20:01")))
    assert present > planned


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("NT2 - Richtgraad 1.1 mondeling", "A1"),
        ("richtgraad  1.2", "A2"),
        ("NT2 1.2 avond", "A2"),
        ("Nederlands tweede taal - richtgraad 2", "B1"),
        ("Richtgraad 2.3 schriftelijk", "B1"),
        ("NEDERLANDS TWEEDE TAAL RICHTGRAAD 3", "B2"),
        ("Richtgraad 4", "C1"),
        ("NT2 - Breakthrough", "A1"),
        ("NT2-Waystage mondeling", "A2"),
        ("threshold schriftelijk", "B1"),
        ("Vantage", "B2"),
        ("Effective 2", "C1"),
        ("Richtgraad 1", None),
        ("Richtgraad 22", None),
        ("Module 11.2", None),
        ("Module 2.1.2", None),
        ("Module 1.25", None),
        ("Latijns schrift", None),
        ("Ineffectively", None),
        ("", None),
        (None, None),
    ],
)
def test_levels_by_words(name, level):
    assert nt2_level(name) == level


def test_the_first_name_that_says_a_level_decides():
    assert nt2_level("Vantage mondeling", "richtgraad 1.1") == "B2"
    assert nt2_level("Mondeling 1", None, "richtgraad 3") == "B2"


def test_of_two_levels_in_one_name_the_lower_and_words_before_bare_numbers():
    assert nt2_level("richtgraad 1.2 na richtgraad 1.1") == "A1"
    assert nt2_level("Threshold 1.2") == "B1"
