"""The extracts' description, every rule on every extract and column, and what ``RULES`` governs."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import hypothesis.strategies as st
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given, settings
from pandera.errors import SchemaErrors

import schemas as s
from tests.deliveries import COLUMNS, VALIDATED_AS, insz, text_of
from tests.validation.schemas_frames import (
    ALL_DAMAGES,
    CODES,
    DAMAGES,
    DELIVERY,
    DELTA,
    KEYS,
    PARENTS,
    REQUIRED,
    Damage,
    codes_of,
    codes_with,
    frame_of,
    valid_row,
)

NAMES = [*COLUMNS, "dossiers"]


def described(name: str) -> s.Extract:
    return s.DOSSIERS if name == "dossiers" else s.EXTRACTS[name]


# The description ------------------------------------------------------------------------------------------------------


def test_extracts_and_columns_are_those_of_the_contract_in_its_order() -> None:
    assert {name: list(extract.names) for name, extract in s.EXTRACTS.items()} == COLUMNS
    assert list(s.EXTRACTS) == list(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
def test_keys_required_columns_and_parents(name: str) -> None:
    extract = s.EXTRACTS[name]
    assert list(extract.key) == KEYS[name]
    assert {c.name for c in extract.columns if c.required} == set(REQUIRED[name].split())
    assert {parent.column: parent.extract for parent in extract.parents} == PARENTS.get(name, {})


def test_parents_are_judged_before_their_children() -> None:
    order = list(s.EXTRACTS)
    for extract in s.EXTRACTS.values():
        assert all(order.index(parent.extract) < order.index(extract.name) for parent in extract.parents)


def test_rules_are_those_of_the_contract_in_its_order_and_explained() -> None:
    assert s.CODES == CODES
    assert set(s.RULES) == set(CODES)
    for code, rule in s.RULES.items():
        assert rule.code == code
        assert rule.title and rule.sentence.endswith(".") and rule.remedy.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_applicable_codes_are_the_ones_that_can_be_planted(name: str) -> None:
    planted = {damage.code for damage in DAMAGES[name]}
    assert s.applicable(described(name)) == tuple(code for code in CODES if code in planted)


def test_added_columns_cannot_collide_with_the_contracts() -> None:
    contract = {column for columns in COLUMNS.values() for column in columns} | {s.DELETED, s.LINE_NUMBER}
    assert not [column for column in contract if "__" in column]
    for name in NAMES:
        added = set(s.typed(described(name), frame_of(name, [])).columns) - contract - {"file_name"}
        assert added and all("__" in column for column in added)


def test_nothing_here_knows_the_orchestrator_the_warehouse_or_a_database() -> None:
    script = "import sys, schemas; print(*({'dagster', 'dbt', 'duckdb', 'orchestration'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


# Every rule -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", [DELIVERY, DELTA], ids=["full", "delta"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_valid_row_breaks_nothing(name: str, delivery: s.DeliveryContext) -> None:
    assert codes_with(name, delivery) == []


@pytest.mark.parametrize("name", COLUMNS)
def test_a_row_with_only_required_fields_breaks_nothing(name: str) -> None:
    needed = {*REQUIRED[name].split(), *(["datum_aanmaak"] if name == "attesten" else [])}
    row = {column: value if column in needed else None for column, value in valid_row(name).items()}
    references = {f"fact__parent_state__{column}": None for column in PARENTS.get(name, {}) if row[column] is None}
    assert codes_of(name, [row | references]) == {}


@pytest.mark.parametrize("damage", ALL_DAMAGES, ids=str)
def test_a_planted_violation_gives_its_code_and_no_other(damage: Damage) -> None:
    rows = [valid_row(damage.extract), valid_row(damage.extract) | damage.changes, valid_row(damage.extract)]
    assert codes_of(damage.extract, rows) == {2: [damage.code]}


@pytest.mark.parametrize("code", CODES)
def test_without_its_rule_a_row_that_breaks_it_is_accepted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking = [damage for damage in ALL_DAMAGES if damage.code == code]
    for name in {damage.extract for damage in breaking}:
        rows = [valid_row(name) | damage.changes for damage in breaking if damage.extract == name]
        assert len(codes_of(name, rows)) == len(rows)
        with monkeypatch.context() as without:
            without.delitem(s.RULES, code)
            assert codes_of(name, rows) == {}
            assert code not in s.applicable(described(name))
        assert len(codes_of(name, rows)) == len(rows)


def test_the_order_of_codes_survives_a_rule_taken_out_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.delitem(s.RULES, "required_missing")
    assert codes_with("addenda", addendum_id=None, type="?") == ["required_missing", "code_unknown"]
    assert s.applicable(s.EXTRACTS["addenda"])[0] == "required_missing"


@st.composite
def damaged_rows(draw: st.DrawFn) -> tuple[str, list[list[Damage]]]:
    """An extract, and for each of some rows damages that do not hide each other."""
    name = draw(st.sampled_from(NAMES))
    rows = []
    for order in draw(st.lists(st.permutations(DAMAGES[name]), min_size=1, max_size=6)):
        chosen: list[Damage] = []
        touched: set[str] = set()
        for damage in order[: draw(st.integers(0, len(order)))]:
            if not touched & damage.touches:
                chosen.append(damage)
                touched |= damage.touches
        rows.append(chosen)
    return name, rows


@settings(max_examples=300, deadline=None)
@given(damaged_rows())
def test_any_mixture_of_violations_gives_exactly_the_planted_rows_and_codes(
    mixture: tuple[str, list[list[Damage]]],
) -> None:
    name, damages = mixture
    rows, expected = [], {}
    for line_number, chosen in enumerate(damages, start=1):
        row = valid_row(name)
        for damage in chosen:
            row |= damage.changes
        rows.append(row)
        if codes := {damage.code for damage in chosen}:
            expected[line_number] = sorted(codes, key=CODES.index)
    assert codes_of(name, rows) == expected


def test_line_numbers_are_the_rows_own_and_keep_their_order() -> None:
    rows = frame_of("addenda", [valid_row("addenda") | {"type": kind} for kind in ("X", "AIC19G", "Y", "Z")])
    numbers = [900_000, 4, 800_000, 7]
    extract = s.EXTRACTS["addenda"]
    judged = s.judge(extract, s.typed(extract, rows.with_columns(line_number=pl.Series(numbers))), DELIVERY)
    assert judged.schema == {"line_number": pl.Int64, "rule_codes": pl.List(pl.String)}
    assert judged["line_number"].to_list() == [900_000, 800_000, 7]


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_without_rows_breaks_nothing(name: str) -> None:
    extract = described(name)
    judged = s.judge(extract, s.typed(extract, frame_of(name, [])), DELIVERY)
    assert judged.is_empty()
    assert judged.schema == {"line_number": pl.Int64, "rule_codes": pl.List(pl.String)}


def test_every_row_may_break_a_rule() -> None:
    rows = frame_of("wachtlijst", [valid_row("wachtlijst")]).select(pl.all().repeat_by(5000).explode())
    rows = rows.with_columns(line_number=pl.int_range(1, 5001), onderdeel=pl.lit("LO"), datum=pl.lit(None, pl.String))
    extract = s.EXTRACTS["wachtlijst"]
    judged = s.judge(extract, s.typed(extract, rows), DELIVERY)
    assert judged["line_number"].to_list() == list(range(1, 5001))
    assert judged["rule_codes"].unique().to_list() == [["required_missing", "code_unknown"]]


# pandera is the validator, and its traps ------------------------------------------------------------------------------


def test_pandera_itself_refuses_a_bad_row() -> None:
    extract = s.EXTRACTS["personen"]
    schema = s.schema_of(extract, DELIVERY)
    assert isinstance(schema, pa.DataFrameSchema)
    schema.validate(s.typed(extract, frame_of("personen", [valid_row("personen")])), lazy=True)
    bad = s.typed(extract, frame_of("personen", [valid_row("personen") | {"geslacht_code": "3"}]))
    with pytest.raises(SchemaErrors):
        schema.validate(bad, lazy=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_check_of_the_schema_carries_its_rule(name: str) -> None:
    schema = s.schema_of(described(name), DELTA if name != "dossiers" else DELIVERY)
    checks = [check for column in schema.columns.values() for check in column.checks]
    assert {check.name for check in checks} == set(s.applicable(described(name)))
    assert all(check.title == s.RULES[check.name].title for check in checks)


@pytest.mark.parametrize(
    "name, column",
    [
        ("personen", "geslacht_code"),
        ("personen", "geboortedatum__value"),
        ("personen", "line_number"),
        ("personen", "fact__key_conflict"),
        ("attesten", "fact__parent_state__contract_id"),
        ("insz_wijzigingen", "fact__alias_cycle"),
        ("dossiers", "fact__dossier_error"),
    ],
)
def test_a_missing_column_is_a_defect_and_not_a_good_row(name: str, column: str) -> None:
    rows = s.typed(described(name), frame_of(name, [valid_row(name)])).drop(column)
    with pytest.raises(s.JudgingDefect, match=column):
        s.judge(described(name), rows, DELIVERY)


def test_a_delta_without_its_column_is_a_defect() -> None:
    rows = s.typed(s.EXTRACTS["addenda"], frame_of("addenda", [valid_row("addenda")]))
    with pytest.raises(s.JudgingDefect, match="verwijderd"):
        s.judge(s.EXTRACTS["addenda"], rows, DELTA)


def test_a_column_of_another_type_is_a_defect() -> None:
    rows = s.typed(s.EXTRACTS["addenda"], frame_of("addenda", [valid_row("addenda")]))
    with pytest.raises(s.JudgingDefect, match="datum_registratie__value: String"):
        s.judge(s.EXTRACTS["addenda"], rows.with_columns(datum_registratie__value=pl.lit("2014-05-01")), DELIVERY)


@pytest.mark.parametrize("name, fact", [("addenda", "fact__key_conflict"), ("insz_wijzigingen", "fact__alias_cycle")])
def test_a_fact_that_was_not_computed_is_a_defect(name: str, fact: str) -> None:
    rows = s.typed(described(name), frame_of(name, [valid_row(name), valid_row(name) | {fact: None}]))
    with pytest.raises(s.JudgingDefect, match=f"{fact}: 1 rows"):
        s.judge(described(name), rows, DELIVERY)


def test_a_parent_state_that_does_not_exist_is_a_defect() -> None:
    rows = frame_of("addenda", [valid_row("addenda") | {"fact__parent_state__contract_id": "lost"}])
    with pytest.raises(pl.exceptions.PolarsError):
        s.typed(s.EXTRACTS["addenda"], rows)


def test_a_check_that_raises_is_a_defect_and_its_message_shows_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def cast_of_text(extract: s.Extract, delivery: s.DeliveryContext):
        yield Verdict("reden", pl.col("reden").cast(pl.Int64) > 0)

    from schemas.rules import Verdict

    broken = s.Rule("code_unknown", "Broken", "It raises.", "Repair it.", cast_of_text)
    monkeypatch.setitem(s.RULES, "code_unknown", broken)
    rows = [valid_row("opschortingen") | {"reden": "GEHEIM", "begin": "GEHEIM"}]
    with pytest.raises(s.JudgingDefect, match="code_unknown raised on reden") as caught:
        codes_of("opschortingen", rows)
    shown = [str(caught.value), caught.value.__cause__, caught.value.__suppress_context__]
    assert "GEHEIM" not in shown[0]
    assert shown[1:] == [None, True]


@pytest.mark.parametrize(
    "variable, value", [("PANDERA_VALIDATION_ENABLED", "False"), ("PANDERA_VALIDATION_DEPTH", "SCHEMA_ONLY")]
)
def test_the_environment_cannot_switch_judging_off(variable: str, value: str) -> None:
    script = "from tests.validation.schemas_frames import codes_with; print(*codes_with('personen', geslacht_code='3'))"
    judged = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={variable: value}
    )
    assert judged.stdout.split() == ["code_unknown"]


# What leaves validation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
def test_validated_rows_have_the_described_shape_and_no_person_number(name: str) -> None:
    extract = s.EXTRACTS[name]
    rows = s.typed(extract, frame_of(name, [valid_row(name)])).with_columns(
        pl.lit("2016-09-08").alias(s.DELIVERED_IN),
        *(pl.lit("ab" * 16).alias(s.PSEUDONYM_COLUMNS[column]) for column in extract.insz_columns),
    )
    validated = s.validated(extract, rows)
    assert validated.schema == s.validated_schema(extract)
    assert not {"insz", "oude_insz", "nieuwe_insz"} & set(validated.columns)
    assert validated.columns == [*VALIDATED_AS[name].values(), "delivered_in"]
    written = {VALIDATED_AS[name].get(column): value for column, value in valid_row(name).items()}
    for column, value in validated.row(0, named=True).items():
        if column.endswith("person_key"):
            assert value == "ab" * 16
        elif column != "delivered_in":
            exact = isinstance(value, Decimal)
            assert (
                value == (Decimal(written[column]) if exact else written[column]) or text_of(value) == written[column]
            )


def test_what_looks_like_a_person_s_number_in_a_text_is_masked() -> None:
    number = insz(7)
    dotted = f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[6:9]}.{number[9:]}"
    hidden, seen = "*" * 11, [f"M{number}", "0a" * 16, f"{number}4", "TO_STA_04", "nld", None]
    texts = {number: hidden, f"zie {dotted}": f"zie {hidden}", f"{number} {number}, ook": f"{hidden} {hidden}, ook"}
    extract = s.EXTRACTS["wachtlijst"]
    delivered = [valid_row("wachtlijst") | {"module_code": text} for text in (*texts, *seen)]
    rows = s.typed(extract, frame_of("wachtlijst", delivered)).with_columns(
        pl.lit("2016-09-08").alias(s.DELIVERED_IN), pl.lit("ab" * 16).alias("person_key")
    )
    assert s.validated(extract, rows)["module_code"].to_list() == [*texts.values(), *seen]


def test_natural_types_of_validated_rows() -> None:
    types = s.validated_schema(s.EXTRACTS["mo_cursussen"])
    assert types["datum_inschrijving"] == pl.Date
    assert types["individueel"] == pl.Boolean
    assert types["lesuren"] == pl.Decimal(28, 10)
    assert s.validated_schema(s.EXTRACTS["afgelegde_testen"])["score_waarden"] == pl.Int32
    assert s.validated_schema(s.EXTRACTS["personen"])["nis_gemeente"] == pl.String


def test_a_rule_taken_out_does_not_break_the_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(s.RULES, "value_out_of_range")
    extract = s.EXTRACTS["afgelegde_testen"]
    rows = frame_of("afgelegde_testen", [valid_row("afgelegde_testen") | {"score_waarden": "9" * 40}])
    accepted = s.typed(extract, rows).with_columns(person_key=pl.lit("k"), delivered_in=pl.lit("d"))
    assert s.judge(extract, accepted, DELIVERY).is_empty()
    assert s.validated(extract, accepted)["score_waarden"].to_list() == [None]


def test_delivery_date_decides_the_latest_plausible_day() -> None:
    early, late = (s.DeliveryContext(date(year, 9, 8), synthetic=True) for year in (2016, 2020))
    assert codes_with("wachtlijst", early, datum="2022-01-01") == ["date_implausible"]
    assert codes_with("wachtlijst", late, datum="2022-01-01") == []
