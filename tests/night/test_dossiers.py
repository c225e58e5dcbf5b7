"""Dossiers through the whole night: beside tables known before, as a folder, as a zip, again, and the real ones."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import polars as pl
import pytest

import schemas
from orchestration.history import ROW_NUMBER, state_query
from orchestration.intake import take_waiting
from orchestration.ledger import Ledger
from orchestration.pseudonyms import load_key
from orchestration.settings import PROJECT_ROOT, Settings
from tests.deliveries import combined, insz, minimal_registry, write_delivery
from tests.dossiers import answers as xml
from tests.night.dossier_deliveries import write_dossiers
from tests.night.nights import Folder

DELIVERIES = ("1-tables", "2-folder", "3-zip")
REAL = PROJECT_ROOT.parent / "shared" / "kbi-dossiers"

# Numbers of the persons in `minimal_registry(n)`, known from tables with nationality MA, municipality 11002 and a
# target-group record that is open since 2014-01-02. The last was not known.
AGAIN, ONCE, UNREADABLE, GONE, NEW = (insz(2 * n) for n in (1, 2, 3, 4, 5))

FIRST = {
    f"{AGAIN}.xml": xml.full_dossier(AGAIN),
    f"{ONCE}.xml": xml.dossier(ONCE, xml.target_group("2016-03-01")),
    f"{UNREADABLE}.xml": xml.error_reply("De bron antwoordt niet"),
    f"{NEW}.xml": xml.dossier(NEW, xml.target_group("2016-03-01"), xml.element("Contracten", xml.contract())),
    "copy.xml": xml.full_dossier(AGAIN),
    "broken.xml": b"<half een dossier",
}
SECOND = {
    f"{AGAIN}.xml": xml.full_dossier(AGAIN).replace(b"<Begin>2016-03-01</Begin>", b"<Begin>2016-07-15</Begin>", 1),
    f"{ONCE}.xml": xml.dossier(ONCE, xml.target_group("2016-03-01")),
    f"{UNREADABLE}.xml": xml.dossier(UNREADABLE),
    f"{NEW}.xml": xml.dossier(NEW, xml.target_group("2016-03-01"), xml.element("Contracten", xml.contract())),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Tables, dossiers as a folder, and dossiers as a zip, in one night."""
    folder = Folder(tmp_path_factory.mktemp("dossiers"))
    tables = combined(*(minimal_registry(n) for n in range(1, 5)))
    write_delivery(folder.landing, "1-tables", "2015-12-31T22:00:00+01:00", tables)
    write_dossiers(folder.landing, "2-folder", "2016-06-30T22:00:00+02:00", FIRST)
    write_dossiers(folder.landing, "3-zip", "2016-09-08T22:00:00+02:00", SECOND, packed=True)
    ran = folder.night()
    assert (ran.exit_code, [result for _, result, _ in ran.lines]) == (0, ["taken"] * 3), ran.stderr
    return folder


def state(folder: Folder, delivery_id: str, extract: str, **where: str) -> list[dict[str, Any]]:
    """Rows of the state with a delivery, numbers given as such."""
    key = load_key(folder.settings, synthetic=True)
    until = [folder.settings.validated / name for name in DELIVERIES[: DELIVERIES.index(delivery_id) + 1]]
    rows = duckdb.sql(state_query(until, extract)).pl().drop(ROW_NUMBER)
    for column, number in where.items():
        (pseudonym,) = key.pseudonyms(pl.Series([number]))
        rows = rows.filter(pl.col(schemas.PSEUDONYM_COLUMNS[column]) == pseudonym)
    return rows.to_dicts()


def spells(folder: Folder, delivery_id: str, number: str) -> list[tuple[date, date | None]]:
    return sorted((row["begin"], row["einde"]) for row in state(folder, delivery_id, "doelgroepen", insz=number))


