"""An answer in words, in Dutch, for the policy officer who answers to Parliament.

Here: which figures of an answer are said, with the rule behind each, and the warnings that go with them. Not here: how
they come about (``answer.py``, ``dbt_project/``); every number is read from the marts, every share is of two numbers
printed beside it. The headline is fixed: persons, as each question asks, the minister's reading of 2016 beside it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
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
_GAPS = {"n_evaluated": "pass_rate_evaluated_gap", "n_ended": "pass_rate_ended_gap"}
_CELLS = {
    "n_certified_passed": "geslaagd en met attest (vraag 4)",
    "n_uncertified_passed": "geslaagd, attest nog niet uitgereikt",
    "n_uncertified_failed": "niet geslaagd en zonder attest (vraag 5)",
    "n_certified_failed": "niet geslaagd en toch met attest (na te kijken in het register)",
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
            f" verschil {_points(compulsory['pass_rate_evaluated_gap'])}"
        )
    cells = _of_all(answer, "mart_q4_completed_and_certified")
    certified = _of_all(answer, "mart_q3_certificates")["n_certified"]
    lines += [
        f"  V3 {_count(certified)} personen met een inburgeringsattest",
        f"  V4 {_share(cells['n_certified_passed'], cells['n_completed_evaluated'])} geslaagd en met attest",
        f"  V5 {_share(cells['n_uncertified_failed'], cells['n_completed_evaluated'])} niet geslaagd en zonder attest",
    ]
    return "\n".join(lines)


def _heading(answer: Answer) -> list[str]:
    population = _of_all(answer, "mart_q3_certificates")["n_population"]
    title = f"Inburgering (schriftelijke vraag 714): stand van zaken op {_day(answer.as_of_date)}"
    lines = [title, "=" * len(title)]
    if answer.synthetic:
        lines += _paragraph("SYNTHETISCHE GEGEVENS: geen enkele rij gaat over een echte persoon.")
    lines += _paragraph(
        f"Zoals gekend in de Kruispuntbank Inburgering met de levering van {_day(answer.known_on)}. "
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
                f"      verschil (verplicht min rechthebbend): {_points(compulsory[_GAPS[of]])}",
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
        f"    daarnaast: {_count(row['n_evc'])} EVC-attesten (AEVC05)"
        f" en {_count(row['n_effort_statements'])} verklaringen van geleverde inspanningen (VGI01)",
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
        rows = answer.rows("mart_non_success_reasons", counting_unit="person", component=component,
                           participation_type="all")  # fmt: skip
        of = {row["reason"]: row for row in rows}
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
    share = f"{_tenths(Decimal(numerator) * 100 / denominator)} %" if denominator else "n.v.t."
    return f"{share:>{width}} ({_count(numerator)} van {_count(denominator)})"


def _points(gap: Decimal | None) -> str:
    return "n.v.t." if gap is None else f"{_tenths(gap * 100, '+#,##0.0;-#,##0.0')} procentpunt"


def _tenths(value: Decimal, pattern: str = "#,##0.0") -> str:
    # Rounded here, half away from zero like the marts: babel rounds half to even. Adding 0 makes a minus zero zero.
    return format_decimal(value.quantize(Decimal("0.1"), ROUND_HALF_UP) + 0, pattern, locale=_LOCALE)


def _count(n: int) -> str:
    return format_decimal(n, locale=_LOCALE)


def _day(day: date) -> str:
    return format_date(day, "d MMMM y", locale=_LOCALE)
