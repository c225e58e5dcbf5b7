"""The row rules of the delivery contract (spec, extracts section 3), one entry per code.

Here: for people, what each code means and what to do about it; for pandera, on which columns of which extract it is
judged, and the expression that is true of a good row. ``RULES`` is the registry from which the pandera schemas are
built: a rule that is not in it is not judged. Not here: running them (``judging.py``).

In an expression null means "nothing to judge" and counts as good, as in pandera.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from schemas import insz
from schemas.extract import (
    ALIAS_CYCLE,
    DELETED,
    DOSSIER_ERROR,
    KEY_CONFLICT,
    Column,
    DeliveryContext,
    Extract,
    parent_state,
    value_of,
)
from schemas.parsing import TOO_LARGE

EARLIEST_DATE = date(1900, 1, 1)
YEARS_AHEAD = 5
_LARGEST = TOO_LARGE - Decimal("1e-10")


class Verdict(NamedTuple):
    """``good`` is judged over whole columns; pandera reports failures on ``column``.

    ``of_deletions``: also of a row that deletes (of such a row only the key columns are judged).
    """

    column: str
    good: pl.Expr
    of_deletions: bool = False


@dataclass(frozen=True)
class Rule:
    """One rule code: its title, what it says, what to do about a row that breaks it, and how it is judged."""

    code: str
    title: str
    sentence: str
    remedy: str
    verdicts: Callable[[Extract, DeliveryContext], Iterator[Verdict]]


def _text(column: Column | str) -> pl.Expr:
    return pl.col(column if isinstance(column, str) else column.name)


def _value(column: Column | str) -> pl.Expr:
    return pl.col(value_of(column if isinstance(column, str) else column.name))


def _of_kind(extract: Extract, *kinds: str) -> Iterator[tuple[Column, bool]]:
    """Columns of these kinds, each with whether it is judged of deletions too."""
    return ((column, column.name in extract.key) for column in extract.columns if column.kind in kinds)


def _required_missing(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    for column in extract.columns:
        if column.required:
            yield Verdict(column.name, _text(column).is_not_null(), column.name in extract.key)
    if extract.one_of:
        yield Verdict(extract.one_of[0], pl.any_horizontal(_text(name).is_not_null() for name in extract.one_of))


def _type_invalid(extract: Extract, delivery: DeliveryContext) -> Iterator[Verdict]:
    for column, of_deletions in _of_kind(extract, "date", "bool", "int", "dec"):
        yield Verdict(column.name, _text(column).is_null() | _value(column).is_not_null(), of_deletions)
    for column, of_deletions in _of_kind(extract, "digits"):
        yield Verdict(column.name, _text(column).str.contains(f"^[0-9]{{{column.digits}}}$"), of_deletions)
    if delivery.delta:
        yield Verdict(DELETED, _text(DELETED).is_null() | _value(DELETED).is_not_null())


def _code_unknown(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    for column, of_deletions in _of_kind(extract, "code"):
        yield Verdict(column.name, _text(column).is_in(column.codes), of_deletions)


def _insz_invalid(extract: Extract, delivery: DeliveryContext) -> Iterator[Verdict]:
    for column, of_deletions in _of_kind(extract, "insz"):
        correct = insz.is_correct(_value(column), synthetic=delivery.synthetic)
        yield Verdict(column.name, _text(column).is_null() | correct, of_deletions)


def latest_date(delivery: date) -> date:
    """The last plausible day: five calendar years after the delivery, 28 February where 29 February has none."""
    year = delivery.year + YEARS_AHEAD
    return delivery.replace(year=year, day=min(delivery.day, calendar.monthrange(year, delivery.month)[1]))


def _date_implausible(extract: Extract, delivery: DeliveryContext) -> Iterator[Verdict]:
    latest = latest_date(delivery.date)
    for column, of_deletions in _of_kind(extract, "date"):
        yield Verdict(value_of(column.name), _value(column).is_between(EARLIEST_DATE, latest), of_deletions)


def _period_reversed(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    for first, last in extract.periods:
        yield Verdict(value_of(last), _value(first) <= _value(last))


def _value_out_of_range(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    for column, of_deletions in _of_kind(extract, "int", "dec"):
        lowest = -_LARGEST if column.minimum is None else column.minimum
        highest = _LARGEST if column.maximum is None else column.maximum
        yield Verdict(value_of(column.name), _value(column).is_between(lowest, highest), of_deletions)
        if column.at_most:
            yield Verdict(value_of(column.name), _value(column) <= _value(column.at_most), of_deletions)


def _decision_undated(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    if extract.decision_dates:
        dated = pl.any_horizontal(_value(name).is_not_null() for name in extract.decision_dates)
        yield Verdict("besluit_code", _text("besluit_code").is_null() | dated)


def _key_conflict(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    if extract.key:
        yield Verdict(KEY_CONFLICT, ~_text(KEY_CONFLICT), of_deletions=True)


def _parents(state: str) -> Callable[[Extract, DeliveryContext], Iterator[Verdict]]:
    def verdicts(extract: Extract, delivery: DeliveryContext) -> Iterator[Verdict]:
        for parent in extract.parents:
            fact = parent_state(parent.column)
            # An empty reference or an incorrect number has no parent to judge, whatever the fact says.
            if parent.column in extract.insz_columns:
                refers = insz.is_correct(_value(parent.column), synthetic=delivery.synthetic)
            else:
                refers = _text(parent.column).is_not_null()
            yield Verdict(fact, (_text(fact) != state) | ~refers)

    return verdicts


def _alias_cycle(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    if ALIAS_CYCLE in extract.facts:
        yield Verdict(ALIAS_CYCLE, ~_text(ALIAS_CYCLE))


def _dossier_invalid(extract: Extract, _: DeliveryContext) -> Iterator[Verdict]:
    if DOSSIER_ERROR in extract.facts:
        yield Verdict(DOSSIER_ERROR, _text(DOSSIER_ERROR).is_null())


RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule(
            "required_missing",
            "Required field is empty",
            "A required column is empty; of a document, both its dates are.",
            "Fill in the field in the registry and deliver the row again.",
            _required_missing,
        ),
        Rule(
            "type_invalid",
            "Field is not of its type",
            "A date, number, truth value, municipality or enterprise number is not written in the form of the "
            "contract, or the date is in no calendar.",
            "Write dates YYYY-MM-DD, decimals with a point, truth values true or false, numbers with all their digits.",
            _type_invalid,
        ),
        Rule(
            "code_unknown",
            "Code is not in the list",
            "A code is not in the closed list of its column.",
            "Correct the code; if the registry has a new one, extend the contract and schemas/codes.py first.",
            _code_unknown,
        ),
        Rule(
            "insz_invalid",
            "Person number is incorrect",
            "An INSZ is not eleven digits, its check digits are wrong, or its month part is impossible.",
            "Look the number up; numbers of synthetic persons are correct in synthetic deliveries only.",
            _insz_invalid,
        ),
        Rule(
            "date_implausible",
            "Date is implausible",
            "A date lies before 1900, or more than five calendar years after the date of the delivery.",
            "Correct the date; leave the end of what is still open empty, or write 9999-12-31.",
            _date_implausible,
        ),
        Rule(
            "period_reversed",
            "Period ends before it begins",
            "The end lies before the begin, or leaving a course before enrolling in it.",
            "Correct one of the two dates.",
            _period_reversed,
        ),
        Rule(
            "value_out_of_range",
            "Number is out of range",
            "A number lies outside the range of its column, or more hours were attended than were given.",
            "Correct the number.",
            _value_out_of_range,
        ),
        Rule(
            "decision_undated",
            "Decision has no date",
            "A component has a decision and neither a readable decision date nor a readable end.",
            "Fill in besluit_datum, or einde if the component ended with the decision.",
            _decision_undated,
        ),
        Rule(
            "key_conflict",
            "Key is given twice with different content",
            "Two or more rows of one file have the same key and different content; none of them can be believed.",
            "Deliver one row per key, and in a delta either its change or its deletion.",
            _key_conflict,
        ),
        Rule(
            "parent_missing",
            "What the row refers to is unknown",
            "The person, contract or track that the row refers to is neither in the registry's state nor in this "
            "delivery.",
            "Deliver the parent: the row waits for it until the next full delivery.",
            _parents("missing"),
        ),
        Rule(
            "parent_quarantined",
            "What the row refers to was quarantined",
            "The person, contract or track that the row refers to came with this delivery, and was quarantined.",
            "Repair the parent first: the row waits for it until the next full delivery.",
            _parents("quarantined"),
        ),
        Rule(
            "alias_cycle",
            "Number replacements run in a circle",
            "Following the replacements of this person number leads back to the number itself.",
            "Deliver the replacement that started the circle with its true successor.",
            _alias_cycle,
        ),
        Rule(
            "dossier_invalid",
            "Dossier cannot be read",
            "The file is an error reply, does not parse, or does not say whose dossier it is.",
            "Ask the exchange for this dossier again.",
            _dossier_invalid,
        ),
    )
}
"""Every rule by its code: the registry. Taking an entry out takes the rule out."""
CODES = tuple(RULES)
"""The order in which the codes of a row are listed, whatever is taken out of ``RULES`` and put back."""


def applicable(extract: Extract) -> tuple[str, ...]:
    """The codes that a row of this extract can break, in the order of ``CODES``."""
    delivery = DeliveryContext(date(2000, 1, 1), synthetic=False)
    return tuple(code for code in CODES if code in RULES and any(True for _ in RULES[code].verdicts(extract, delivery)))
