"""What the simulated registry is like: what makes the warehouse's questions hard, and the published figures.

Figures are counted here in the simplest way, from the rows, without the warehouse's rules; ``sources.md`` beside the
simulator gives them as the marts count them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.simulation.contract_rules import DATES, KEYS, read_delivery

ANSWERED = date(2016, 9, 8)
RESULT_REGIME_FROM = date(2016, 2, 29)
Registry = dict[str, pl.DataFrame]


def _typed(directory: Path) -> Registry:
    """The extracts with dates as dates."""
    return {
        extract: rows.with_columns(pl.col(name).str.to_date() for name in rows.columns if name in DATES)
        for extract, rows in read_delivery(directory).items()
    }


@pytest.fixture(scope="module")
def series(clean: list[Path]) -> list[Registry]:
    return [_typed(directory) for directory in clean]


@pytest.fixture(scope="module")
def latest(all_regimes: list[Path]) -> Registry:
    return _typed(all_regimes[-1])


def test_the_last_delivery_holds_the_contracts_asked_for(series: list[Registry], latest: Registry) -> None:
    assert series[-1]["contracten"].height == 20_000
    assert latest["contracten"].height == 32_000


def test_nothing_is_known_before_it_happens(clean: list[Path], series: list[Registry]) -> None:
    """Plans may lie ahead (a course's end, a suspension's end); what has happened may not."""
    happened = {
        "insz_wijzigingen": ["datum"], "contracten": ["datum_registratie"], "addenda": ["datum_registratie"],
        "trajecten": ["begin", "besluit_datum"], "trajectonderdelen": ["besluit_datum"],
        "mo_cursussen": ["datum_inschrijving", "datum_uitschrijving"],
        "nt2_cursussen": ["datum_inschrijving", "datum_uitschrijving"], "afgelegde_testen": ["datum"],
        "attesten": ["datum_aanmaak", "datum_ondertekening"],
        "inbreuken": ["datum_vaststelling", "boete_datum"], "wachtlijst": ["datum"],
    }  # fmt: skip
    for directory, registry in zip(clean, series, strict=True):
        today = date.fromisoformat(directory.name)
        for extract, names in happened.items():
            assert registry[extract].select(pl.max_horizontal(pl.col(names).max())).item() <= today, extract


def test_some_events_are_registered_late(series: list[Registry]) -> None:
    first, _, last = series
    for extract, dated in (
        ("contracten", "datum_registratie"), ("attesten", "datum_aanmaak"), ("nt2_cursussen", "datum_inschrijving"),
        ("afgelegde_testen", "datum"),
    ):  # fmt: skip
        due = last[extract].filter(pl.col(dated).is_between(date(2016, 3, 1), ANSWERED))
        late = due.join(first[extract], on=KEYS[extract], how="anti")
        assert 0.001 < late.height / due.height < 0.05, extract


def test_the_registry_overwrites_and_removes(series: list[Registry]) -> None:
    first, _, last = series
    both = first["trajectonderdelen"].join(last["trajectonderdelen"], on="onderdeel_id", suffix="_last")
    decided_again = (pl.col("besluit_code") != pl.col("besluit_code_last")) & (pl.col("besluit_datum") <= ANSWERED)
    assert both.filter(decided_again).height > 20
    assert not first["contracten"].join(last["contracten"], on="contract_id", how="anti").is_empty()
    persons = first["personen"].join(last["personen"], on="insz", suffix="_last")
    assert persons.filter(pl.col("nationaliteit_code") != pl.col("nationaliteit_code_last")).height > 20
    assert persons.filter(pl.col("nis_gemeente") != pl.col("nis_gemeente_last")).height > 20


def test_numbers_are_synthetic_and_one_per_person(latest: Registry) -> None:
    numbers = latest["personen"]["insz"]
    assert numbers.str.slice(2, 2).cast(pl.Int32).is_between(61, 72).all()
    assert numbers.is_unique().all()


def test_replaced_numbers_lead_to_a_current_person(series: list[Registry], latest: Registry) -> None:
    for registry in [*series, latest]:
        changes = registry["insz_wijzigingen"]
        following = changes.join(changes, left_on="nieuwe_insz", right_on="oude_insz", how="left", suffix="_next")
        assert following.height == changes.height
        chained = following["nieuwe_insz_next"].is_not_null()
        current = following.select(pl.coalesce("nieuwe_insz_next", "nieuwe_insz")).to_series()
        assert current.is_in(registry["personen"]["insz"].implode()).all()
        # The latest number is never itself replaced.
        assert not current.is_in(changes["oude_insz"].implode()).any()
        assert 0 < chained.sum() < 0.2 * changes.height
        # Some replaced numbers have no person of their own any more, others still do.
        kept = changes["oude_insz"].is_in(registry["personen"]["insz"].implode())
        assert 0 < (~kept).sum() < kept.sum()
        # Rows stay under the number they were registered with, so the two must be brought together.
        under_old = registry["contracten"]["insz"].is_in(changes["oude_insz"].implode())
        assert under_old.any()


def test_persons_come_back_and_change(latest: Registry) -> None:
    contracts = latest["contracten"].group_by("insz").len()["len"]
    assert 0.02 < (contracts > 1).mean() < 0.06
    assert contracts.max() >= 3
    history = latest["doelgroepen"].sort("insz", "begin")
    types = history.group_by("insz", maintain_order=True).agg("type")["type"].list.join(">")
    for change in ("PLICHT>RECHT", "RECHT>PLICHT", "PLICHT>GEEN", "RECHT>GEEN", "GEEN>RECHT"):
        assert (types == change).any(), change


def test_every_regime_has_contracts_and_its_own_evidence(latest: Registry) -> None:
    signed = latest["contracten"]["datum_registratie"]
    bounds = [date(2013, 1, 1), RESULT_REGIME_FROM, date(2022, 3, 1), date(2023, 1, 1), date(2023, 9, 1)]
    for start, end in zip(bounds, [*bounds[1:], date(2024, 7, 1)], strict=True):
        assert signed.is_between(start, end, closed="left").sum() > 1_000
    tests = latest["afgelegde_testen"].filter(pl.col("type") == "MO")
    assert (
        tests.filter(pl.col("datum") >= date(2022, 3, 1)).height
        > 20 * tests.filter(pl.col("datum") < date(2022, 3, 1)).height / 9
    )
    by_scores = tests.filter(pl.col("resultaat").is_null())
    assert by_scores["score_waarden"].is_not_null().all()
    values = by_scores["score_waarden"].cast(pl.Int32)
    # Nine to eleven pass on any date; between six and eight the date decides, so both sides must occur.
    undecided = by_scores.filter(values.is_between(6, 8))["datum"]
    assert (undecided < date(2023, 3, 1)).any()
    assert (undecided >= date(2023, 3, 1)).any()
    assert set(latest["attesten"]["type"]) == {"AI023", "AEVC05", "VGI01"}


def test_there_are_resits_drop_outs_and_places_merely_kept(latest: Registry) -> None:
    courses = latest["nt2_cursussen"].sort("datum_inschrijving")
    failed = courses.filter(pl.col("besluit") == "NT_GESLAAGD").select("insz", "niveau", "einde")
    again = failed.join(courses, on=["insz", "niveau"], suffix="_again")
    resits = again.filter(pl.col("datum_inschrijving") > pl.col("einde"))["insz"].n_unique()
    assert resits > 0.3 * failed["insz"].n_unique()
    assert (courses["datum_uitschrijving"] < courses["einde"]).sum() > 100
    assert courses["status"].is_in(["GERESERVEERD", "TOEGEWEZEN", "NT_TOEGEWEZEN", "NT_INGESCHREVEN"]).any()
    assert set(courses["besluit"].drop_nulls()) == {"GESLAAGD", "NT_GESLAAGD", "NT_DEELGENOMEN"}


def test_absent_is_not_false(latest: Registry) -> None:
    flags = latest["contracten"].select(f"onderdeel_{name}" for name in ("mo", "nt2", "lo"))
    assert flags.filter(pl.all_horizontal(pl.all().is_null())).height > 0
    assert flags.filter(pl.all_horizontal(pl.all() == "false")).height > 0
    assert 0 < flags["onderdeel_mo"].null_count() < 0.05 * flags.height
    assert latest["trajecten"]["contract_id"].null_count() > 0.8 * latest["trajecten"].height


def test_contracts_follow_the_published_years(latest: Registry) -> None:
    """Published: 25,631 contracts in 2016, 21,771 in 2017, 20,754 in 2022; 41 % compulsory in 2019."""
    by_year = latest["contracten"].group_by(pl.col("datum_registratie").dt.year().alias("year")).len()
    counts = dict(by_year.iter_rows())
    assert counts[2016] / counts[2017] == pytest.approx(25_631 / 21_771, rel=0.05)
    assert counts[2022] / counts[2017] == pytest.approx(20_754 / 21_771, rel=0.05)
    in_2019 = latest["contracten"].filter(pl.col("datum_registratie").dt.year() == 2019).select("contract_id", "insz")
    tracks = in_2019.join(latest["trajecten"], on="insz").unique("contract_id", maintain_order=True)["type"]
    assert (tracks == "TT_IBVP").mean() == pytest.approx(0.41, abs=0.03)


def test_the_answer_of_2016_comes_out_roughly(series: list[Registry]) -> None:
    """Published: 88 % for MO, 82 % for A2; some 5.5 % of contracts certified, about a twelfth of all certificates."""
    registry = series[-1]
    contracts = (
        registry["contracten"]
        .filter(pl.col("datum_registratie").is_between(RESULT_REGIME_FROM, ANSWERED))
        .select("insz", signed="datum_registratie")
    )
    certificates = registry["attesten"].filter(
        (pl.col("type") == "AI023") & pl.col("datum_aanmaak").is_between(RESULT_REGIME_FROM, ANSWERED)
    )
    of_population = certificates.join(contracts, on="insz").filter(pl.col("datum_aanmaak") >= pl.col("signed"))
    assert 0.04 < of_population["insz"].n_unique() / contracts.height < 0.09
    assert certificates.height > 6 * of_population.height

    tracks = contracts.join(registry["trajecten"], on="insz").select("traject_id", "insz", "signed")
    decided = (
        registry["trajectonderdelen"]
        .join(tracks, on="traject_id")
        .filter(
            pl.col("besluit_datum").is_between(pl.col("signed"), ANSWERED) & pl.col("besluit_code").is_in(["VO", "NVO"])
        )
    )
    passed = pl.col("besluit_code") == "VO"
    rates = dict(decided.group_by("type").agg(passed.mean()).iter_rows())
    # Decisions know the evaluated only; those who left bring the published figures about.
    assert 0.92 < rates["TO_OB_MO"] < 0.99
    assert 0.84 < rates["TO_A2"] < 0.96
