"""The answer in words: every number is the mart's, in Dutch notation, and nothing that must be said is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from orchestration.answer import Answer, answer
from orchestration.answer_text import as_summary, as_text
from tests.publication.nights import data_folder

DAY = date(2017, 12, 31)
TEXTS = {"text": as_text, "summary": as_summary}
SHARE = re.compile(r"(n\.v\.t\.|[\d.]+,\d %) \(([\d.]+) van ([\d.]+)\)")


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Answer:
    return answer(data_folder(tmp_path_factory.mktemp("text")), DAY)


@pytest.fixture(scope="module")
def of_nobody(tmp_path_factory) -> Answer:
    return answer(data_folder(tmp_path_factory.mktemp("text")), date(2016, 2, 28))


def number(text: str) -> int:
    return int(text.replace(".", ""))


def with_counts(given: Answer, mart: str, **changes: Any) -> Answer:
    """The answer with other values in every row of a mart."""
    return replace(given, marts={**given.marts, mart: tuple({**row, **changes} for row in given.marts[mart])})


def headline(given: Answer) -> Iterator[tuple[int, int, Decimal | None]]:
    """Numerator, denominator and the mart's own rate of every share that the report must give, in its order."""

    def row(mart: str, **where: str) -> dict[str, Any]:
        (found,) = given.rows(mart, counting_unit="person", **where)
        return dict(found)

    for component in ("mo", "nt2"):
        q1 = row("mart_q1_pass_rate", component=component)
        yield q1["n_passed"], q1["n_evaluated"], q1["pass_rate_evaluated"]
        yield q1["n_passed"], q1["n_ended"], q1["pass_rate_ended"]
    for component in ("mo", "nt2"):
        for reading in ("evaluated", "ended"):
            for participation in ("compulsory", "voluntary"):
                q2 = row("mart_q2_pass_rate_by_participation", component=component, participation_type=participation)
                yield q2["n_passed"], q2[f"n_{reading}"], q2[f"pass_rate_{reading}"]
    q4 = row("mart_q4_completed_and_certified", participation_type="all")
    q5 = row("mart_q5_completed_not_certified", participation_type="all")
    yield q4["n_certified_passed"], q4["n_completed_evaluated"], q4["certified_passed_rate"]
    yield q4["n_uncertified_passed"], q4["n_completed_evaluated"], q4["uncertified_passed_rate"]
    yield q5["n_uncertified_failed"], q5["n_completed_evaluated"], q5["uncertified_failed_rate"]
    yield q4["n_certified_failed"], q4["n_completed_evaluated"], q4["certified_failed_rate"]
    for component in ("mo", "nt2"):
        for reason in ("failed", "resitting", "dropped_out", "left_target_group", "changed_target_group"):
            why = row("mart_non_success_reasons", component=component, participation_type="all", reason=reason)
            yield why["n"], why["n_non_success"], why["share"]


