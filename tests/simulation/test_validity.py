"""Without damage, every row of a simulated delivery obeys the delivery contract; with damage, every rule is broken.

The judge is ``contract_rules.py``, which shares nothing with the product. It knows no earlier delivery, so what it
finds in a later one is at least what a warehouse with held rows finds.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from orchestration.simulation import simulate
from tests.simulation.conftest import DIRTY
from tests.simulation.contract_rules import CODES, DATES, INSZ, KEYS, PARENTS, broken_rules, read_delivery

_OUT_OF_RANGE = {"mo_cursussen", "nt2_cursussen", "afgelegde_testen", "inbreuken"}
_PERIODS = {"doelgroepen", "opschortingen", "trajecten", "trajectonderdelen", "mo_cursussen", "nt2_cursussen"}


@pytest.fixture(scope="session")
def found(dirty: list[Path]) -> list[pl.DataFrame]:
    """The broken rules of each damaged delivery."""
    return [broken_rules(directory) for directory in dirty]


def test_a_clean_registry_breaks_no_rule(clean: list[Path], all_regimes: list[Path]) -> None:
    for directory in [*clean, *all_regimes]:
        assert broken_rules(directory).is_empty(), directory.name


@pytest.mark.parametrize(("contracts", "until", "deliveries"), [(1, date(2016, 3, 31), 1), (40, date(2015, 1, 31), 9)])
def test_a_tiny_registry_breaks_no_rule(tmp_path: Path, contracts: int, until: date, deliveries: int) -> None:
    for directory in simulate(tmp_path, contracts, 1, until, deliveries, format="parquet"):
        assert broken_rules(directory).is_empty(), directory.name


def _expected_codes(extract: str, columns: list[str]) -> set[str]:
    codes = {"required_missing", "type_invalid", "date_implausible", "key_conflict", "duplicate"}
    if any(key[0] == extract for key in CODES):
        codes.add("code_unknown")
    if not INSZ.isdisjoint(columns):
        codes.add("insz_invalid")
    if any(PARENTS.get(name, extract) != extract for name in columns):
        codes.add("parent_missing")
    codes |= {"period_reversed"} if extract in _PERIODS else set()
    codes |= {"value_out_of_range"} if extract in _OUT_OF_RANGE else set()
    codes |= {"decision_undated"} if extract == "trajectonderdelen" else set()
    codes |= {"alias_cycle"} if extract == "insz_wijzigingen" else set()
    return codes


def test_every_rule_that_an_extract_can_break_is_broken_in_every_delivery(
    dirty: list[Path], found: list[pl.DataFrame]
) -> None:
    for directory, broken in zip(dirty, found, strict=True):
        for extract, rows in read_delivery(directory).items():
            codes = set(broken.filter(pl.col("extract") == extract)["code"])
            missing = _expected_codes(extract, rows.columns) - codes
            assert not missing, f"{directory.name} {extract}"
        # It befalls the children of damaged rows, so not every extract in every delivery.
        befallen = broken.filter(pl.col("code") == "parent_quarantined")["extract"].unique()
        assert {"contracten", "trajecten", "trajectonderdelen", "addenda", "attesten"} <= set(befallen)


def test_no_extract_comes_near_the_quarantine_limit(dirty: list[Path], found: list[pl.DataFrame]) -> None:
    for directory, broken in zip(dirty, found, strict=True):
        for extract, rows in read_delivery(directory).items():
            of_extract = broken.filter((pl.col("extract") == extract) & (pl.col("code") != "duplicate"))
            quarantined = of_extract["line"].n_unique()
            assert quarantined > 0
            # The limit is 5 %, and holds from 20 rows on.
            assert quarantined < 20 or quarantined / rows.height < 0.02, f"{directory.name} {extract}"


def test_a_full_delivery_lacks_little_of_the_one_before(clean: list[Path], dirty: list[Path]) -> None:
    for series in (clean, dirty):
        deliveries = [read_delivery(directory) for directory in series]
        for before, after in pairwise(deliveries):
            for extract, key in KEYS.items():
                gone = before[extract].select(key).unique().join(after[extract].select(key), on=key, how="anti")
                assert gone.height < 0.02 * before[extract].height + 10, extract


def test_damage_touches_only_the_damaged_rows(clean: list[Path], dirty: list[Path], found: list[pl.DataFrame]) -> None:
    for clean_directory, dirty_directory, broken in zip(clean, dirty, found, strict=True):
        whole, damaged = read_delivery(clean_directory), read_delivery(dirty_directory)
        share_replaced = []
        for extract, rows in whole.items():
            columns = rows.columns[1:]
            as_before = damaged[extract].join(rows, on=columns, how="semi", nulls_equal=True)
            replaced = rows.join(damaged[extract], on=columns, how="anti", nulls_equal=True)
            share_replaced.append((extract, replaced.height / rows.height))
            # A row that came as it was can only suffer from its parents, or from a second row with its key.
            codes = broken.filter(pl.col("extract") == extract).join(as_before, on="line", how="semi")["code"]
            assert set(codes) <= {"parent_missing", "parent_quarantined", "key_conflict", "duplicate"}, extract
        large = [share for extract, share in share_replaced if whole[extract].height > 10_000]
        # Persons bear half the damage, and neither a duplicate nor the first of two conflicting rows replaces one.
        assert all(0.2 * DIRTY < share < 1.1 * DIRTY for share in large)


def test_some_damage_lasts_and_most_is_repaired_by_the_next_delivery(dirty: list[Path]) -> None:
    bad_months = [
        set(
            read_delivery(directory)["trajectonderdelen"].filter(
                ~pl.col("type").is_in(CODES["trajectonderdelen", "type"].split())
                | ~pl.col("besluit_code").is_in(["VO", "NVO", "NVT"])
            )["onderdeel_id"]
        )
        for directory in dirty
    ]
    assert bad_months[1] & bad_months[2]
    assert len(bad_months[1] - bad_months[2]) > len(bad_months[1] & bad_months[2])


def test_every_date_column_is_among_those_judged(clean: list[Path]) -> None:
    """A date column that the judge forgot would pass unseen."""
    for extract, rows in read_delivery(clean[-1]).items():
        dated = {
            name
            for name in rows.columns[1:]
            if rows[name].drop_nulls().str.contains(r"^\d{4}-\d{2}-\d{2}$").all() and rows[name].is_not_null().any()
        }
        assert dated == DATES & {name for name in rows.columns if rows[name].is_not_null().any()}, extract