def test_earlier_target_group_records_stay_and_an_open_one_ends_the_day_before(taken: Folder) -> None:
    first, second, third = date(2014, 1, 2), date(2016, 3, 1), date(2016, 7, 15)
    assert spells(taken, "1-tables", AGAIN) == [(first, None)]
    assert spells(taken, "2-folder", AGAIN) == [(first, date(2016, 2, 29)), (second, None)]
    assert spells(taken, "3-zip", AGAIN) == [(first, date(2016, 2, 29)), (second, date(2016, 7, 14)), (third, None)]
    assert (
        spells(taken, "3-zip", ONCE) == spells(taken, "2-folder", ONCE) == [(first, date(2016, 2, 29)), (second, None)]
    )


def test_what_dossiers_do_not_carry_stays_as_known(taken: Folder) -> None:
    for delivery_id in ("2-folder", "3-zip"):
        (known,) = state(taken, delivery_id, "personen", insz=AGAIN)
        assert (known["nationaliteit_code"], known["nis_gemeente"]) == ("MA", "11002")
        assert known["geboortedatum"] == date(1984, 2, 29) and known["delivered_in"] == "2-folder", (
            "the second brings nothing new of it"
        )
        (new,) = state(taken, delivery_id, "personen", insz=NEW)
        assert (new["nationaliteit_code"], new["nis_gemeente"]) == (None, None)
        assert len(state(taken, delivery_id, "insz_wijzigingen")) == 4


def test_of_an_unreadable_dossier_what_was_known_of_the_person_holds(taken: Folder) -> None:
    for extract in ("personen", "doelgroepen", "contracten", "mo_cursussen", "wachtlijst"):
        before, after = (state(taken, delivery, extract, insz=UNREADABLE) for delivery in ("1-tables", "2-folder"))
        assert len(before) == 1 and after == before
    # It comes readable, with no contract in it.
    assert len(state(taken, "3-zip", "personen", insz=UNREADABLE)) == 1
    assert state(taken, "3-zip", "contracten", insz=UNREADABLE) == []


def test_of_a_person_without_a_dossier_nothing_is_left_in_a_full_delivery(taken: Folder) -> None:
    assert len(state(taken, "1-tables", "personen", insz=GONE)) == 1
    assert state(taken, "2-folder", "personen", insz=GONE) == state(taken, "2-folder", "contracten", insz=GONE) == []


def test_the_account_has_dossiers_and_the_extracts_flattened_from_them(taken: Folder) -> None:
    accounts = {
        row[0]: row[1:]
        for row in taken.rows("select * exclude delivery_id from quality.reconciliation where delivery_id = '2-folder'")
    }
    assert accounts["dossiers"] == (6, 3, 2, 1)
    assert accounts["personen"] == (3, 3, 0, 0)
    assert accounts["contracten"] == (2, 2, 0, 0)
    assert accounts["mo_cursussen"] == (2, 2, 0, 0)
    assert "insz_wijzigingen" not in accounts


def test_unreadable_dossiers_are_quarantined_with_the_message_of_the_reply(taken: Folder) -> None:
    kept = taken.rows(
        "select extract, line_number, rule_codes, row->>'message' from quality.quarantined_rows "
        "where delivery_id = '2-folder' order by line_number"
    )
    names = sorted(FIRST)
    by_line = {names[line - 1]: message for _, line, _, message in kept}
    assert {(extract, *codes) for extract, _, codes, _ in kept} == {("dossiers", "dossier_invalid")}
    assert by_line[f"{UNREADABLE}.xml"] == "De bron antwoordt niet"
    assert set(by_line) == {f"{UNREADABLE}.xml", "broken.xml"}


def test_their_figures_are_in_the_marts(taken: Folder) -> None:
    assert taken.rows(
        "select n_population from marts.mart_q1_pass_rate "
        "where as_of_date = '2016-09-08' and counting_unit = 'contract' and component = 'mo'"
    ) == [(2,)]
    answered = taken.kbi("answer", "--as-of", "2016-09-08", "--format", "json")
    assert json.loads(answered.stdout)["known_on"] == "2016-09-08"


