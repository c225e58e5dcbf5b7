"""Whoever was erased stays away: under a number told later, written otherwise, restored, or left behind by a kill.

State, quarantine and archive only, without a warehouse: what is made of these is built from them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orchestration.erasing import Erasure, erase, erase_again, purge
from orchestration.intake import take_waiting
from orchestration.ledger import Ledger
from orchestration.pseudonyms import load_key
from orchestration.retaking import rebuild, withdraw
from orchestration.settings import Settings
from tests.deliveries import Tables, combined, insz, minimal_registry, write_delivery
from tests.erasing.conftest import PARENTS, without
from tests.night.nights import rows_under
from tests.night.test_privacy import unpacked

FULL, LATER, LAST = ("2016-03-31T22:00:00+02:00", "2016-06-30T22:00:00+02:00", "2016-09-30T22:00:00+02:00")
NEW, OTHER = insz(77_001), insz(77_002)
Row = dict[str, Any]


def number_of(n: int) -> str:
    """The number that the n-th person of ``minimal_registry`` has, after the one it replaced."""
    return insz(2 * n)


def replaced(old: str, new: str, day: str = "2016-02-01", **more: str) -> Tables:
    return {"insz_wijzigingen": [{"oude_insz": old, "nieuwe_insz": new, "datum": day, **more}]}


def under(registry: Tables, old: str, new: str) -> Tables:
    """The registry with every row of one number under another."""
    return {
        name: [{c: new if v == old else v for c, v in row.items()} for row in rows] for name, rows in registry.items()
    }


class Zones:
    """A data folder in which deliveries are taken, without a warehouse."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(
            landing=directory / "landing", data=directory / "data", max_quarantine_rate=1, max_volume_drop=1
        )
        self.settings.landing.mkdir(parents=True)
        self.said: list[str] = []

    def take(self, delivery_id: str, at: str, tables: Tables, kind: str = "full", format: str = "csv") -> None:
        write_delivery(self.settings.landing, delivery_id, at, tables, kind, format=format)
        self.take_all()

    def take_all(self) -> None:
        for outcome in take_waiting(self.settings, report=self.said.append):
            assert outcome.result != "refused" or outcome.code == "withdrawn", outcome.detail

    def erase(self, number: str) -> Erasure:
        return erase(self.settings, number, "", self.said.append)

    def erase_again(self) -> Erasure:
        return erase_again(self.settings, self.said.append)

    def purge(self, before: str) -> Erasure:
        return purge(self.settings, date.fromisoformat(before), "", self.said.append)

    def left_out(self, delivery_id: str) -> Mapping[str, int]:
        entry = Ledger(self.settings.ledger).of(delivery_id)
        assert entry
        for account in entry.reconciliation:
            assert account.n_delivered == account.n_accepted + account.n_quarantined + account.n_duplicates
        return entry.left_out

    def traces(self, *numbers: str) -> set[str]:
        """Files below the data folder that hold a number or its pseudonym, packed or not."""
        pseudonyms = load_key(self.settings, synthetic=True).pseudonyms(pl.Series(numbers))
        wanted = [text.encode() for text in [*numbers, *pseudonyms]]
        return {
            str(path.relative_to(self.settings.data))
            for path in self.settings.data.rglob("*")
            if path.is_file()
            for _, content in unpacked(path)
            if any(text in content for text in wanted)
        }

    def state(self) -> Mapping[str, list[str]]:
        return dict(rows_under(self.settings.validated)) | dict(rows_under(self.settings.quarantine))


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    return Zones(tmp_path / "zones")


@pytest.fixture
def registry() -> Tables:
    return combined(*(minimal_registry(n) for n in range(1, 5)))


