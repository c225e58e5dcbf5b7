"""What has to be worked out for courses: hours from their lessons, and the level from their names.

Here: the sums over ``LesMomenten`` and the reading of NT2 levels by the seed ``nt2_level_words``. Not here: any other
element of a course (``blocks.py``), whether enough was attended (``dbt_project/``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from xml.etree.ElementTree import Element

from orchestration.dossiers.answers import text_of
from orchestration.settings import DBT_PROJECT

NT2_LEVEL_WORDS = DBT_PROJECT / "seeds" / "nt2_level_words.csv"

_TIME = re.compile(r"([01]\d|2[0-4]):([0-5]\d)(?::([0-5]\d)(?:\.0+)?)?", re.ASCII)
_SMALLEST_HOURS = Decimal("1e-10")  # what a validated decimal holds


class _Unreadable(Exception):
    """A lesson's time is no time; the message is what stands there."""


def lesson_hours(course: Element) -> tuple[str | None, str | None]:
    """Hours planned and hours present, as decimals, over the lessons of a course.

    A lesson adds what is known of it: planned time if it has both hours, presence if its attendance is recorded, with
    a duration where that is AANWEZIG. A sum to which no lesson adds is not known, which is not zero. Where a time
    cannot be read, or a lesson ends before it begins, its text stands for the sum and fails the row as no decimal.

    Rounded (thirds of an hour have no last digit) planned down and presence up, so that 80 % present stays 80 %.
    """
    lessons = course.findall("LesMomenten/LesMoment")
    try:
        planned = _total(_planned(lesson) for lesson in lessons)
    except _Unreadable as unreadable:
        return str(unreadable), None
    try:
        present = _total(_present(lesson) for lesson in lessons)
    except _Unreadable as unreadable:
        return _hours(planned, ROUND_FLOOR), str(unreadable)
    return _hours(planned, ROUND_FLOOR), _hours(present, ROUND_FLOOR if present == planned else ROUND_CEILING)


def _planned(lesson: Element) -> int | None:
    begin, end = text_of(lesson, "AanvangUur"), text_of(lesson, "EindUur")
    if begin is None or end is None:
        return None
    seconds = _seconds(end) - _seconds(begin)
    if seconds < 0:
        raise _Unreadable(f"{begin}-{end}")
    return seconds


def _present(lesson: Element) -> int | None:
    attendance, duration = text_of(lesson, "Aanwezigheid"), text_of(lesson, "Aanwezigheidsduur")
    if attendance == "AANWEZIG":
        return None if duration is None else _seconds(duration)
    return None if attendance is None else 0


def _seconds(time: str) -> int:
    match = _TIME.fullmatch(time)
    if not match:
        raise _Unreadable(time)
    hours, minutes, seconds = match.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def _total(seconds: Iterable[int | None]) -> int | None:
    known = [s for s in seconds if s is not None]
    return sum(known) if known else None


def _hours(seconds: int | None, rounding: str) -> str | None:
    if seconds is None:
        return None
    hours = (Decimal(seconds) / 3600).quantize(_SMALLEST_HOURS, rounding)
    return f"{hours:f}".rstrip("0").rstrip(".")


def nt2_level(*names: str | None) -> str | None:
    """The level that the first telling one of these names says (the module's before the training's), else None.

    In one name the first row of the seed decides: the words that say most stand first, and of two levels the lower.
    """
    for name in names:
        for words, level in _level_words():
            if name and words.search(name):
                return level
    return None


@cache
def _level_words() -> list[tuple[re.Pattern[str], str]]:
    """The seed's rows; words are whole words, in any case and spacing (``1.2`` is not in ``11.2``, nor in ``1.25``)."""
    with NT2_LEVEL_WORDS.open(encoding="utf-8", newline="") as seed:
        return [(_whole_words(row["words"]), row["level"]) for row in csv.DictReader(seed)]


def _whole_words(words: str) -> re.Pattern[str]:
    spaced = r"\s+".join(map(re.escape, words.split()))
    return re.compile(rf"(?<!\w)(?<!\d[.,]){spaced}(?!\w)", re.IGNORECASE)
