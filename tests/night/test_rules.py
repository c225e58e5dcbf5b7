"""Every rule of the delivery contract through the real night: what was planted is quarantined, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest

import orchestration.assets  # noqa: F401 - it declares a check per rule: before one is taken out
import schemas
from orchestration.intake import take_waiting
from tests.deliveries import COLUMNS, write_delivery
from tests.night.nights import Folder
from tests.night.plants import EXTRACTED_AT, every_rule
from tests.validation.schemas_frames import CODES, DAMAGES

PLANTS = every_rule()
TOLERANT = {"KBI_MAX_QUARANTINE_RATE": "1"}


def deliver_plants(folder: Folder) -> None:
    write_delivery(folder.landing, "planted", EXTRACTED_AT, PLANTS.tables)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("planted"), dict(TOLERANT))
    deliver_plants(folder)
    ran = folder.night()
    assert (ran.exit_code, ran.lines) == (0, [("planted", "taken", "")]), ran.stderr
    return folder


def test_every_rule_is_planted_in_every_extract_that_can_break_it() -> None:
    planted = {(extract, code) for (extract, _), codes in PLANTS.broken.items() for code in codes}
    assert planted == {(damage.extract, damage.code) for extract in COLUMNS for damage in DAMAGES[extract]}
    assert {code for _, code in planted} == {*CODES} - {"dossier_invalid"}


def test_the_quarantine_holds_what_was_planted_and_nothing_else(planted: Folder) -> None:
    assert planted.quarantined() == PLANTS.broken


def test_no_row_is_lost(planted: Folder) -> None:
    n_broken = Counter(extract for extract, _ in PLANTS.broken)
    assert planted.rows("from quality.reconciliation order by all") == sorted(
        (
            "planted",
            extract,
            len(rows),
            len(rows) - n_broken[extract] - PLANTS.duplicates[extract],
            n_broken[extract],
            PLANTS.duplicates[extract],
        )
        for extract, rows in PLANTS.tables.items()
    )


def test_a_quarantined_row_keeps_its_fields(planted: Folder) -> None:
    kept = {
        (extract, line): json.loads(row)
        for extract, line, row in planted.rows("select extract, line_number, row from quality.quarantined_rows")
    }
    assert kept == {
        (extract, line): {column: PLANTS.tables[extract][line - 1].get(column) or None for column in COLUMNS[extract]}
        | ({"einde": None} if PLANTS.tables[extract][line - 1].get("einde") == "9999-12-31" else {})
        for extract, line in PLANTS.broken
    }


def test_the_rows_that_count_are_the_others(planted: Folder) -> None:
    n_broken = Counter(extract for extract, _ in PLANTS.broken)
    accepted = {name: len(rows) - n_broken[name] - PLANTS.duplicates[name] for name, rows in PLANTS.tables.items()}
    assert planted.rows("select count(*) from staging.stg_registry__contracts") == [(accepted["contracten"],)]
    assert planted.rows("select count(*) from facts.fct_trajectory") == [(accepted["contracten"],)]


def test_the_counts_per_rule_are_told(planted: Folder) -> None:
    (told,) = planted.status()["deliveries"]
    by_extract = groupby(sorted(PLANTS.broken), key=lambda place: place[0])
    assert told["rule_counts"] == {
        extract: dict(Counter(code for place in places for code in PLANTS.broken[place]))
        for extract, places in by_extract
    }


def test_the_share_that_may_be_quarantined_is_the_operator_s_to_set(folder: Folder) -> None:
    deliver_plants(folder)
    (refused,) = take_waiting(folder.settings)
    assert refused.code == "quarantine_rate_exceeded"
    assert refused.entry.rule_counts["contracten"]["parent_quarantined"] == 1


@pytest.mark.parametrize("code", [code for code in CODES if code != "dossier_invalid"])
def test_a_rule_that_is_taken_out_is_not_judged(code: str, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(schemas.RULES, code)
    monkeypatch.setenv("KBI_MAX_QUARANTINE_RATE", "1")
    deliver_plants(folder)
    (taken,) = take_waiting(folder.settings)
    assert taken.result == "taken", taken.detail
    left = PLANTS.without_rule(code)
    assert left != PLANTS.broken
    assert quarantined_on_disk(folder.settings.quarantine) == left
    # What is not quarantined is accepted: the account balances, or nothing would have been taken.
    n_left = Counter(extract for extract, _ in left)
    assert {a.extract: a.n_accepted for a in taken.entry.reconciliation} == {
        extract: len(rows) - n_left[extract] - PLANTS.duplicates[extract] for extract, rows in PLANTS.tables.items()
    }


WHOLE = ("alias_cycle",)
"""Taken out in a whole night by default too: rows in circles are what SQL fears most. The others are only rows."""
SEEN_BY_THE_WAREHOUSE = {
    "required_missing": {"not_null_fct_infringement_infringement_id", "not_null_dim_person_person_key"},
    "type_invalid": {"same_row_count_int_contracts_ref_stg_registry__contracts_"},
    "date_implausible": {"same_row_count_int_contracts_ref_stg_registry__contracts_"},
    "key_conflict": {"unique_int_contracts_contract_id", "unique_fct_infringement_infringement_id"},
}
"""Without these rules rows come in that the tests of the warehouse stop: a second line, behind the validation."""


# Rows that no rule was made for may make a query run for ever: that ends the process.
@pytest.mark.timeout(180, method="thread")
@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=[] if code in WHOLE else pytest.mark.slow) for code in CODES[:-1]]
)
def test_what_nobody_judges_is_accepted_by_the_whole_night(
    code: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(schemas.RULES, code)
    folder.variables.update(TOLERANT)
    deliver_plants(folder)
    ran = folder.night()
    assert ran.lines == [("planted", "taken", "")], ran.stderr
    assert quarantined_on_disk(folder.settings.quarantine) == PLANTS.without_rule(code)
    (told,) = folder.status()["deliveries"]
    assert code not in {code for counts in told["rule_counts"].values() for code in counts}
    if code in SEEN_BY_THE_WAREHOUSE:
        assert ran.exit_code == 1 and not folder.settings.warehouse.exists() and not folder.releases()
        assert all(f"{name}: " in ran.stderr for name in SEEN_BY_THE_WAREHOUSE[code]), ran.stderr
    else:
        assert ran.exit_code == 0, ran.stderr
        assert folder.quarantined() == PLANTS.without_rule(code)


def quarantined_on_disk(directory: Path) -> dict[tuple[str, int], set[str]]:
    rows = [row for path in directory.glob("*/*.parquet") for row in pl.read_parquet(path).iter_rows(named=True)]
    return {(row["extract"], row["line_number"]): set(row["rule_codes"]) for row in rows}
