"""What is kept of the history: any earlier state, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from orchestration.history import ROW_NUMBER, changes_of, history_query, state_query
from tests.deliveries import COLUMNS, combined, insz, minimal_registry
from tests.validation.test_validation import changed, take


def test_every_earlier_state_can_be_read_later(tmp_path: Path) -> None:
    tables = combined(minimal_registry(1), minimal_registry(2))
    one = take(tmp_path / "1", tables, delivery_id="one")
    of_one = {extract: _sorted(one.state(extract)) for extract in COLUMNS}
    corrected = combined(minimal_registry(1), minimal_registry(3))
    corrected["contracten"][0]["type"] = "IC11G"
    two = take(tmp_path / "2", corrected, one, delivery_id="two")
    of_two = {extract: _sorted(two.state(extract)) for extract in COLUMNS}
    deleted = {"contracten": [{"contract_id": "C3", "verwijderd": "true"}]}
    three = take(tmp_path / "3", deleted, two, delivery_id="three", kind="delta")
    assert three.state("contracten")["contract_id"].to_list() == ["C1"]
    for extract in COLUMNS:
        assert _sorted(duckdb.sql(state_query(three.validated[:1], extract)).pl().drop(ROW_NUMBER)) == of_one[extract]
        assert _sorted(duckdb.sql(state_query(three.validated[:2], extract)).pl().drop(ROW_NUMBER)) == of_two[extract]


def test_the_history_says_from_when_until_when(tmp_path: Path) -> None:
    one = take(tmp_path / "1", combined(minimal_registry(1), minimal_registry(2)), delivery_id="one")
    corrected = combined(minimal_registry(1), minimal_registry(3))
    corrected["contracten"][0]["type"] = "IC11G"
    two = take(tmp_path / "2", corrected, one, delivery_id="two")
    history = duckdb.sql(history_query(two.validated, "contracten")).pl()
    assert sorted(history.select("contract_id", "type", "known_from", "known_until").rows(), key=repr) == [
        ("C1", "IC11G", "two", None),
        ("C1", history.filter(known_from="one", contract_id="C1")["type"][0], "one", "two"),
        ("C2", history.filter(contract_id="C2")["type"][0], "one", "two"),
        ("C3", history.filter(contract_id="C3")["type"][0], "two", None),
    ]


def test_what_comes_again_unchanged_is_not_kept_again(tmp_path: Path) -> None:
    tables = combined(*(minimal_registry(n) for n in range(1, 6)))
    one = take(tmp_path / "1", tables, delivery_id="one")
    two = take(tmp_path / "2", tables, one, delivery_id="two")
    assert [path for path in (tmp_path / "2" / "validated").rglob("*") if path.is_file()] == []
    again = [changed(row, verwijderd=None) for row in tables["contracten"]]
    again[0]["type"] = "IC11G"
    three = take(tmp_path / "3", {"contracten": again}, two, delivery_id="three", kind="delta")
    kept = [path for path in (tmp_path / "3" / "validated").rglob("*") if path.is_file()]
    assert len(kept) == 2
    changes = changes_of(tmp_path / "3" / "validated", "contracten")
    assert (changes.n_versions, changes.n_ended) == (1, 1)
    assert three.state("contracten").filter(contract_id="C1")["type"].to_list() == ["IC11G"]


def test_a_row_that_comes_back_is_known_again(tmp_path: Path) -> None:
    tables = combined(minimal_registry(1), minimal_registry(2))
    one = take(tmp_path / "1", tables, delivery_id="one")
    two = take(tmp_path / "2", minimal_registry(1), one, delivery_id="two")
    three = take(tmp_path / "3", tables, two, delivery_id="three")
    for extract in COLUMNS:
        known, first = three.state(extract), one.state(extract)
        assert _sorted(known.drop("delivered_in")) == _sorted(first.drop("delivered_in"))
        assert sorted(known["delivered_in"]) == ["one", "three"]


def test_a_delta_does_not_read_numbers_it_does_not_name(tmp_path: Path) -> None:
    """The parents of its rows are looked up; a person it does not name cannot make one of them valid."""
    one = take(tmp_path / "1", minimal_registry(1), delivery_id="one")
    contract = changed(minimal_registry(1)["contracten"][0], contract_id="C9", verwijderd=None)
    rows = [contract, changed(contract, contract_id="C10", insz=insz(901))]
    two = take(tmp_path / "2", {"contracten": rows}, one, delivery_id="two", kind="delta")
    assert two.codes == {"contracten": {2: {"parent_missing"}}}
    assert sorted(two.state("contracten")["contract_id"]) == ["C1", "C9"]


def _sorted(rows: pl.DataFrame) -> list[str]:
    return sorted(map(repr, rows.rows()))