def test_a_zip_and_a_folder_of_the_same_dossiers_are_one(tmp_path: Path, key_file: Path, monkeypatch) -> None:
    monkeypatch.setenv("KBI_PSEUDONYM_KEY_FILE", str(key_file))
    states = []
    for packed in (False, True):
        folder = Folder(tmp_path / str(packed))
        write_dossiers(folder.landing, "d", "2016-06-30T22:00:00+02:00", FIRST, packed=packed)
        (outcome,) = take_waiting(folder.settings)
        assert outcome.result == "taken"
        files = sorted([*folder.settings.validated.rglob("*.parquet"), *folder.settings.quarantine.rglob("*.parquet")])
        states.append({path.relative_to(folder.data): pl.read_parquet(path).to_dicts() for path in files})
    assert states[0] == states[1]


def _results(settings: Settings) -> list[str]:
    """What becomes of the deliveries that lie there, in one run of intake."""
    return [outcome.result for outcome in take_waiting(settings)]


def _state(settings: Settings, extract: str) -> pl.DataFrame:
    taken = [settings.validated / entry.delivery_id for entry in Ledger(settings.ledger).taken()]
    return duckdb.sql(state_query(taken, extract)).pl()


@pytest.mark.parametrize("kind", ["delta", "full"])
def test_nationality_and_municipality_stay_though_the_dossier_has_another_number(folder: Folder, kind: str) -> None:
    """The row known of the person stands under a number of before; of two the nearest counts."""
    oldest, older, now = (insz(2 * n) for n in (11, 12, 13))
    tables = {
        "personen": [
            {"insz": oldest, "nationaliteit_code": "SY", "nis_gemeente": "44021"},
            {"insz": older, "nationaliteit_code": "MA", "nis_gemeente": "11002"},
        ],
        "insz_wijzigingen": [
            {"oude_insz": oldest, "nieuwe_insz": older, "datum": "2016-01-05"},
            {"oude_insz": older, "nieuwe_insz": now, "datum": "2016-01-06"},
        ],
    }
    write_delivery(folder.landing, "tables", "2016-06-30T22:00:00+02:00", tables)
    files = {"a.xml": xml.dossier(now, xml.target_group())}
    write_dossiers(folder.landing, "dossiers", "2016-07-01T22:00:00+02:00", files, kind=kind)
    assert _results(folder.settings) == ["taken", "taken"]
    persons = _state(folder.settings, "personen")
    assert persons.select("nationaliteit_code", "nis_gemeente", "geslacht_code").rows() == [("MA", "11002", "2")]


def test_rows_that_wait_for_a_track_or_contract_are_gone_with_the_dossier_that_lacks_them(folder: Folder) -> None:
    """Of a person whose dossier comes nothing waits but what it holds, though such rows name nobody."""
    number, other = insz(2 * 11), insz(2 * 12)
    write_delivery(folder.landing, "0", "2016-06-30T22:00:00+02:00", {"personen": [{"insz": other}]})

    def dossier(status: str, document: str, components: tuple[str, ...], addenda: tuple[str, ...]) -> bytes:
        signed = xml.contract("2016-03-10", xml.element("Addenda", *map(xml.addendum, addenda)))
        return xml.dossier(
            number,
            xml.target_group(),
            xml.element("Contracten", signed.replace("ICO13G", document)),
            xml.element("Trajecten", xml.track(*map(xml.component, components), status=status)),
        )

    broken = {"a.xml": dossier("VALS", "ZZ", ("TO_A1", "TO_A2"), ("2016-05-02", "2016-05-03"))}
    repaired = {"a.xml": dossier("OP", "ICO13G", ("TO_A2",), ("2016-05-03",))}
    write_dossiers(folder.landing, "1", "2016-07-01T22:00:00+02:00", broken, kind="delta")
    assert _results(folder.settings) == ["taken", "taken"]
    assert _state(folder.settings, "trajectonderdelen").is_empty() and _state(folder.settings, "addenda").is_empty()
    write_dossiers(folder.landing, "2", "2016-07-02T22:00:00+02:00", repaired, kind="delta")
    assert _results(folder.settings) == ["unchanged", "unchanged", "taken"]
    assert _state(folder.settings, "trajectonderdelen")["type"].to_list() == ["TO_A2"]
    assert _state(folder.settings, "addenda")["datum_registratie"].to_list() == [date(2016, 5, 3)]
    released = folder.settings.quarantine / "2" / "released"
    assert not released.exists(), "what the dossier brings again was not waited for"


