"""The verdict on whole deliveries: rows that depend on each other, what is held, and that no row is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from orchestration.history import ROW_NUMBER, state_query
from orchestration.manifest import Manifest, Refusal
from orchestration.pseudonyms import Key
from orchestration.validation import DeliveredRows, Limits, Verdict, validate
from tests.deliveries import COLUMNS, combined, insz, minimal_registry
from tests.validation.contract_model import BAD_DATE, BAD_NUMBER, KEYS, NUMBERS, REVERSED, Registry, Row

KEY = Key(b"k" * 32)
TOLERANT = Limits(max_quarantine_rate=1.0, max_volume_drop=1.0)
Tables = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass
class Taken:
    """What validation made of one delivery."""

    verdict: Verdict
    directory: Path
    before: tuple[Path, ...] = ()

    @property
    def validated(self) -> tuple[Path, ...]:
        """Directories of this delivery and those before it."""
        return (*self.before, self.directory / "validated")

    def state(self, extract: str) -> pl.DataFrame:
        return duckdb.sql(state_query(self.validated, extract)).pl().drop(ROW_NUMBER)

    def quarantined(self, extract: str) -> dict[int, set[str]]:
        path = self.directory / "quarantine" / f"{extract}.parquet"
        if not path.exists():
            return {}
        rows = pl.read_parquet(path)
        return {line: set(codes) for line, codes in rows.select("line_number", "rule_codes").iter_rows()}

    def released(self, extract: str) -> set[tuple[str, int]]:
        path = self.directory / "quarantine" / "released" / f"{extract}.parquet"
        return set(pl.read_parquet(path).select("delivery_id", "line_number").iter_rows()) if path.exists() else set()

    @property
    def codes(self) -> dict[str, dict[int, set[str]]]:
        return {extract: found for extract in COLUMNS if (found := self.quarantined(extract))}


def take(
    directory: Path,
    tables: Tables,
    known: Taken | None = None,
    limits: Limits = TOLERANT,
    delivery_id: str = "d",
    kind: str = "full",
) -> Taken:
    """Validate tables as reading hands them over: text, white space gone, line numbers."""
    texts, counts = {}, {}
    (directory / "text").mkdir(parents=True)
    for extract in COLUMNS if kind == "full" else tables:
        columns = [*COLUMNS[extract], *(["verwijderd"] if kind == "delta" else [])]
        rows = tables.get(extract, ())
        frame = pl.DataFrame(
            [[row.get(column) or None for column in columns] for row in rows],
            schema=dict.fromkeys(columns, pl.String),
            orient="row",
        )
        if "einde" in columns:
            frame = frame.with_columns(pl.col("einde").replace("9999-12-31", None))
        texts[extract], counts[extract] = directory / "text" / f"{extract}.parquet", len(rows)
        frame.insert_column(0, pl.Series("line_number", range(1, len(rows) + 1), dtype=pl.Int64))
        frame.write_parquet(texts[extract])
    verdict = validate(
        Manifest(delivery_id, datetime(2017, 6, 30, 21, tzinfo=UTC), kind, True),
        DeliveredRows(texts, counts),
        known.validated if known else (),
        known.directory / "quarantine" if known else None,
        KEY.pseudonyms,
        limits,
        validated=directory / "validated",
        quarantine=directory / "quarantine",
        spill=directory / "spill",
        memory_limit="200MB",
    )
    return Taken(verdict, directory, known.validated if known else ())


def changed(row: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {**row, **fields}


def test_a_registry_that_breaks_no_rule_is_accepted_whole(tmp_path: Path) -> None:
    taken = take(tmp_path, combined(*(minimal_registry(n) for n in range(1, 4))))
    assert taken.codes == {}
    for account in taken.verdict.accounts:
        assert (account.n_delivered, account.n_accepted, account.n_quarantined, account.n_duplicates) == (3, 3, 0, 0)
        state = taken.state(account.extract)
        assert state.height == 3
        assert dict(state.schema) == schemas.validated_schema(schemas.EXTRACTS[account.extract])
        assert set(state["delivered_in"]) == {"d"}


def test_no_person_number_leaves_for_the_validated_zone(tmp_path: Path) -> None:
    tables = combined(*(minimal_registry(n) for n in range(1, 4)))
    take(tmp_path, tables)
    numbers = {insz(n).encode() for n in range(2, 8)}
    found = [path for path in (tmp_path / "validated").iterdir() if any(n in path.read_bytes() for n in numbers)]
    decoded = [
        path.name
        for path in (tmp_path / "validated").iterdir()
        if any(n.decode() in pl.read_parquet(path).write_csv() for n in numbers)
    ]
    assert found == [] and decoded == []


def test_equal_rows_are_one_row_and_contradicting_rows_are_none(tmp_path: Path) -> None:
    tables = minimal_registry()
    contract = tables["contracten"][0]
    tables["contracten"] = [
        contract,
        changed(contract),
        changed(contract, contract_id="C2"),
        changed(contract, contract_id="C2", type="IC11G"),
        changed(contract, contract_id="C2", type="IC11G"),
        changed(contract, contract_id=None),
        changed(contract, contract_id=None),
        changed(contract, contract_id=None, type="IC11G"),
    ]
    taken = take(tmp_path, tables)
    assert taken.codes == {
        "contracten": {
            3: {"key_conflict"},
            4: {"key_conflict"},
            6: {"required_missing"},
            8: {"required_missing"},
        }
    }
    (account,) = [a for a in taken.verdict.accounts if a.extract == "contracten"]
    assert (account.n_delivered, account.n_accepted, account.n_quarantined, account.n_duplicates) == (8, 1, 4, 3)


def test_rows_that_break_other_rules_still_contradict_each_other(tmp_path: Path) -> None:
    tables = minimal_registry()
    contract = tables["contracten"][0]
    tables["contracten"] = [contract, changed(contract, datum_registratie=BAD_DATE)]
    taken = take(tmp_path, {**tables})
    assert taken.codes["contracten"] == {1: {"key_conflict"}, 2: {"key_conflict", "type_invalid"}}
    assert taken.codes["addenda"] == {1: {"parent_quarantined"}}


@pytest.mark.parametrize("extract", [name for name, e in schemas.EXTRACTS.items() if e.parents])
def test_each_reference_needs_its_parent(tmp_path: Path, extract: str) -> None:
    for parent in schemas.EXTRACTS[extract].parents:
        missing = {"personen": insz(901), "contracten": "nowhere", "trajecten": "nowhere"}[parent.extract]
        tables = minimal_registry()
        tables[extract] = [changed(row, **{parent.column: missing}) for row in tables[extract]]
        taken = take(tmp_path / parent.extract / "missing", tables)
        assert taken.quarantined(extract) == {1: {"parent_missing"}}

        tables = minimal_registry()
        own_key = schemas.EXTRACTS[parent.extract].key[0]
        tables[parent.extract] = [
            *tables[parent.extract],
            changed(tables[parent.extract][0], **{own_key: missing, _some_date(parent.extract): BAD_DATE}),
        ]
        tables[extract] = [changed(row, **{parent.column: missing}) for row in tables[extract]]
        taken = take(tmp_path / parent.extract / "quarantined", tables)
        assert taken.quarantined(extract) == {1: {"parent_quarantined"}}


def _some_date(extract: str) -> str:
    return next(c.name for c in schemas.EXTRACTS[extract].columns if c.kind == "date")


def test_persons_are_found_through_number_changes_on_both_sides(tmp_path: Path) -> None:
    old, middle, now = insz(11), insz(12), insz(13)
    tables = minimal_registry()
    tables["personen"].append(changed(tables["personen"][0], insz=middle))
    tables["insz_wijzigingen"] += [
        {"oude_insz": old, "nieuwe_insz": middle, "datum": "2015-01-01"},
        {"oude_insz": middle, "nieuwe_insz": now, "datum": "2015-02-01"},
    ]
    contract = tables["contracten"][0]
    tables["contracten"] += [changed(contract, contract_id=f"C-{number}", insz=number) for number in (old, middle, now)]
    assert take(tmp_path / "present", tables).codes == {}

    tables["personen"][-1]["geboortedatum"] = BAD_DATE
    codes = take(tmp_path / "quarantined", tables).codes
    assert codes["contracten"] == {line: {"parent_quarantined"} for line in (2, 3, 4)}


def test_a_row_with_two_missing_parents_breaks_the_rule_once(tmp_path: Path) -> None:
    tables = minimal_registry()
    tables["trajecten"] = [changed(tables["trajecten"][0], insz=insz(901), contract_id="nowhere")]
    assert take(tmp_path, tables).codes["trajecten"] == {1: {"parent_missing"}}


@pytest.mark.parametrize("reference", [None, ""])
def test_an_empty_reference_has_no_parent_to_judge(tmp_path: Path, reference: str | None) -> None:
    tables = minimal_registry()
    tables["trajecten"] = [changed(tables["trajecten"][0], contract_id=reference)]
    assert take(tmp_path, tables).codes == {}


def test_a_quarantined_row_leaves_the_row_known_before(tmp_path: Path) -> None:
    tables = combined(minimal_registry(1), minimal_registry(2))
    first = take(tmp_path / "1", tables, delivery_id="one")
    again = combined(minimal_registry(1), minimal_registry(2))
    again["contracten"][0]["datum_registratie"] = BAD_DATE
    again["contracten"][1]["type"] = "IC11G"
    second = take(tmp_path / "2", again, first, delivery_id="two")
    # The held contract is a parent like any other: its children are accepted.
    assert second.codes == {"contracten": {1: {"type_invalid"}}}
    state = {row["contract_id"]: row for row in second.state("contracten").to_dicts()}
    assert state["C1"]["delivered_in"] == "one" and state["C1"]["datum_registratie"].isoformat() == "2014-03-01"
    assert state["C2"]["delivered_in"] == "two" and state["C2"]["type"] == "IC11G"

    repaired = take(tmp_path / "3", tables, second, delivery_id="three")
    state = {row["contract_id"]: row for row in repaired.state("contracten").to_dicts()}
    assert repaired.codes == {} and (state["C1"]["delivered_in"], state["C2"]["delivered_in"]) == ("one", "three")


def test_what_a_full_delivery_does_not_hold_is_deleted(tmp_path: Path) -> None:
    first = take(tmp_path / "1", combined(minimal_registry(1), minimal_registry(2)))
    second = take(tmp_path / "2", minimal_registry(1), first)
    assert [second.state(extract).height for extract in COLUMNS] == [1] * len(COLUMNS)


def test_a_key_that_cannot_be_read_holds_nothing(tmp_path: Path) -> None:
    first = take(tmp_path / "1", minimal_registry())
    again = minimal_registry()
    again["doelgroepen"][0]["begin"] = BAD_DATE
    second = take(tmp_path / "2", again, first)
    assert second.codes == {"doelgroepen": {1: {"type_invalid"}}} and second.state("doelgroepen").height == 0


def test_a_cycle_through_a_held_row_is_found(tmp_path: Path) -> None:
    a, b, c = (insz(n) for n in (21, 22, 23))
    known = minimal_registry()
    known["insz_wijzigingen"] = [{"oude_insz": a, "nieuwe_insz": b, "datum": "2015-01-01"}]
    first = take(tmp_path / "1", known)
    again = minimal_registry()
    again["insz_wijzigingen"] = [
        {"oude_insz": a, "nieuwe_insz": c, "datum": "2015-01-01"},
        {"oude_insz": c, "nieuwe_insz": a, "datum": "2015-01-01"},
        {"oude_insz": b, "nieuwe_insz": a, "datum": "2015-01-01"},
    ]
    second = take(tmp_path / "2", again, first)
    # The first two go round; so a → b holds, and the third goes round with it.
    assert second.quarantined("insz_wijzigingen") == {line: {"alias_cycle"} for line in (1, 2, 3)}
    assert second.state("insz_wijzigingen").height == 1


def test_the_original_fields_are_kept(tmp_path: Path) -> None:
    tables = minimal_registry()
    tables["inbreuken"][0]["boete_bedrag"] = "veel"
    take(tmp_path, tables)
    (row,) = pl.read_parquet(tmp_path / "quarantine" / "inbreuken.parquet").to_dicts()
    assert json.loads(row["row"]) == {column: tables["inbreuken"][0].get(column) for column in COLUMNS["inbreuken"]}
    assert row["delivery_id"] == "d" and row["extract"] == "inbreuken"


def _registry_of(n: int, broken: int) -> dict[str, list[dict[str, Any]]]:
    tables = combined(*(minimal_registry(k) for k in range(1, n + 1)))
    for row in tables["wachtlijst"][:broken]:
        row["datum"] = BAD_DATE
    return tables


@pytest.mark.parametrize(("n", "broken"), [(400, 20), (380, 19), (30, 19)])
def test_a_tolerable_share_of_bad_rows_is_taken(tmp_path: Path, n: int, broken: int) -> None:
    taken = take(tmp_path, _registry_of(n, broken), limits=Limits(0.05, 0.2))
    assert len(taken.quarantined("wachtlijst")) == broken


@pytest.mark.parametrize(("n", "broken"), [(399, 20), (20, 20)])
def test_too_many_bad_rows_refuse_the_delivery(tmp_path: Path, n: int, broken: int) -> None:
    with pytest.raises(Refusal) as refused:
        take(tmp_path, _registry_of(n, broken), limits=Limits(0.05, 0.2))
    assert refused.value.code == "quarantine_rate_exceeded"
    assert refused.value.rule_counts == {("wachtlijst", "type_invalid"): broken}
    assert BAD_DATE not in str(refused.value)


@pytest.mark.parametrize(("before", "after"), [(100, 80), (99, 80), (30, 11)])
def test_a_tolerable_drop_is_taken(tmp_path: Path, before: int, after: int) -> None:
    first = take(tmp_path / "1", _registry_of(before, 0))
    second = take(tmp_path / "2", _registry_of(after, 0), first, limits=Limits(0.05, 0.2))
    assert second.state("contracten").height == after


@pytest.mark.parametrize(("before", "after"), [(101, 80), (30, 10)])
def test_a_large_drop_refuses_the_delivery_unless_accepted(tmp_path: Path, before: int, after: int) -> None:
    first = take(tmp_path / "1", _registry_of(before, 0))
    with pytest.raises(Refusal) as refused:
        take(tmp_path / "2", _registry_of(after, 0), first, limits=Limits(0.05, 0.2))
    assert refused.value.code == "volume_dropped"
    accepted = take(tmp_path / "3", _registry_of(after, 0), first, limits=Limits(0.05, 0.2, {"d"}))
    assert accepted.state("contracten").height == after


# -- any mixture of violations, against the model -------------------------------------------------------------------

_number = st.sampled_from([*NUMBERS, *NUMBERS, BAD_NUMBER, None])
_day = st.sampled_from(["2016-01-01", "2016-03-01", "2016-03-01", BAD_DATE])
_period = st.sampled_from([("2016-03-01", None), ("2016-01-01", None), REVERSED])


def _ids(prefix: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([f"{prefix}1", f"{prefix}2", f"{prefix}3", f"{prefix}4", None])


def _rows(strategy: st.SearchStrategy[Row]) -> st.SearchStrategy[list[Row]]:
    return st.lists(strategy, max_size=6)


def _with_period(fields: dict[str, st.SearchStrategy[str | None]]) -> st.SearchStrategy[Row]:
    return st.builds(
        lambda row, period: {**row, "begin": period[0], "einde": period[1]}, st.fixed_dictionaries(fields), _period
    )


_extracts: dict[str, st.SearchStrategy[Row]] = {
    "personen": st.fixed_dictionaries({"insz": _number, "geboortedatum": _day}),
    "insz_wijzigingen": st.fixed_dictionaries(
        {"oude_insz": _number, "nieuwe_insz": _number, "datum": st.just("2016-01-01")}
    ),
    "doelgroepen": _with_period({"insz": _number, "code": st.sampled_from(["JA", "NEE", None])}),
    "contracten": st.fixed_dictionaries({"contract_id": _ids("c"), "insz": _number, "datum_registratie": _day}),
    "trajecten": _with_period(
        {"traject_id": _ids("t"), "insz": _number, "contract_id": _ids("c"), "type": st.just("TT_IBVP")}
    ),
    "trajectonderdelen": _with_period(
        {"onderdeel_id": _ids("o"), "traject_id": _ids("t"), "type": st.just("TO_OB_MO")}
    ),
}
FULL = st.fixed_dictionaries({extract: _rows(row) for extract, row in _extracts.items()})
_marks = st.sampled_from([None, None, None, None, "true", "misschien"])
DELTA = st.fixed_dictionaries(
    {},
    optional={
        extract: _rows(st.builds(lambda row, mark: {**row, "verwijderd": mark}, row, _marks))
        for extract, row in _extracts.items()
    },
)
_delivery = st.one_of(st.tuples(st.just("full"), FULL), st.tuples(st.just("delta"), DELTA))
_history = st.builds(lambda first, rest: [("full", first), *rest], FULL, st.lists(_delivery, max_size=3))
History = list[tuple[str, dict[str, list[Row]]]]


def _agrees_with_the_model(directory: Path, deliveries: History) -> None:
    model, known = Registry(), None
    for n, (kind, tables) in enumerate(deliveries):
        expected = model.take(f"d{n}", tables, kind)
        known = take(directory / str(n), tables, known, delivery_id=f"d{n}", kind=kind)
        accounts = {account.extract: account for account in known.verdict.accounts}
        for extract in KEYS:
            assert known.quarantined(extract) == expected.codes[extract], extract
            assert known.released(extract) == expected.released[extract], extract
            assert keys_of(known.state(extract), extract) == model_keys(model, extract)
        for extract in KEYS if kind == "full" else tables:
            account = accounts[extract]
            assert account.n_duplicates == len(expected.duplicates[extract])
            assert account.n_delivered == len(tables[extract])
            assert account.n_delivered == account.n_accepted + account.n_quarantined + account.n_duplicates


QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=15, **QUIET)
@given(deliveries=_history)
def test_any_mixture_gives_exactly_the_expected_rows_and_codes(
    tmp_path_factory: pytest.TempPathFactory, deliveries: History
) -> None:
    _agrees_with_the_model(tmp_path_factory.mktemp("deliveries"), deliveries)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=1000, **QUIET)
@given(deliveries=_history)
def test_many_mixtures_give_exactly_the_expected_rows_and_codes(
    tmp_path_factory: pytest.TempPathFactory, deliveries: History
) -> None:
    _agrees_with_the_model(tmp_path_factory.mktemp("deliveries"), deliveries)


def keys_of(state: pl.DataFrame, extract: str) -> list[tuple[str, ...]]:
    columns = [schemas.PSEUDONYM_COLUMNS.get(column, column) for column in KEYS[extract]]
    return sorted(tuple(str(value) for value in row) for row in state.select(columns).iter_rows())


def model_keys(model: Registry, extract: str) -> list[tuple[str, ...]]:
    names = {number: KEY.pseudonyms(pl.Series([number]))[0] for number in NUMBERS}
    return sorted(tuple(names.get(value, str(value)) for value in key) for key in model.state[extract])
