"""An answer in words, in Dutch, for the policy officer who answers to Parliament.

Here: which figures of an answer are said, with the rule behind each, and the warnings that go with them; and two
answers side by side, the same day as known on two days. Not here: why they differ (``kbi explain``), nor how figures
come about (``answer.py``, ``dbt_project/``); every number is read from the marts, every share is of two numbers
printed beside it. The headline is fixed: persons, as each question asks, the minister's reading of 2016 beside it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from orchestration.answer import Answer

_LOCALE = "nl_BE"
_WIDTH = 100
_START = date(2016, 2, 29)
_COMPONENTS = {"mo": "Maatschappelijke oriëntatie (MO)", "nt2": "Nederlands (NT2, niveau A2)"}
_SHORT = {"mo": "MO", "nt2": "NT2"}
_READINGS = {
    "n_evaluated": "geslaagd van de geëvalueerden",
    "n_ended": "geslaagd van de beëindigden (lezing van de minister in 2016)",
}
_CELLS = {
    "n_certified_passed": "geslaagd en met attest (vraag 4)",
    "n_uncertified_passed": "geslaagd, attest nog niet uitgereikt",
    "n_uncertified_failed": "niet geslaagd en zonder attest (vraag 5)",
    "n_certified_failed": "niet geslaagd en toch met attest (na te kijken)",
}
_REASONS = {
    "failed": "niet geslaagd",
    "resitting": "niet geslaagd, volgt een herkansing",
    "dropped_out": "afgehaakt",
    "left_target_group": "niet langer in de doelgroep",
    "changed_target_group": "beëindigd na overgang tussen verplicht en rechthebbend",
}

Row = Mapping[str, Any]


def as_text(answer: Answer) -> str:
    """The whole answer: five questions, the reasons, and what must be said with the figures."""
    blocks = [
        _heading(answer),
        _pass_rates(answer),
        _participation(answer),
        _certificates(answer),
        _completed(answer),
        _reasons(answer),
        _warnings(answer),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def as_summary(answer: Answer) -> str:
    """The five headline figures with numerators and denominators, in a dozen lines."""
    lines = [f"Stand op {_day(answer.as_of_date)}, gekend op {_day(answer.known_on)}, per persoon{_synthetic(answer)}"]
    for label, component in zip(("V1", "  "), _SHORT, strict=True):
        row = _q1(answer, component)
        evaluated, ended = (_share(row["n_passed"], row[of]) for of in _READINGS)
        lines.append(f"  {label} {_SHORT[component]:<4}{evaluated} van de geëvalueerden; {ended} van de beëindigden")
    for label, component in zip(("V2", "  "), _SHORT, strict=True):
        compulsory, voluntary = (_q2(answer, component, type) for type in ("compulsory", "voluntary"))
        lines.append(
            f"  {label} {_SHORT[component]:<4}verplicht {_share(compulsory['n_passed'], compulsory['n_evaluated'])},"
            f" rechthebbend {_share(voluntary['n_passed'], voluntary['n_evaluated'])};"
            f" verschil {_gap(compulsory, voluntary, 'n_evaluated')}"
        )
    cells = _of_all(answer, "mart_q4_completed_and_certified")
    certified = _of_all(answer, "mart_q3_certificates")["n_certified"]
    lines += [
        f"  V3 {_count(certified)} personen met een inburgeringsattest",
        f"  V4 {_share(cells['n_certified_passed'], cells['n_completed_evaluated'])} geslaagd en met attest",
        f"  V5 {_share(cells['n_uncertified_failed'], cells['n_completed_evaluated'])} niet geslaagd en zonder attest",
    ]
    return "\n".join(lines)


def as_comparison(old: Answer, new: Answer) -> str:
    """The figures of two answers for one day side by side, with their differences: what became known since.

    Every share stands under the two numbers it is of.
    """
    both = _Both(old, new)
    blocks = [
        _heading_of_both(both),
        _compared_pass_rates(both),
        _compared_participation(both),
        _compared_certificates(both),
        _compared_cells(both),
        _compared_reasons(both),
        _paragraph(
            "Verschillen van aandelen zijn in procentpunt, berekend op de getallen erboven en daarna pas afgerond. Een "
            "zelfde totaal kan uit andere personen bestaan: dit zijn verschillen van aantallen."
        ),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


@dataclass(frozen=True)
class _Both:
    """Lines of a table with one column per answer and one for the difference."""

    old: Answer
    new: Answer

    def rows(self, find: Callable[[Answer], Row]) -> tuple[Row, Row]:
        return find(self.old), find(self.new)

    def counts(self, rows: tuple[Row, Row], labels: Mapping[str, str]) -> list[str]:
        """One line per column of the row, under its label."""
        return [_compared(label, *(row[column] for row in rows)) for column, label in labels.items()]

    def head(self) -> str:
        days = (format_date(answer.known_on, "dd/MM/y", locale=_LOCALE) for answer in (self.old, self.new))
        return _columns("", "gekend op", "gekend op", "") + "\n" + _columns("", *days, "verschil")


def _heading_of_both(both: _Both) -> list[str]:
    title = f"Inburgering (schriftelijke vraag 714): stand van zaken op {_day(both.new.as_of_date)}"
    lines = [title, "=" * len(title)]
    if both.new.synthetic:
        lines += _paragraph("SYNTHETISCHE GEGEVENS: geen enkele rij gaat over een echte persoon.")
    lines += _paragraph(
        f"Dezelfde dag, zoals gekend met de levering van {_day(both.old.known_on)} en met die van "
        f"{_day(both.new.known_on)}. In personen."
    )
    population = both.rows(lambda answer: _of_all(answer, "mart_q3_certificates"))
    since = format_date(_START, "dd/MM/y", locale=_LOCALE)
    return [*lines, "", both.head(), *both.counts(population, {"n_population": f"Met een contract sinds {since}"})]


def _compared_pass_rates(both: _Both) -> list[str]:
    lines = ["Vraag 1. Geslaagd"]
    for component, name in _COMPONENTS.items():
        lines += [f"  {name}", *_compared_readings(both.rows(lambda answer, c=component: _q1(answer, c)))]
    return lines


def _compared_participation(both: _Both) -> list[str]:
    lines = ["Vraag 2. Geslaagd, verplicht en rechthebbend"]
    for component in _COMPONENTS:
        for type, label in {"compulsory": "verplicht", "voluntary": "rechthebbend"}.items():
            rows = both.rows(lambda answer, c=component, t=type: _q2(answer, c, t))
            lines += [f"  {_SHORT[component]}, {label}", *_compared_readings(rows)]
    return lines


def _compared_readings(rows: tuple[Row, Row]) -> list[str]:
    lines = [_compared("geslaagd", *(row["n_passed"] for row in rows))]
    for of, label in {"n_evaluated": "geëvalueerd", "n_ended": "beëindigd (lezing van de minister)"}.items():
        lines += [
            _compared(label, *(row[of] for row in rows)),
            _compared_share("  aandeel geslaagd", *((row["n_passed"], row[of]) for row in rows)),
        ]
    return lines


def _compared_certificates(both: _Both) -> list[str]:
    labels = {
        "n_certified": "personen met een inburgeringsattest",
        "n_certificates": "attesten AI023",
        "n_evc": "EVC-attesten (AEVC05)",
        "n_effort_statements": "verklaringen (VGI01)",
    }
    rows = both.rows(lambda answer: _of_all(answer, "mart_q3_certificates"))
    return ["Vraag 3. Attesten", *both.counts(rows, labels)]


def _compared_cells(both: _Both) -> list[str]:
    rows = both.rows(lambda answer: _of_all(answer, "mart_q4_completed_and_certified"))
    total = "n_completed_evaluated"
    lines = ["Vragen 4 en 5. Voltooid en geëvalueerd", *both.counts(rows, {total: "voltooid en geëvalueerd"})]
    for cell, label in _CELLS.items():
        lines += [
            _compared(label, *(row[cell] for row in rows)),
            _compared_share("  aandeel", *((row[cell], row[total]) for row in rows)),
        ]
    return lines


def _compared_reasons(both: _Both) -> list[str]:
    lines = ["Waarom slaagden de anderen niet?"]
    for component, name in _COMPONENTS.items():
        lines += [
            f"  {name}",
            *both.counts(
                both.rows(lambda answer, c=component: _reason(answer, c, "failed")),
                {"n_non_success": "beëindigd zonder te slagen"},
            ),
        ]
        for reason, label in _REASONS.items():
            rows = both.rows(lambda answer, c=component, r=reason: _reason(answer, c, r))
            lines += [
                _compared(label, *(row["n"] for row in rows)),
                _compared_share("  aandeel", *((row["n"], row["n_non_success"]) for row in rows)),
            ]
    return lines


def _compared(label: str, old: int, new: int) -> str:
    difference = format_decimal(new - old, "+#,##0;-#,##0", locale=_LOCALE) if new != old else "0"
    return _columns(label, _count(old), _count(new), difference)


def _compared_share(label: str, old: tuple[int, int], new: tuple[int, int]) -> str:
    shares = [Fraction(100 * n, of) if of else None for n, of in (old, new)]
    told = ["n.v.t." if share is None else f"{_tenths(share)} %" for share in shares]
    if None in shares:
        return _columns(label, *told, "n.v.t.")
    points = shares[1] - shares[0]
    return _columns(label, *told, f"{_signed(points) if points else '0,0'} pp")


def _columns(label: str, old: str, new: str, difference: str) -> str:
    return f"    {label:<60}{old:>12}{new:>12}{difference:>12}".rstrip()


def _later(answer: Answer) -> str:
    if not answer.n_later:
        return ""
    if answer.n_later == 1:
        return " (een latere levering telt niet mee)"
    return f" ({_count(answer.n_later)} latere leveringen tellen niet mee)"


def _heading(answer: Answer) -> list[str]:
    population = _of_all(answer, "mart_q3_certificates")["n_population"]
    title = f"Inburgering (schriftelijke vraag 714): stand van zaken op {_day(answer.as_of_date)}"
    lines = [title, "=" * len(title)]
    if answer.synthetic:
        lines += _paragraph("SYNTHETISCHE GEGEVENS: geen enkele rij gaat over een echte persoon.")
    register = "" if answer.synthetic else " in de Kruispuntbank Inburgering"
    lines += _paragraph(
        f"Zoals gekend{register} met de levering van {_day(answer.known_on)}{_later(answer)}. "
        f"Populatie: {_count(population)} personen met een contract dat sinds de resultaatsverbintenis "
        f"({_day(_START)}) is ondertekend; wie er meer had, telt één keer, met het laatste."
    )
    if answer.as_of_date < _START:
        lines += _paragraph("Op deze dag gold de resultaatsverbintenis nog niet: er is nog niemand om te tellen.")
    return lines


def _pass_rates(answer: Answer) -> list[str]:
    lines = _question(1, "Welk aandeel van wie sinds dan geëvalueerd is, slaagde voor MO en voor NT2?")
    for component, name in _COMPONENTS.items():
        row = _q1(answer, component)
        lines += [f"  {name}", *_shares((label, row["n_passed"], row[of]) for of, label in _READINGS.items())]
    return lines + _rule(
        "geëvalueerd is wie slaagde, niet slaagde of een herkansing volgt; beëindigd is ook wie zonder resultaat "
        "afhaakte of de doelgroep verliet of ervan veranderde. Wie vrijgesteld is, het niveau al had bij ondertekening "
        "of het onderdeel niet moet volgen, telt in geen enkel percentage mee. Wie ooit slaagde, blijft geslaagd."
    )


def _participation(answer: Answer) -> list[str]:
    lines = _question(2, "Is er een verschil tussen verplichte en rechthebbende inburgeraars?")
    for component, name in _COMPONENTS.items():
        compulsory, voluntary = (_q2(answer, component, type) for type in ("compulsory", "voluntary"))
        lines.append(f"  {name}")
        for of, label in _READINGS.items():
            lines += [
                f"    {label}",
                *_shares(
                    (("verplicht", compulsory["n_passed"], compulsory[of]),
                     ("rechthebbend", voluntary["n_passed"], voluntary[of])), indent=6
                ),
                f"      verschil (verplicht min rechthebbend): {_gap(compulsory, voluntary, of)}",
            ]  # fmt: skip
    undetermined = _q2(answer, "mo", "undetermined")["n_population"]
    return lines + _rule(
        "verplicht of rechthebbend volgens de doelgroep op de dag van ondertekening, en als die niets zegt volgens het "
        f"soort traject. Van {_count(undetermined)} personen is het niet te bepalen: zij tellen wel mee in vraag 1."
    )


def _certificates(answer: Answer) -> list[str]:
    row = _of_all(answer, "mart_q3_certificates")
    return [
        *_question(3, "Hoeveel inburgeringsattesten zijn sinds dan uitgereikt, aan deze populatie?"),
        f"    {_count(row['n_certified'])} personen kregen een inburgeringsattest"
        f" ({_count(row['n_certificates'])} attesten AI023)",
        f"    daarnaast: EVC-attesten (AEVC05): {_count(row['n_evc'])};"
        f" verklaringen van geleverde inspanningen (VGI01): {_count(row['n_effort_statements'])}",
        *_rule(
            "attesten gedateerd op ondertekening, anders op aanmaak, bij een contract van deze populatie. Niet te "
            f"verwarren met de {_count(row['n_certificates_any_regime'])} attesten die sinds dan aan wie dan ook zijn "
            "uitgereikt, ook op oudere contracten."
        ),
    ]


def _completed(answer: Answer) -> list[str]:
    cells = _of_all(answer, "mart_q4_completed_and_certified")
    failed = _of_all(answer, "mart_q5_completed_not_certified")
    completed = cells["n_completed_evaluated"]
    return [
        *_question(4, "Welk aandeel van wie MO en NT2 voltooide en geëvalueerd is, slaagde en kreeg het attest?"),
        *_question(5, "En welk aandeel slaagde niet en kreeg er geen?"),
        *_shares((label, cells[cell], completed) for cell, label in _CELLS.items()),
        f"  Wie niet slaagde en geen attest heeft, slaagde niet voor MO: {_count(failed['n_failed_mo_only'])}; "
        f"voor NT2: {_count(failed['n_failed_nt2_only'])}; voor beide: {_count(failed['n_failed_both'])}.",
        *_rule(
            "voltooid en geëvalueerd is wie voor elk onderdeel dat van hem of haar gevraagd wordt, geslaagd of niet "
            "geslaagd is, en van wie er minstens één gevraagd wordt; wie nog een herkansing volgt, is niet klaar."
        ),
    ]


def _reasons(answer: Answer) -> list[str]:
    title = "Waarom slaagden de anderen niet?"
    lines = [title, "-" * len(title)]
    for component, name in _COMPONENTS.items():
        of = {reason: _reason(answer, component, reason) for reason in _REASONS}
        lines += [f"  {name}", *_shares((label, of[r]["n"], of[r]["n_non_success"]) for r, label in _REASONS.items())]
    return lines + _rule("de beëindigden van vraag 1 die niet slaagden; elk telt onder één reden, die van deze dag.")


def _warnings(answer: Answer) -> list[str]:
    title = "Te zeggen bij deze cijfers"
    busy = {c: (row["n_required"] - row["n_ended"], row["n_required"]) for c in _SHORT for row in [_q1(answer, c)]}
    running = "; ".join(f"{_SHORT[c]} {_count(n)} van {_count(of)}" for c, (n, of) in busy.items())
    return [
        title,
        "-" * len(title),
        *_paragraph(
            "Recente contracten zijn nog niet afgelopen. Van de personen van wie het onderdeel gevraagd wordt, hebben "
            f"het nog niet beëindigd: {running}. Vergelijk dus geen jaargangen van verschillende leeftijd op één dag.",
            "* ",
        ),
        *_paragraph(
            "Het register overschrijft statussen, beslissingen en nationaliteit: over het verleden zegt het wat er nu "
            "in staat. Alleen een vroegere levering toont wat er toen in stond.",
            "* ",
        ),
        *_paragraph(
            "Laaggeletterden met A1 als doel worden niet onderscheiden: geen enkel uittreksel bevat een doel per "
            "contract.",
            "* ",
        ),
    ]


def _q1(answer: Answer, component: str) -> Row:
    (row,) = answer.rows("mart_q1_pass_rate", counting_unit="person", component=component)
    return row


def _q2(answer: Answer, component: str, participation_type: str) -> Row:
    (row,) = answer.rows("mart_q2_pass_rate_by_participation", counting_unit="person", component=component,
                         participation_type=participation_type)  # fmt: skip
    return row


def _reason(answer: Answer, component: str, reason: str) -> Row:
    (row,) = answer.rows("mart_non_success_reasons", counting_unit="person", component=component,
                         participation_type="all", reason=reason)  # fmt: skip
    return row


def _of_all(answer: Answer, mart: str) -> Row:
    (row,) = answer.rows(mart, counting_unit="person", participation_type="all")
    return row


def _synthetic(answer: Answer) -> str:
    return " (synthetische gegevens)" if answer.synthetic else ""


def _question(number: int, text: str) -> list[str]:
    return _paragraph(text, f"Vraag {number}. ")


def _rule(text: str) -> list[str]:
    return _paragraph(text, "  Regel: ")


def _paragraph(text: str, label: str = "") -> list[str]:
    return textwrap.wrap(label + text, _WIDTH, subsequent_indent=" " * len(label))


def _shares(shares: Iterable[tuple[str, int, int]], indent: int = 4) -> list[str]:
    """One line per (label, numerator, denominator), the percentages below each other."""
    return [f"{' ' * indent}{label:<{70 - indent}}{_share(n, of, 7)}" for label, n, of in shares]


def _share(numerator: int, denominator: int, width: int = 0) -> str:
    share = f"{_tenths(Fraction(100 * numerator, denominator))} %" if denominator else "n.v.t."
    return f"{share:>{width}} ({_count(numerator)} van {_count(denominator)})"


def _gap(one: Row, other: Row, of: str) -> str:
    # From the counts: the mart's gap is rounded already, and rounding that again may give another tenth.
    if not one[of] or not other[of]:
        return "n.v.t."
    points = 100 * (Fraction(one["n_passed"], one[of]) - Fraction(other["n_passed"], other[of]))
    return f"{_signed(points)} procentpunt"


def _signed(points: Fraction) -> str:
    return _tenths(points, "+#,##0.0;-#,##0.0")


def _tenths(value: Fraction, pattern: str = "#,##0.0") -> str:
    # Rounded here, exactly and half away from zero like the marts: babel rounds half to even.
    tenths = math.floor(10 * abs(value) + Fraction(1, 2))
    return format_decimal(Decimal(tenths if value > 0 else -tenths) / 10 + 0, pattern, locale=_LOCALE)


def _count(n: int) -> str:
    return format_decimal(n, locale=_LOCALE)


def _day(day: date) -> str:
    return format_date(day, "d MMMM y", locale=_LOCALE)
