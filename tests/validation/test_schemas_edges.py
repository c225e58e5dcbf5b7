"""Where each rule begins and ends: forms of dates and numbers, person numbers, dates, decisions, parents, deletions."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import hypothesis.strategies as st
import polars as pl
import pycountry
import pytest
from hypothesis import given, settings

import schemas as s
from tests.deliveries import insz as synthetic_insz
from tests.validation.schemas_frames import DELIVERY, DELTA, KEYS, codes_of, codes_with, frame_of, valid_row

REAL = s.DeliveryContext(date(2016, 9, 8), synthetic=False)


def values_of(extract: str, column: str, texts: list[str]) -> list[object]:
    rows = frame_of(extract, [valid_row(extract) | {column: text} for text in texts])
    return s.typed(s.EXTRACTS[extract], rows)[s.value_of(column)].to_list()


# type_invalid ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["2016-02-29", "2000-02-29", "1900-01-01", "2015-12-31"])
def test_dates(text: str) -> None:
    assert codes_with("wachtlijst", datum=text) == []
    assert values_of("wachtlijst", "datum", [text]) == [date.fromisoformat(text)]


@pytest.mark.parametrize(
    "text",
    [
        *("2015-02-29", "1900-02-29", "2015-04-31", "2015-13-01", "2015-00-10", "2015-01-00", "0000-01-01"),
        *("2015-1-2", "15-01-02", "+2015-01-02", "-2015-01-02", "+215-01-02", "2015- 1- 2", "02015-01-02"),
        *("20150102", "2015/01/02", "02-01-2015", "2015-01-02T00:00:00", "2015-01-02 00:00", "2015-01-02Z"),
        *("2015-W01-1", "2015-001", "２０１５-01-02", "2015‐01‐02", "x", "-", "2015-01", "2015-01-02\n"),
    ],
)
def test_not_dates(text: str) -> None:
    assert codes_with("wachtlijst", datum=text) == ["type_invalid"]


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", fullmatch=True), min_size=1, max_size=50))
def test_a_date_exists_exactly_where_the_calendar_has_it(texts: list[str]) -> None:
    def in_calendar(text: str) -> date | None:
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None

    assert values_of("wachtlijst", "datum", texts) == [in_calendar(text) for text in texts]


@pytest.mark.parametrize("text", ["True", "FALSE", "1", "0", "ja", "t", "waar", "true false"])
def test_not_truth_values(text: str) -> None:
    assert codes_with("mo_cursussen", individueel=text) == ["type_invalid"]


@pytest.mark.parametrize("text", ["0", "30", "-0", "007", "0" * 40 + "7"])
def test_integers(text: str) -> None:
    assert codes_with("afgelegde_testen", score_praktisch=text) == []
    assert values_of("afgelegde_testen", "score_praktisch", [text]) == [int(text)]


@pytest.mark.parametrize("text", ["+5", "5.0", "5.", "1e1", "0x1", "1_0", "-", "--5", "5-", "٥", "５", "nan", "5 5"])
def test_not_integers(text: str) -> None:
    assert codes_with("afgelegde_testen", score_praktisch=text) == ["type_invalid"]


DECIMALS = ["60", "60.5", "-0.0", "00060.50", "0.1", "60." + "0" * 60, "0" * 60 + "60", "55.5000000001"]


@pytest.mark.parametrize("text", DECIMALS)
def test_decimals(text: str) -> None:
    assert codes_with("mo_cursussen", lesuren=text, aanwezige_uren="0") == []
    assert values_of("mo_cursussen", "lesuren", [text]) == [Decimal(text)]


@pytest.mark.parametrize(
    "text",
    ["60,5", "+60", ".5", "60.", "1e3", "60.5.5", "1_000", "1 000", "inf", "nan", "-", ".", "-.5", "６０", "0x3C"],
)
def test_not_decimals(text: str) -> None:
    assert codes_with("inbreuken", boete_bedrag=text) == ["type_invalid"]


@settings(deadline=None)
@given(st.lists(st.text(alphabet="0123456789-+.,eE ", min_size=1, max_size=8), min_size=1, max_size=50))
def test_a_decimal_is_read_exactly_where_its_form_is_right(texts: list[str]) -> None:
    form = re.compile(r"-?[0-9]+(\.[0-9]+)?")
    expected = [Decimal(text) if form.fullmatch(text) else None for text in texts]
    assert values_of("inbreuken", "boete_bedrag", texts) == expected


@pytest.mark.parametrize("text", ["1100", "110022", "1100a", "11 02", "+1002", "-1002", "１１００２"])
def test_municipality_is_five_digits(text: str) -> None:
    assert codes_with("personen", nis_gemeente=text) == ["type_invalid"]
    assert codes_with("contracten", nis_gemeente=text) == ["type_invalid"]


@pytest.mark.parametrize("text", ["543307391", "00543307391", "0543.307.391", "BE05433073"])
def test_enterprise_number_is_ten_digits(text: str) -> None:
    assert codes_with("contracten", kbo_nummer=text) == ["type_invalid"]


# code_unknown ---------------------------------------------------------------------------------------------------------


def test_nationalities() -> None:
    known = [country.alpha_2 for country in pycountry.countries] + ["XK", "SU", "YU", "CS", "AN", "XX"]
    rows = [valid_row("personen") | {"nationaliteit_code": code} for code in known]
    assert codes_of("personen", rows) == {}
    unknown = ["be", "BEL", "EU", "UK", "DD", "XY", "150"]
    rows = [valid_row("personen") | {"nationaliteit_code": code} for code in unknown]
    assert codes_of("personen", rows) == {number: ["code_unknown"] for number in range(1, len(unknown) + 1)}


CODE_LISTS = {
    ("personen", "geslacht_code"): "1 2",
    ("doelgroepen", "code"): "JA NEE NADER_TE_BEPALEN",
    ("doelgroepen", "type"): "PLICHT RECHT RECHT_PLICHT MINDERJARIG NADER_TE_BEPALEN GEEN",
    ("doelgroepen", "subtype"): "RECHT PRI_RECHT VOL_PROG NT2 MO RECHT_PLICHT MINDERJARIG DOELGROEP RECHTHEBBEND",
    ("contracten", "type"): "IC07G ICF08G IC09G ICF10G IC11G ICF12G ICO13G",
    ("addenda", "type"): "AIC14G AICF15G AICF16G AICF17G AICF18G AIC19G AIC20G AIC21G",
    ("trajecten", "type"): (
        "TT_IBVP TT_IBRH TT_IB-18 TT_IBNB TT_IBBXL TT_IBAS TT_IBLING TT_IBGD TT_OBVDAB TT_OBOCMW TT_WCIB TT_WCTB "
        "TT_WCTK TT_OBSEC TT_NT2 TT_NT2OCMW TT_NT2VDAB TT_OBMAT TT_NIV_BEPALING"
    ),
    ("trajecten", "status_code"): "OP GS TS",
    ("trajecten", "besluit_code"): "JA_IB JA_EVC NEE NEE_ANALFA",
    ("trajectonderdelen", "type"): (
        "TO_OB_MO TO_OB_PLO TO_OB_ELO TO_OB_SLO TO_OB_LLO TO_A1 TO_A2 TO_B1/1 TO_B1/2 TO_B1/3 TO_B1/4 TO_B2 TO_C1 "
        "TO_C2 TO_OB_INDOND TO_SANCTIO TO_OB_TO/TV TO_NB TO_HH TO_OB_W/A"
    ),
    ("trajectonderdelen", "besluit_code"): "VO NVO NVT",
    ("nt2_cursussen", "niveau"): "A1 A2 B1 B2 C1 C2",
    ("nt2_cursussen", "status"): ("TOEGEWEZEN INGESCHREVEN GERESERVEERD NT_INGESCHREVEN NT_TOEGEWEZEN UITGESCHREVEN"),
    ("nt2_cursussen", "besluit"): "GESLAAGD NT_GESLAAGD NT_DEELGENOMEN",
    ("afgelegde_testen", "type"): "MO NT2 NIVEAU",
    ("afgelegde_testen", "niveau"): "A1 A2 B1 B2 C1 C2",
    ("afgelegde_testen", "resultaat"): "GESLAAGD NT_GESLAAGD NT_DEELGENOMEN",
    ("attesten", "soort"): "ATTEST VERKLARING",
    ("attesten", "type"): "AI023 AEVC05 VGI01",
    ("inbreuken", "type"): "1 2 3 4 5 6 7 8",
    ("inbreuken", "sanctionerende_overheid"): "VDAB OCMW VMSW HH",
    ("wachtlijst", "onderdeel"): "MO NT2",
}


@pytest.mark.parametrize("place", CODE_LISTS, ids="-".join)
def test_closed_lists(place: tuple[str, str]) -> None:
    extract, column = place
    listed = CODE_LISTS[place].split()
    rows = [valid_row(extract) | {column: code} for code in [*listed, *(code.lower() + "_" for code in listed)]]
    unknown = range(len(listed) + 1, 2 * len(listed) + 1)
    assert codes_of(extract, rows) == {number: ["code_unknown"] for number in unknown}


def test_no_other_column_has_a_closed_list() -> None:
    closed = {(e.name, c.name) for e in s.EXTRACTS.values() for c in e.columns if c.kind == "code"}
    assert closed == {*CODE_LISTS, ("personen", "nationaliteit_code")}


# insz_invalid ---------------------------------------------------------------------------------------------------------


def insz_of(nine: int, *, from_2000: bool = False) -> str:
    return f"{nine:09d}{97 - (nine + from_2000 * 2_000_000_000) % 97:02d}"


def is_correct(number: str, synthetic: bool) -> bool:
    """The rule once more, number by number."""
    if re.fullmatch("[0-9]{11}", number) is None:
        return False
    month, checks = int(number[2:4]), (97 - int(number[:9]) % 97, 97 - int("2" + number[:9]) % 97)
    months = {*range(13), *range(20, 33), *range(40, 53), *(range(60, 73) if synthetic else ())}
    return int(number[9:]) in checks and month in months


@pytest.mark.parametrize("month", range(100))
def test_month_parts(month: int) -> None:
    number = insz_of(80_00_17_001 + month * 100_000)
    expected = month in {*range(13), *range(20, 33), *range(40, 53)}
    assert (codes_with("personen", REAL, insz=number) == []) == expected
    assert (codes_with("personen", insz=number) == []) == (expected or month in range(60, 73))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 999_999_999), st.booleans(), st.sampled_from([0, 0, 0, 1, 50])),
        min_size=1,
        max_size=50,
    ),
    st.booleans(),
)
def test_check_digits_agree_with_the_rule_number_by_number(drawn: list[tuple[int, bool, int]], synthetic: bool) -> None:
    numbers = [
        f"{number[:9]}{(int(number[9:]) + wrong) % 100:02d}"
        for number, wrong in ((insz_of(nine, from_2000=late), wrong) for nine, late, wrong in drawn)
    ]
    delivery = s.DeliveryContext(date(2016, 9, 8), synthetic)
    bad = codes_of("personen", [valid_row("personen") | {"insz": number} for number in numbers], delivery)
    expected = [i for i, number in enumerate(numbers, start=1) if not is_correct(number, synthetic)]
    assert bad == {number: ["insz_invalid"] for number in expected}


def test_either_century_may_match() -> None:
    assert codes_with("personen", REAL, insz=insz_of(5_05_17_001)) == []
    assert codes_with("personen", REAL, insz=insz_of(5_05_17_001, from_2000=True)) == []
    assert codes_with("personen", REAL, insz=insz_of(80_05_17_001, from_2000=True)) == []


def test_month_and_day_may_be_unknown() -> None:
    assert codes_with("personen", REAL, insz=insz_of(80_00_00_001)) == []
    assert codes_with("personen", REAL, insz=insz_of(80_05_00_001)) == []
    assert codes_with("personen", REAL, insz=insz_of(0)) == []


@pytest.mark.parametrize(
    "text",
    [
        "8005170017",
        "800517001271",
        "80.05.17-001.27",
        "8005170012x",
        "+8005170012",
        "-0000000000",
        "８００５１７００１２７",
    ],
)
def test_another_form_is_an_invalid_number_and_not_an_invalid_type(text: str) -> None:
    assert codes_with("personen", insz=text) == ["insz_invalid"]


def test_no_more_than_eleven_digits() -> None:
    # Read as numbers all of these would be correct ones.
    assert codes_with("personen", insz="0" + synthetic_insz(0)) == ["insz_invalid"]
    assert codes_with("personen", insz="+" + synthetic_insz(0)) == ["insz_invalid"]
    assert codes_with("personen", insz=insz_of(5_01_001).lstrip("0")) == ["insz_invalid"]


def test_both_numbers_of_a_replacement_are_judged() -> None:
    wrong = synthetic_insz(3)[:9] + "00"
    assert codes_with("insz_wijzigingen", oude_insz=wrong) == ["insz_invalid"]
    assert codes_with("insz_wijzigingen", nieuwe_insz=wrong) == ["insz_invalid"]


# date_implausible -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "delivered, last, too_late",
    [
        (date(2016, 9, 8), "2021-09-08", "2021-09-09"),
        (date(2016, 2, 29), "2021-02-28", "2021-03-01"),
        (date(2019, 2, 28), "2024-02-28", "2024-02-29"),
        (date(2016, 12, 31), "2021-12-31", "2022-01-01"),
    ],
)
def test_five_calendar_years_ahead(delivered: date, last: str, too_late: str) -> None:
    delivery = s.DeliveryContext(delivered, synthetic=True)
    assert codes_with("wachtlijst", delivery, datum=last) == []
    assert codes_with("wachtlijst", delivery, datum=too_late) == ["date_implausible"]


def test_from_1900_on() -> None:
    assert codes_with("personen", geboortedatum="1900-01-01") == []
    assert codes_with("personen", geboortedatum="1899-12-31") == ["date_implausible"]
    assert codes_with("personen", geboortedatum="0001-01-01") == ["date_implausible"]
    assert codes_with("personen", geboortedatum="9999-12-31") == ["date_implausible"]


# period_reversed ------------------------------------------------------------------------------------------------------


def test_a_period_of_one_day_is_one() -> None:
    assert codes_with("opschortingen", begin="2015-01-01", einde="2015-01-01") == []
    assert codes_with("mo_cursussen", datum_inschrijving="2015-01-01", datum_uitschrijving="2015-01-01") == []


def test_only_the_two_pairs_are_periods() -> None:
    # A status, a decision, a signature or an enrolment may lie anywhere.
    assert codes_with("trajecten", status_begin="2001-01-01", besluit_datum="2001-01-01") == []
    assert codes_with("attesten", datum_aanmaak="2015-01-01", datum_ondertekening="2014-01-01") == []
    assert codes_with("nt2_cursussen", datum_inschrijving="2016-01-01") == []
    assert codes_with("inbreuken", datum_vaststelling="2016-01-01", boete_datum="2015-01-01") == []


def test_a_period_without_one_of_its_dates_cannot_be_reversed() -> None:
    assert codes_with("mo_cursussen", begin=None, einde="2001-01-01") == []
    assert codes_with("opschortingen", begin="?", einde="2001-01-01") == ["type_invalid"]
    assert codes_with("opschortingen", begin=None, einde="2001-01-01") == ["required_missing"]


def test_an_implausible_date_still_orders() -> None:
    assert codes_with("opschortingen", einde="1816-08-31") == ["date_implausible", "period_reversed"]


# value_out_of_range ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extract, column, good, bad",
    [
        ("afgelegde_testen", "score_praktisch", "0 30", "-1 31 99999999999999999999999 -99999999999999999999999"),
        ("afgelegde_testen", "score_waarden", "0 11", "-1 12 9223372036854775808"),
        ("inbreuken", "boete_bedrag", "0 5000 5000.00 0.01", "-0.01 5000.0000000001 1" + "0" * 60),
    ],
)
def test_ranges(extract: str, column: str, good: str, bad: str) -> None:
    for text in good.split():
        assert codes_with(extract, **{column: text}) == []
    for text in bad.split():
        assert codes_with(extract, **{column: text}) == ["value_out_of_range"]


def test_a_number_that_no_type_holds_stands_beyond_its_range_on_its_own_side() -> None:
    low, high = values_of("afgelegde_testen", "score_praktisch", ["-" + "9" * 30, "9" * 30])
    assert (low, high) == (1 - 2**63, 2**63 - 1)
    low, high = values_of("inbreuken", "boete_bedrag", ["-" + "9" * 30, "9" * 30 + ".5"])
    assert (low, high) == (-Decimal(10**18), Decimal(10**18))


@pytest.mark.parametrize("extract", ["mo_cursussen", "nt2_cursussen"])
def test_hours(extract: str) -> None:
    assert codes_with(extract, lesuren="60.5", aanwezige_uren="60.50") == []
    assert codes_with(extract, lesuren="0.3", aanwezige_uren="0.3000000000000000001") == ["value_out_of_range"]
    assert codes_with(extract, lesuren=None, aanwezige_uren="1000") == []
    assert codes_with(extract, lesuren="zestig", aanwezige_uren="1000") == ["type_invalid"]
    assert codes_with(extract, lesuren="-1", aanwezige_uren="-2") == ["value_out_of_range"]
    assert codes_with(extract, lesuren="60", aanwezige_uren=None) == []
    assert codes_with(extract, lesuren="-0.01", aanwezige_uren=None) == ["value_out_of_range"]
    assert codes_with(extract, lesuren=None, aanwezige_uren="-0.01") == ["value_out_of_range"]


def test_hours_have_no_upper_bound_but_what_the_warehouse_can_hold() -> None:
    assert codes_with("mo_cursussen", lesuren="9" * 18) == []
    assert codes_with("mo_cursussen", lesuren="1" + "0" * 18) == ["value_out_of_range"]
    assert codes_with("mo_cursussen", lesuren="9" * 60) == ["value_out_of_range"]
    assert codes_with("mo_cursussen", lesuren="9" * 18 + "." + "9" * 11) == ["value_out_of_range"]


# required_missing, decision_undated -----------------------------------------------------------------------------------


def test_a_document_needs_one_of_its_dates() -> None:
    assert codes_with("attesten", datum_aanmaak=None) == []
    assert codes_with("attesten", datum_ondertekening=None) == []
    assert codes_with("attesten", datum_aanmaak="?", datum_ondertekening=None) == ["type_invalid"]
    assert codes_with("attesten", datum_aanmaak=None, datum_ondertekening=None, type=None) == ["required_missing"]


def test_a_decision_is_dated_by_its_date_or_the_end() -> None:
    undated = {"besluit_datum": None, "einde": None}
    component = "trajectonderdelen"
    assert codes_with(component, **undated) == ["decision_undated"]
    assert codes_with(component, besluit_datum=None) == []
    assert codes_with(component, einde=None) == []
    assert codes_with(component, **undated, besluit_code=None) == []
    assert codes_with(component, **undated, besluit_code="JA") == ["code_unknown", "decision_undated"]
    assert codes_with(component, **undated | {"einde": "2015-02-29"}) == ["type_invalid", "decision_undated"]
    assert codes_with(component, besluit_datum="?", einde="?") == ["type_invalid", "decision_undated"]
    assert codes_with(component, besluit_datum="?") == ["type_invalid"]
    assert codes_with(component, **undated | {"besluit_datum": "1815-06-18"}) == ["date_implausible"]


def test_the_decision_of_a_track_needs_no_date() -> None:
    assert codes_with("trajecten", besluit_datum=None, einde=None) == []


# Facts ----------------------------------------------------------------------------------------------------------------


def test_each_of_two_parents_has_its_own_code() -> None:
    person, contract = "fact__parent_state__insz", "fact__parent_state__contract_id"
    both = ["parent_missing", "parent_quarantined"]
    assert codes_with("trajecten", **{person: "missing", contract: "quarantined"}) == both
    assert codes_with("trajecten", **{person: "quarantined", contract: "missing"}) == both
    assert codes_with("trajecten", **{person: "missing", contract: "missing"}) == ["parent_missing"]
    assert codes_with("trajecten", **{person: None, contract: None}) == []


@pytest.mark.parametrize("state", ["missing", "quarantined"])
def test_an_empty_or_incorrect_reference_has_no_parent_to_judge(state: str) -> None:
    person, contract = "fact__parent_state__insz", "fact__parent_state__contract_id"
    assert codes_with("trajecten", **{contract: state}, contract_id=None) == []
    assert codes_with("trajecten", **{person: state}, insz=None) == ["required_missing"]
    assert codes_with("trajecten", **{person: state}, insz="80611700198") == ["insz_invalid"]
    assert codes_with("trajecten", **{person: state}, insz="x") == ["insz_invalid"]


def test_without_insz_invalid_an_incorrect_reference_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(s.RULES, "insz_invalid")
    assert codes_with("contracten", fact__parent_state__insz="missing", insz="x") == []


# Deletions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extract", KEYS)
def test_of_a_deletion_only_the_key_is_judged(extract: str) -> None:
    row = {column: value if column in KEYS[extract] else "?" for column, value in valid_row(extract).items()}
    facts = {fact: "missing" for fact in s.EXTRACTS[extract].facts if fact.startswith("fact__parent_state__")}
    cycle = {"fact__alias_cycle": True} if extract == "insz_wijzigingen" else {}
    empty = {column: value if column in KEYS[extract] else None for column, value in row.items()}
    deletions = [deleted | facts | cycle | {"verwijderd": "true"} for deleted in (row, empty)]
    changes = [row | facts | cycle | {"verwijderd": text} for text in ("false", None)]
    assert list(codes_of(extract, [*deletions, *changes], DELTA)) == [3, 4]


@pytest.mark.parametrize("extract, column", [(extract, column) for extract in KEYS for column in KEYS[extract]])
def test_of_a_deletion_the_whole_key_is_judged(extract: str, column: str) -> None:
    deletion = {"verwijderd": "true"}
    assert codes_with(extract, DELTA, **deletion | {column: None}) == ["required_missing"]
    match column:
        case "insz" | "oude_insz":
            assert codes_with(extract, DELTA, **deletion | {column: "x"}) == ["insz_invalid"]
        case "begin" | "datum":
            assert codes_with(extract, DELTA, **deletion | {column: "x"}) == ["type_invalid"]
            assert codes_with(extract, DELTA, **deletion | {column: "1815-06-18"}) == ["date_implausible"]
        case "onderdeel":
            assert codes_with(extract, DELTA, **deletion | {column: "x"}) == ["code_unknown"]
        case _:
            assert codes_with(extract, DELTA, **deletion | {column: "x"}) == []


@pytest.mark.parametrize("extract", KEYS)
def test_a_deletion_can_conflict(extract: str) -> None:
    assert codes_with(extract, DELTA, verwijderd="true", fact__key_conflict=True) == ["key_conflict"]


@pytest.mark.parametrize("text", ["ja", "TRUE", "1", "?"])
def test_neither_a_deletion_nor_a_change(text: str) -> None:
    assert codes_with("addenda", DELTA, verwijderd=text) == ["type_invalid"]
    assert codes_with("addenda", DELTA, verwijderd=text, type="?") == ["type_invalid", "code_unknown"]


def test_a_full_delivery_knows_no_deletion() -> None:
    rows = frame_of("addenda", [valid_row("addenda") | {"type": "?"}]).with_columns(verwijderd=pl.lit("true"))
    extract = s.EXTRACTS["addenda"]
    assert s.judge(extract, s.typed(extract, rows), DELIVERY)["rule_codes"].to_list() == [["code_unknown"]]