def test_an_earlier_target_group_record_that_waits_stays_beside_the_present_one(folder: Folder) -> None:
    number, other = insz(2 * 11), insz(2 * 12)
    tables = {"personen": [{"insz": other}]}
    write_delivery(folder.landing, "0", "2016-06-29T22:00:00+02:00", tables)
    records = [{"insz": number, "begin": begin, "code": "JA"} for begin in ("2015-01-01", "2016-03-01", "2016-04-01")]
    early = {"doelgroepen": records}
    write_delivery(folder.landing, "1", "2016-06-30T22:00:00+02:00", early, kind="delta")
    files = {"a.xml": xml.dossier(number, xml.target_group("2016-03-01"))}
    write_dossiers(folder.landing, "2", "2016-07-01T22:00:00+02:00", files, kind="delta")
    assert _results(folder.settings) == ["taken"] * 3
    assert sorted(_state(folder.settings, "doelgroepen").select("begin", "einde", "type").rows()) == [
        (date(2015, 1, 1), date(2016, 2, 29), None),
        (date(2016, 3, 1), None, "PLICHT"),
    ], "a later record is none of the past"


def test_a_rule_on_dossiers_that_is_taken_out_is_not_judged(folder: Folder, monkeypatch) -> None:
    monkeypatch.delitem(schemas.RULES, "dossier_invalid")
    write_dossiers(folder.landing, "d", "2016-06-30T22:00:00+02:00", FIRST)
    (outcome,) = take_waiting(folder.settings)
    assert outcome.result == "taken"
    accounts = {account.extract: account for account in outcome.entry.reconciliation}
    assert (accounts["dossiers"].n_accepted, accounts["dossiers"].n_quarantined) == (5, 0)


@pytest.mark.dossiers
@pytest.mark.skipif(not REAL.is_dir(), reason="the real test dossiers do not lie beside the project")
def test_the_real_dossiers(folder: Folder) -> None:
    """The public test dossiers, counted by hand: what comes through the night, and what does not, and why."""
    files = {path.name: path.read_bytes() for path in sorted(REAL.glob("*.xml"))}
    write_dossiers(folder.landing, "real", "2026-06-30T22:00:00+02:00", files)
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (0, "real\ttaken\t\n"), ran.stderr
    accounts = {row[0]: row[1:] for row in folder.rows("select * exclude delivery_id from quality.reconciliation")}
    nothing = (0, 0, 0, 0)
    assert accounts == {
        # 15 answers of which 3 are refusals of the service.
        "dossiers": (15, 12, 3, 0),
        "personen": (12, 12, 0, 0),
        "doelgroepen": (11, 11, 0, 0),
        "contracten": (2, 2, 0, 0),
        "trajecten": (16, 15, 1, 0),
        "trajectonderdelen": (27, 26, 1, 0),
        "nt2_cursussen": (2, 2, 0, 0),
        "attesten": (1, 0, 1, 0),
        "inbreuken": (1, 0, 1, 0),
        **dict.fromkeys(("addenda", "opschortingen", "mo_cursussen", "afgelegde_testen", "wachtlijst"), nothing),
    }
    assert sorted(folder.rows("select extract, line_number, rule_codes from quality.quarantined_rows")) == [
        # Codes of the registry that the contract's lists do not hold, and the component of such a track.
        ("attesten", 1, ["code_unknown"]),
        ("dossiers", 1, ["dossier_invalid"]),
        ("dossiers", 8, ["dossier_invalid"]),
        ("dossiers", 15, ["dossier_invalid"]),
        ("inbreuken", 1, ["code_unknown"]),
        ("trajecten", 14, ["code_unknown"]),
        ("trajectonderdelen", 24, ["parent_quarantined"]),
    ]
    assert folder.rows("select count(*) from facts.dim_person") == [(12,)]
    # Both contracts have three flags false, which says nothing: tracks with MO and A1 make both components required.
    # Beside the first lies a track TT_IBGD, closed on the day of signature; nothing of the second is closed, begun or
    # decided. The target group is RECHT on both days.
    assert folder.rows(
        "select signed_on::varchar, participation_type, component, outcome, "
        "valid_from::varchar, valid_to from facts.fct_trajectory_component_status "
        "join facts.fct_trajectory using (contract_id) order by signed_on, component, valid_from"
    ) == [
        (signed, "voluntary", component, outcome, signed, None)
        for signed, outcome in (("2016-08-09", "dropped_out"), ("2017-03-22", "waiting"))
        for component in ("mo", "nt2")
    ]
    assert folder.rows("select count(*) from facts.fct_evaluation") == [(0,)]
    assert [q1_of(folder, day) for day in ("2016-08-08", "2016-09-08", "2026-06-30")] == [
        {(unit, component): figures for unit in ("contract", "person") for component in ("mo", "nt2")}
        # n_population, n_required, n_ended, n_dropped_out, n_waiting, pass_rate_evaluated, pass_rate_ended
        for figures in ((0, 0, 0, 0, 0, None, None), (1, 1, 1, 1, 0, None, 0), (2, 2, 1, 1, 1, None, 0))
    ]