@pytest.mark.parametrize("format", ["csv", pytest.param("parquet", marks=pytest.mark.slow)])
def test_a_number_that_replaces_theirs_is_theirs(zones: Zones, registry: Tables, format: str) -> None:
    erased = number_of(1)
    zones.take("d1", FULL, registry, format=format)
    zones.erase(erased)
    # By a chain of two, and everything they had comes under the last number.
    chain = combined(under(registry, erased, OTHER), replaced(erased, NEW), replaced(NEW, OTHER))
    zones.take("d2", LATER, chain, format=format)
    assert zones.traces(erased, NEW, OTHER) == set()
    assert zones.left_out("d2")["contracten"] == 1 and zones.left_out("d2")["insz_wijzigingen"] == 3
    assert any("2 more numbers" in said for said in zones.said)
    # It is remembered, where nothing tells it again.
    zones.take("d3", LAST, {"personen": [{"insz": NEW}]}, "delta")
    assert zones.traces(NEW) == set() and zones.left_out("d3") == {"personen": 1}


def test_what_was_taken_under_a_number_told_later_is_erased_with_the_rest(zones: Zones, registry: Tables) -> None:
    erased, other = number_of(1), number_of(2)
    zones.take("d1", FULL, registry)
    zones.erase(erased)
    # Two steps away: by a replacement known before (of the second person), and one that comes now.
    zones.take("d2", LATER, replaced(erased, insz(5)), "delta")
    assert "landing/d1/contracten.left.parquet" in zones.traces(other)
    found = zones.erase_again()
    assert (found.n_persons, found.deliveries) == (2, ("d1",))
    assert zones.traces(erased, other, insz(5)) == set()
    assert zones.traces(number_of(3))
    assert zones.erase_again() == Erasure(0, (), 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        replaced(number_of(1), NEW, verwijderd="true"),
        replaced(number_of(1), NEW, day="2016-02-31"),
        replaced(number_of(1), NEW[:-1] + str((int(NEW[-1]) + 1) % 10)),
        combined(replaced(number_of(1), NEW), replaced(number_of(1), OTHER)),
    ],
    ids=["deleted", "undated", "no number", "two at once"],
)
def test_a_replacement_that_does_not_hold_joins_nobody(zones: Zones, registry: Tables, change: Tables) -> None:
    zones.take("d1", FULL, registry)
    zones.erase(number_of(1))
    new = change["insz_wijzigingen"][0]["nieuwe_insz"]
    zones.take("d2", LATER, combined(change, {"personen": [{"insz": new}]}) if new == NEW else change, "delta")
    zones.take("d3", LAST, {"personen": [{"insz": new}]}, "delta")
    assert zones.left_out("d3") == {} and zones.traces(new)


def test_a_broken_number_is_theirs_too(zones: Zones, registry: Tables) -> None:
    number = next(n for y in range(1, 9) for s in range(1, 99) if (n := _born_after_2000(y, s)).startswith("0"))
    written = [number, number.lstrip("0"), f"{number[:6]}-{number[6:9]}.{number[9:]}"]
    zones.take("d1", FULL, combined(registry, {"personen": [{"insz": text} for text in written]}))
    assert zones.traces(*written)
    zones.erase(number)
    assert zones.left_out("d1") == {"personen": 3} and zones.traces(*written) == set()


def _born_after_2000(year: int, serial: int) -> str:
    nine = f"{year:02d}6512{serial:03d}"
    return f"{nine}{97 - int('2' + nine) % 97:02d}"


def test_what_a_killed_night_left_is_erased_too(zones: Zones, registry: Tables) -> None:
    zones.take("d1", FULL, registry)
    left = zones.settings.archive / "d2"
    shutil.copytree(write_delivery(zones.settings.data.parent, "d2", LATER, registry), left)
    assert any(place.startswith("landing/d2") for place in zones.traces(number_of(1)))
    zones.erase(number_of(1))
    assert zones.traces(number_of(1)) == set() and zones.traces(number_of(2))


def test_an_older_backup_is_erased_again(zones: Zones, registry: Tables, tmp_path: Path) -> None:
    zones.take("d1", FULL, registry)
    data, backup = zones.settings.data, tmp_path / "backup"
    shutil.copytree(data, backup)
    zones.erase(number_of(1))
    state = zones.state()
    shutil.copy2(zones.settings.tombstones, backup)
    shutil.move(data, tmp_path / "lost")
    shutil.move(backup, data)
    rebuild(zones.settings, zones.said.append)
    assert zones.traces(number_of(1))
    assert zones.erase_again().n_persons == 2
    assert zones.traces(number_of(1)) == set() and zones.state() == state
    (record,) = [r for r in map(json.loads, (data / "records.jsonl").read_text().splitlines()) if r["act"] == "erase"]
    assert (record["persons"], record["deliveries"]) == (2, ["d1"])


