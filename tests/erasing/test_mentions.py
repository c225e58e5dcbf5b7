"""An erased person's number in something about somebody else: that stays, and the number goes.

State, quarantine and archive only, as in ``test_later.py``.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.erasing import Erasure
from orchestration.mentions import mentions_query, numbers_in_bytes, replaced_query, with_replaced
from orchestration.quarantine import quarantine_query
from tests.deliveries import Tables, insz
from tests.erasing.test_later import FULL, LAST, LATER, Zones, number_of, registry, zones
from tests.night.dossier_deliveries import write_dossiers
from tests.night.test_privacy import full_dossier_of

__all__ = ["registry", "zones"]
ERASED, OTHER = number_of(1), number_of(2)
DOTTED = f"{ERASED[:2]}.{ERASED[2:4]}.{ERASED[4:6]}-{ERASED[6:9]}.{ERASED[9:]}"
STAND_IN = re.compile("[0-9a-f]{32}")


def mentioning(registry: Tables, erased: str = ERASED) -> Tables:
    """The registry, in which rows about the second person and nobody else name another."""
    tables = {name: [dict(row) for row in rows] for name, rows in registry.items()}
    tables["opschortingen"][1]["reden"] = f"samen met {erased} en {DOTTED}"
    tables["trajecten"][1]["besluit_reden"] = f"{erased}{erased}1"
    tables["wachtlijst"][1]["module_code"] = f"M{erased}"
    # And a row that is quarantined.
    tables["attesten"][1]["soort"] = erased
    return tables


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_no_number_is_left_and_nothing_else_is_missing(zones: Zones, registry: Tables, format: str) -> None:
    tables = mentioning(registry)
    tables["personen"] = [row | {"nota": ERASED} for row in tables["personen"]]
    zones.take("d1", FULL, tables, format=format)
    before = zones.state()
    zones.erase(ERASED)
    assert zones.traces(ERASED, DOTTED) == set() and zones.traces(OTHER)
    assert zones.left_out("d1")["personen"] == 1
    # The same rows as where these texts had never been.
    never = Zones(zones.settings.data.parent / "never")
    shutil.copytree(zones.settings.data / "landing" / "d1", never.settings.landing / "d1")
    shutil.copy(zones.settings.data / "pseudonym.key", _folder(never.settings.data))
    never.take_all()
    assert never.state() == zones.state()
    assert {name: len(rows) - 1 for name, rows in before.items() if name.endswith("contracten.parquet")} == {
        name: len(rows) for name, rows in zones.state().items() if name.endswith("contracten.parquet")
    }
    ((quarantined,),) = _rows(zones, "select row->>'soort' from ({}) where extract = 'attesten'")
    assert STAND_IN.fullmatch(quarantined)


def test_what_comes_later_is_treated_alike(zones: Zones, registry: Tables) -> None:
    tables = mentioning(registry)
    zones.take("d1", FULL, tables)
    zones.erase(ERASED)
    taken = zones.state()
    zones.take("d2", LATER, tables)
    assert zones.traces(ERASED, DOTTED) == set()
    # The texts are the same again, so nothing has changed.
    assert [name for name, rows in zones.state().items() if "validated/d2" in name and rows] == []
    assert zones.state().keys() >= taken.keys()
    assert any(said.startswith("d2: opschortingen: 1 texts about others") for said in zones.said)
    zones.take("d3", LAST, {"opschortingen": [{**tables["opschortingen"][1], "reden": DOTTED}]}, "delta")
    assert zones.traces(ERASED, DOTTED) == set() and zones.left_out("d3") == {}


def test_unknown_columns_are_not_kept_where_somebody_is_erased(zones: Zones, registry: Tables) -> None:
    # In a file without a row of theirs.
    zones.take("d1", FULL, registry)
    zones.take("d2", LATER, {"personen": [registry["personen"][2] | {"nota": ERASED}]}, "delta")
    assert zones.traces(ERASED) >= {"landing/d2/personen.csv"}
    # Nothing is held of this person, but who else might be named there?
    assert zones.erase(insz(88_001)) == Erasure(0, ("d2",), 1)
    assert zones.traces(ERASED) == {name for name in zones.traces(ERASED) if "/d1/" in name}
    zones.erase(ERASED)
    assert zones.traces(ERASED) == set() and zones.left_out("d2") == {}
    manifest = json.loads((zones.settings.archive / "d2" / "manifest.json").read_text())
    assert [file["rows"] for file in manifest["files"]] == [1]


def test_of_somebody_who_was_purged_only_while_they_are(zones: Zones, registry: Tables) -> None:
    with_text = [dict(row) for row in registry["opschortingen"]]
    with_text[1]["reden"] = f"samen met {ERASED}"
    zones.take("d1", FULL, {**registry, "opschortingen": with_text})
    # Everybody is purged but the second, about whom something is dated later.
    zones.take("d2", LATER, {"wachtlijst": [registry["wachtlijst"][1] | {"datum": "2016-06-01"}]}, "delta")
    zones.purge("2016-05-01")
    assert zones.traces(OTHER) and zones.traces(ERASED) == set()
    # The first is back, so a text may name them.
    back = {"personen": [registry["personen"][0]], "wachtlijst": [registry["wachtlijst"][0] | {"datum": "2016-08-01"}]}
    zones.take("d3", LAST, {**back, "opschortingen": [with_text[1]]}, "delta")
    assert "landing/d3/opschortingen.csv" in zones.traces(ERASED)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_dossiers_of_others_stay(zones: Zones, packed: bool) -> None:
    erased, named = insz(2 * 3501), insz(2 * 3502)
    files = {f"{insz(2 * n)}.xml": full_dossier_of(n) for n in (3501, 3502, 3503)}
    text = f"<!-- zie {erased} --></".encode()
    files[f"{named}.xml"] = text.join(files[f"{named}.xml"].rsplit(b"</", 1))
    # The copy comes after what it is a copy of, and is as little the erased person's.
    files["copy.xml"] = files[f"{named}.xml"]
    write_dossiers(zones.settings.landing, "dossiers", FULL, files, packed=packed)
    zones.take_all()
    assert zones.traces(erased) and zones.traces(named)
    zones.erase(erased)
    assert zones.traces(erased) == set() and zones.traces(named)
    assert zones.left_out("dossiers") == {"dossiers": 1}
    assert _rows(zones, "select count(*) from ({})") == [(0,)]


@given(st.text("0123456789. -a", max_size=40), st.text("0123456789. -a", max_size=40), st.integers(0, 25))
def test_every_number_is_found_wherever_it_stands(before: str, after: str, n: int) -> None:
    number = insz(n)
    for written in (number, f"{number[:2]}.{number[2:4]}.{number[4:6]}-{number[6:9]}.{number[9:]}"):
        text = f"{before}{written}{after}"
        assert number in numbers_in_bytes(text.encode())
        assert written.encode() not in with_replaced(text.encode(), {number: "x"})
        texts = duckdb.sql("select 1 as line_number, $text as t", params={"text": text})
        found = duckdb.sql(mentions_query("texts", ["t"]))
        assert number in {row[3] for row in found.fetchall()}
        numbers = duckdb.sql("select $number as number, 'x' as stands_for_it", params={"number": number})
        ((_, _, replaced),) = duckdb.sql(replaced_query("from found", "numbers")).fetchall()
        assert texts and numbers and replaced.encode() == with_replaced(text.encode(), {number: "x"})


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _rows(zones: Zones, query: str) -> list[tuple[object, ...]]:
    of = quarantine_query(zones.settings.quarantine, [path.name for path in zones.settings.quarantine.iterdir()])
    return duckdb.sql(query.format(of)).fetchall()