def test_every_share_is_of_the_marts_and_stands_with_its_two_numbers(given):
    told = SHARE.findall(as_text(given))
    expected = list(headline(given))
    assert [(number(n), number(of)) for _, n, of in told] == [(n, of) for n, of, _ in expected]
    for (text, _, _), (_, of, rate) in zip(told, expected, strict=True):
        if of == 0:
            assert (text, rate) == ("n.v.t.", None)
        else:
            tenths = (rate * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
            assert text == f"{tenths} %".replace(".", ",")
    assert as_text(given).count("%") == sum(text != "n.v.t." for text, _, _ in told), "no percentage stands alone"


def test_the_summary_gives_the_headline(given):
    rows = list(headline(given))
    told = [(number(n), number(of)) for _, n, of in SHARE.findall(as_summary(given))]
    # Q1 entire; Q2 of the evaluated; of Q4 and Q5 the cell that is asked.
    expected = [*rows[:4], *rows[4:6], *rows[8:10], rows[12], rows[14]]
    assert told == [(n, of) for n, of, _ in expected]
    (certified,) = given.rows("mart_q3_certificates", counting_unit="person", participation_type="all")
    assert f"V3 {certified['n_certified']} personen met een inburgeringsattest" in as_summary(given)
    assert len(as_summary(given).splitlines()) == 8


def test_the_certificates_and_the_naive_figure(given):
    (row,) = given.rows("mart_q3_certificates", counting_unit="person", participation_type="all")
    text = " ".join(as_text(given).split())
    assert (
        f"{row['n_certified']} personen kregen een inburgeringsattest ({row['n_certificates']} attesten AI023)" in text
    )
    assert f"EVC-attesten (AEVC05): {row['n_evc']};" in text
    assert f"verklaringen van geleverde inspanningen (VGI01): {row['n_effort_statements']} " in text
    assert f"de {row['n_certificates_any_regime']} attesten die sinds dan aan wie dan ook" in text


def test_who_failed_in_what(given):
    (row,) = given.rows("mart_q5_completed_not_certified", counting_unit="person", participation_type="all")
    assert (
        f"slaagde niet voor MO: {row['n_failed_mo_only']}; voor NT2: {row['n_failed_nt2_only']}; "
        f"voor beide: {row['n_failed_both']}." in as_text(given)
    )


@pytest.mark.parametrize(
    ("compulsory", "voluntary", "text"),
    [
        ((33, 800), (0, 1), "+4,1 procentpunt"),
        ((0, 7), (203, 2000), "-10,2 procentpunt"),  # -10.15 exactly: away from zero
        ((30, 31), (14, 33), "+54,3 procentpunt"),  # 54.34995: the mart's 0.543500 would become 54.4
        ((5, 9), (10, 18), "+0,0 procentpunt"),
        ((0, 1), (1, 90_000), "+0,0 procentpunt"),
        ((0, 0), (1, 2), "n.v.t."),
        ((1, 2), (0, 0), "n.v.t."),
    ],
)
def test_the_difference_between_participants(given, compulsory, voluntary, text):
    mart = "mart_q2_pass_rate_by_participation"
    counts = {
        participation: dict(zip(("n_passed", "n_evaluated", "n_ended"), (passed, of, of), strict=True))
        for participation, (passed, of) in (("compulsory", compulsory), ("voluntary", voluntary))
    }
    rows = tuple({**row, **counts.get(row["participation_type"], {})} for row in given.marts[mart])
    changed = replace(given, marts={**given.marts, mart: rows})
    assert as_text(changed).count(f"verschil (verplicht min rechthebbend): {text}\n") == 4
    assert as_summary(changed).count(f"; verschil {text}\n") == 2


def test_large_numbers_and_halves_in_dutch_notation(given):
    changed = with_counts(given, "mart_q1_pass_rate", n_passed=1_234_567, n_evaluated=2_000_000, n_ended=3_086_417)
    assert "61,7 % (1.234.567 van 2.000.000)" in as_text(changed)
    # 12,25 % exactly: half away from zero, not to even.
    changed = with_counts(given, "mart_q1_pass_rate", n_passed=49, n_evaluated=400, n_ended=400)
    assert "12,3 % (49 van 400)" in as_text(changed)


def test_dates_are_written_in_full(given):
    first, second, _ = as_text(given).split("\n", 2)
    assert first == "Inburgering (schriftelijke vraag 714): stand van zaken op 31 december 2017"
    assert set(second) == {"="}
    assert "levering van 15 maart 2018" in as_text(given)
    assert as_summary(given).startswith("Stand op 31 december 2017, gekend op 15 maart 2018, per persoon")


@pytest.mark.parametrize("name", TEXTS)
def test_synthetic_data_is_told_and_only_then(given, name):
    assert given.synthetic
    assert "synthetische gegevens" in TEXTS[name](given).lower()
    assert "synthetisch" not in TEXTS[name](replace(given, synthetic=False)).lower()


def test_synthetic_figures_are_not_said_to_be_the_registry_s(given):
    assert "Kruispuntbank" in as_text(replace(given, synthetic=False))
    assert not re.search("Kruispuntbank|KBI", as_text(given))


def test_what_must_be_said_with_the_figures(given):
    text = " ".join(as_text(given).split())
    assert "Recente contracten zijn nog niet afgelopen" in text
    assert "Het register overschrijft statussen, beslissingen en nationaliteit" in text
    assert "Laaggeletterden met A1 als doel worden niet onderscheiden" in text
    for component in ("mo", "nt2"):
        (row,) = given.rows("mart_q1_pass_rate", counting_unit="person", component=component)
        assert row["n_required"] > row["n_ended"]
        assert f"{component.upper()} {row['n_required'] - row['n_ended']} van {row['n_required']}" in text


def test_before_the_obligation_of_result_it_says_so(of_nobody):
    assert "gold de resultaatsverbintenis nog niet" in as_text(of_nobody)
    assert "%" not in as_text(of_nobody)
    assert "n.v.t. (0 van 0)" in as_summary(of_nobody)


def test_it_fits_on_a_page_of_a_terminal(given):
    wide = with_counts(given, "mart_q1_pass_rate", n_passed=1_234_567, n_evaluated=2_000_000, n_ended=3_086_417)
    assert max(map(len, as_text(wide).splitlines())) <= 110