@pytest.mark.slow
def test_a_withdrawn_delivery_taken_again_keeps_them_away(zones: Zones, registry: Tables) -> None:
    zones.take("d1", FULL, registry)
    zones.take("d2", LATER, registry)
    zones.erase(number_of(1))
    withdraw(zones.settings, "d2", "wrong", zones.said.append)
    zones.take("d3", LAST, registry)
    assert zones.left_out("d3")["personen"] == 1 and zones.traces(number_of(1)) == set()


def test_who_has_only_just_come_is_not_purged(zones: Zones, registry: Tables) -> None:
    zones.take("d1", FULL, registry)
    zones.take("d2", LATER, {"personen": [{"insz": NEW, "geboortedatum": "1980-05-17"}]}, "delta")
    assert zones.purge("2010-01-01").n_persons == 0
    # Longer ago than the last thing that is dated, and than the day on which this one came.
    assert zones.purge("2016-06-30").n_persons == 4
    assert zones.traces(NEW) and not zones.traces(*map(number_of, range(1, 5)))
    assert zones.purge("2016-07-01").n_persons == 1


def test_a_row_held_back_keeps_who_it_names(zones: Zones, registry: Tables) -> None:
    """By its own number, or by the contract that it names."""
    addendum = {"addendum_id": "A-bad", "contract_id": "C1", "datum_registratie": "2016-01-15", "type": "unknown"}
    test = {"test_id": "X-bad", "insz": number_of(2), "type": "unknown", "datum": "2016-01-15"}
    zones.take("d1", FULL, combined(registry, {"addenda": [addendum], "afgelegde_testen": [test]}))
    assert zones.purge("2016-01-15").n_persons == 2
    assert zones.traces(number_of(1)) and zones.traces(number_of(2))
    assert not zones.traces(number_of(3), number_of(4))


def test_a_purged_person_comes_back_whole(zones: Zones, registry: Tables) -> None:
    """With rows under every number, and with what was known of their identifiers."""
    person, before = number_of(1), insz(3)
    old = {
        "personen": [{"insz": before}],
        "contracten": [{**registry["contracten"][0], "contract_id": "C0", "insz": before}],
    }
    registry = combined(registry, old)
    zones.take("d1", FULL, registry)
    assert zones.purge("2016-01-01").n_persons == 4
    zones.take(
        "d2", LATER, combined(registry, {"wachtlijst": [{"insz": person, "onderdeel": "NT2", "datum": "2016-05-01"}]})
    )
    left_out = zones.left_out("d2")
    assert (left_out["personen"], left_out["contracten"], left_out["insz_wijzigingen"]) == (3, 3, 3)
    deleted = {"contracten": [{"contract_id": "C0", "verwijderd": "true"}]}
    zones.take("d3", LAST, deleted, "delta")
    assert zones.left_out("d3") == {}


@pytest.mark.slow
def test_a_purged_number_of_somebody_who_is_there_comes_back(zones: Zones, registry: Tables) -> None:
    zones.take("d1", FULL, registry)
    zones.purge("2016-01-01")
    zones.take(
        "d2", LATER, combined(registry, replaced(number_of(1), NEW, "2015-01-01"), {"personen": [{"insz": NEW}]})
    )
    assert zones.traces(number_of(1)) and zones.traces(NEW) and not zones.traces(number_of(2))


@pytest.mark.slow
def test_erased_goes_before_purged(zones: Zones, registry: Tables) -> None:
    zones.take("d1", FULL, registry)
    zones.purge("2016-01-01")
    zones.erase(number_of(1))
    again = combined(
        registry, *({"wachtlijst": [{"insz": number_of(n), "onderdeel": "NT2", "datum": "2016-05-01"}]} for n in (1, 2))
    )
    zones.take("d2", LATER, again)
    assert not zones.traces(number_of(1)) and zones.traces(number_of(2))