def q1_of(folder: Folder, day: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Figures of the first question as ``kbi answer`` gives them, by counting unit and component."""
    answered = folder.kbi("answer", "--as-of", day, "--format", "json")
    assert answered.exit_code == 0, answered.stderr
    columns = ("n_population", "n_required", "n_ended", "n_dropped_out", "n_waiting")
    return {
        (row["counting_unit"], row["component"]): tuple(
            row[column] for column in (*columns, "pass_rate_evaluated", "pass_rate_ended")
        )
        for row in json.loads(answered.stdout)["marts"]["mart_q1_pass_rate"]
    }


@pytest.mark.dossiers
@pytest.mark.skipif(not REAL.is_dir(), reason="the real test dossiers do not lie beside the project")
def test_the_real_dossiers_counted_without_the_project() -> None:
    """The counts above, by a plain count of elements."""
    blocks = {
        *("Doelgroep", "Contract", "Traject", "TrajectOnderdeel", "NT2Cursus", "Document", "Inbreuk"),
        *("MOCursus", "IndividueleMOCursus", "AfgelegdeTest", "Addendum", "Opschorting", "Wachtlijst"),
    }
    counts: Counter[str] = Counter()
    unreadable, per_answer = {}, {}
    for line, path in enumerate(sorted(REAL.glob("*.xml")), start=1):
        elements = [
            (element.tag.rpartition("}")[2], element.text) for element in ElementTree.parse(path).getroot().iter()
        ]
        per_answer[line] = Counter(tag for tag, _ in elements if tag in blocks)
        counts += per_answer[line]
        if "Personalia" not in dict(elements):
            unreadable[line] = dict(elements)["Diagnose"]
    assert len(per_answer) == 15
    assert unreadable == {
        1: "Te veel gelijktijdige bevragingen",
        8: "Te veel gelijktijdige bevragingen",
        15: "Geen gegevens gevonden voor de vraag",
    }
    assert counts == {
        "Doelgroep": 11,
        "Contract": 2,
        "Traject": 16,
        "TrajectOnderdeel": 27,
        "NT2Cursus": 2,
        "Document": 1,
        "Inbreuk": 1,
    }
    # The quarantined component is the only one of the thirteenth answer, whose only track is the fourteenth.
    assert (per_answer[13]["Traject"], per_answer[13]["TrajectOnderdeel"]) == (1, 1)
    before = sum((per_answer[line] for line in range(1, 13)), Counter())
    assert (before["Traject"], before["TrajectOnderdeel"]) == (13, 23)