@st.composite
def stories(draw: st.DrawFn) -> tuple[Tables, Tables, str, list[str], int]:
    """Two deliveries of persons under up to three numbers each; kind of the second; numbers of one, which to erase."""
    first: list[Tables] = []
    second: list[Tables] = []
    kind = draw(st.sampled_from(["full", "delta"]))
    everybody = [[insz(1_000 * n + k) for k in range(draw(st.integers(1, 3)))] for n in range(1, 4)]
    for numbers in everybody:
        for number in numbers:
            mine = _rows(number, draw)
            is_known = draw(st.booleans())
            if is_known:
                first.append(mine)
            if kind == "full" or not is_known:
                second.append(mine)
            elif draw(st.booleans()):
                # Of what is known, some again: what hangs on a contract or track also without that.
                second.append({extract: rows for extract, rows in mine.items() if draw(st.booleans())})
            else:
                ids = [row["contract_id"] for row in mine["contracten"]]
                second.append({"contracten": [{"contract_id": id, "verwijderd": "true"} for id in ids]})
        for old, new in pairwise(numbers):
            if draw(st.booleans()):
                first.append(replaced(old, new))
            if kind == "full" or not draw(st.booleans()):
                second.append(replaced(old, new))
    erased = draw(st.sampled_from(everybody))
    return combined(*first), combined(*second), kind, erased, draw(st.integers(0, len(erased) - 1))


def _rows(number: str, draw: st.DrawFn) -> Tables:
    """Some of the rows of a minimal registry, for one number, which stands in their identifiers too.

    What names a contract or track that is nowhere is nobody's, so there is none.
    """
    tables: dict[str, Sequence[Row]] = {"contracten": []}
    for extract, (row,) in minimal_registry().items():
        has_parent = extract not in PARENTS or tables.get(PARENTS[extract][0])
        if extract != "insz_wijzigingen" and has_parent and draw(st.booleans()):
            ids = {column: value[0] + number for column, value in row.items() if column.endswith("_id")}
            tables[extract] = [{**row, **ids, **({"insz": number} if "insz" in row else {})}]
    return tables


def told(first: Tables, second: Tables, number: str) -> set[str]:
    """Every number that is this person's by the replacements of both deliveries."""
    links = [(r["oude_insz"], r["nieuwe_insz"]) for t in (first, second) for r in t["insz_wijzigingen"]]
    numbers: set[str] = {number}
    while more := {n for link in links if numbers & {*link} for n in link} - numbers:
        numbers |= more
    return numbers


def never_there(zones: Zones, out: Path, numbers: Collection[str]) -> Mapping[str, list[str]]:
    """State and quarantine of a machine that never heard of these numbers."""
    never = Zones(out / "never")
    shutil.copy2(zones.settings.data / "pseudonym.key", never.settings.data.parent)
    never.settings.data.mkdir()
    shutil.move(never.settings.data.parent / "pseudonym.key", never.settings.data)
    deliveries = sorted(zones.settings.landing.iterdir())
    without(deliveries, out / "without", numbers)
    for delivery in deliveries:
        shutil.copytree(out / "without" / delivery.name, never.settings.landing / delivery.name)
    never.take_all()
    return never.state()


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_as_if_never_there_whenever_erased(story: tuple[Tables, Tables, str, list[str], int]) -> None:
    first, second, kind, erased, which = story
    with TemporaryDirectory() as directory:
        zones = Zones(Path(directory) / "zones")
        zones.take("d1", FULL, first)
        found = zones.erase(erased[which])
        zones.take("d2", LATER, second, kind)
        event(f"{kind}, in the first: {found.n_persons}, left out of the second: {bool(zones.left_out('d2'))}")
        event(f"erased again: {bool(zones.erase_again().deliveries)}")
        numbers = told(first, second, erased[which])
        assert zones.traces(*numbers) == set()
        assert zones.state() == never_there(zones, Path(directory), numbers)
