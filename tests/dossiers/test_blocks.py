"""Every block of a dossier becomes the columns that the contract says, and an absent element stays absent."""

from __future__ import annotations

import pytest

from orchestration.dossiers import FLATTENED_EXTRACTS
from tests.deliveries import COLUMNS, insz
from tests.dossiers import answers as xml

WHO = insz(11)


def only(rows: list[dict]) -> dict:
    """The one row there is, without what is None: absent from the row and absent from the XML are the same."""
    assert len(rows) == 1
    return {column: value for column, value in rows[0].items() if value is not None}


def test_a_dossier_with_every_block_has_rows_of_every_extract_it_can_carry(flat):
    rows = flat(xml.full_dossier(WHO))
    assert set(FLATTENED_EXTRACTS) == set(COLUMNS) - {"insz_wijzigingen"}
    assert {extract: len(rows[extract]) for extract in FLATTENED_EXTRACTS} == {
        extract: 2 if extract == "mo_cursussen" else 1 for extract in FLATTENED_EXTRACTS
    }


def test_rows_have_no_column_that_the_contract_does_not_have(flat):
    for extract, rows in flat(xml.full_dossier(WHO)).items():
        assert all(set(row) <= set(COLUMNS[extract]) for row in rows)


def test_person(flat):
    assert only(flat(xml.dossier(WHO))["personen"]) == {
        "insz": WHO,
        "kbi_nummer": "0A" * 16,
        "geboortedatum": "1984-02-29",
        "geslacht_code": "2",
    }


@pytest.mark.parametrize(("code", "kept"), [("1", "1"), ("2", "2"), ("3", None), ("0", None), ("", None)])
def test_sex_other_than_1_and_2_is_empty(flat, code, kept):
    content = xml.answer(xml.element("KBIDossier", xml.person(WHO, sex=code)))
    assert flat(content)["personen"][0]["geslacht_code"] == kept


def test_target_group_gives_codes_not_labels(flat):
    reasons = xml.element("RedenGeenDoelgroep", "R1", Naam="label") + xml.element(
        "RedenVrijstellingVanDeVerplichting", "V2", KorteNaam="label"
    )
    assert only(flat(xml.dossier(WHO, xml.target_group("2016-03-01", reasons)))["doelgroepen"]) == {
        "insz": WHO,
        "begin": "2016-03-01",
        "code": "JA",
        "type": "PLICHT",
        "subtype": "VOL_PROG",
        "reden_geen_doelgroep": "R1",
        "reden_vrijstelling": "V2",
    }


def test_contract_with_addendum_and_suspension(flat):
    suspension = xml.element("Opschorting", xml.period("2016-06-01", "2016-07-31"), xml.element("Reden", "ZIEK"))
    contract = xml.contract(
        "2016-03-10", xml.element("Addenda", xml.addendum()), xml.element("Opschortingen", suspension), mo="false"
    )
    rows = flat(xml.dossier(WHO, xml.element("Contracten", contract)))
    contract_row = only(rows["contracten"])
    contract_id = contract_row.pop("contract_id")
    assert contract_row == {
        "insz": WHO,
        "datum_registratie": "2016-03-10",
        "type": "ICO13G",
        "kbo_nummer": "0421722346",
        "onderdeel_mo": "false",
        "onderdeel_nt2": "true",
    }
    addendum_row = only(rows["addenda"])
    assert addendum_row.pop("addendum_id") not in ("", contract_id)
    assert addendum_row == {
        "contract_id": contract_id,
        "datum_registratie": "2016-05-02",
        "type": "AIC19G",
        "onderdeel_nt2": "false",
    }
    assert only(rows["opschortingen"]) == {
        "contract_id": contract_id,
        "begin": "2016-06-01",
        "einde": "2016-07-31",
        "reden": "ZIEK",
    }


def test_an_absent_flag_is_never_false(flat):
    rows = flat(xml.dossier(WHO, xml.element("Contracten", xml.contract(mo=None, nt2=""))))
    assert [rows["contracten"][0][f"onderdeel_{part}"] for part in ("mo", "nt2", "lo")] == [None, None, None]


@pytest.mark.parametrize(("written", "read"), [("1", "true"), ("0", "false"), ("ja", "ja")])
def test_flags_in_the_other_form_of_xml_and_in_none(flat, written, read):
    rows = flat(xml.dossier(WHO, xml.element("Contracten", xml.contract(mo=written))))
    assert rows["contracten"][0]["onderdeel_mo"] == read


def test_track_with_component_and_their_decisions(flat):
    component = xml.component("TO_A2", "2016-03-20", xml.decision("VO", "R9", "2017-01-31"), status="TO_STA_99")
    track = xml.track(component, end="2017-02-28", status="GS", more=xml.decision("JA_EVC", granted="2017-02-01"))
    rows = flat(xml.dossier(WHO, xml.element("Trajecten", track)))
    track_row, component_row = only(rows["trajecten"]), only(rows["trajectonderdelen"])
    track_id = track_row.pop("traject_id")
    assert track_row == {
        "insz": WHO,
        "type": "TT_IBVP",
        "begin": "2016-03-12",
        "einde": "2017-02-28",
        "status_code": "GS",
        "status_begin": "2016-03-15",
        "besluit_code": "JA_EVC",
        "besluit_datum": "2017-02-01",
    }
    assert component_row.pop("onderdeel_id") not in ("", track_id)
    assert component_row == {
        "traject_id": track_id,
        "type": "TO_A2",
        "begin": "2016-03-20",
        "status_code": "TO_STA_99",
        "status_begin": "2016-03-16",
        "besluit_code": "VO",
        "besluit_reden": "R9",
        "besluit_datum": "2017-01-31",
    }


@pytest.mark.parametrize(
    ("begin", "status_begin", "managed_from", "expected"),
    [
        ("2016-05-05", "2016-01-01", "2016-01-02", "2016-05-05"),
        (None, "2016-03-15", "2016-03-14", "2016-03-14"),
        (None, "2016-03-13", "2016-03-14", "2016-03-13"),
        (None, "2016-03-13", None, "2016-03-13"),
        (None, None, "2016-03-14", "2016-03-14"),
        (None, None, None, None),
    ],
)
def test_a_track_without_a_begin_begins_with_its_status_or_its_manager(
    flat, begin, status_begin, managed_from, expected
):
    track = xml.track(begin=begin, status_begin=status_begin, managed_from=managed_from)
    assert flat(xml.dossier(WHO, xml.element("Trajecten", track)))["trajecten"][0]["begin"] == expected


def test_mo_courses_in_groups_and_alone(flat):
    lessons = [xml.lesson("09:00", "12:30", "AANWEZIG", "03:15"), xml.lesson("09:00", "12:30", "AFWEZIG")]
    courses = xml.element("MOCursussen", xml.mo_course(*lessons)) + xml.element(
        "IndividueleMOCursussen", xml.mo_course(tag="IndividueleMOCursus", ID="mo-participation-2")
    )
    group, alone = flat(xml.dossier(WHO, xml.element("VormingsActiviteiten", courses)))["mo_cursussen"]
    assert group == {
        "deelname_id": "mo-participation-1",
        "insz": WHO,
        "cursus_nummer": "MO/2016/17",
        "taal": "fra",
        "individueel": "false",
        "begin": "2016-09-05",
        "einde": "2016-12-16",
        "datum_inschrijving": "2016-08-20",
        "datum_uitschrijving": "2016-11-01",
        "lesuren": "7",
        "aanwezige_uren": "3.25",
    }
    assert alone == group | {
        "deelname_id": "mo-participation-2",
        "individueel": "true",
        "lesuren": None,
        "aanwezige_uren": None,
    }


def test_courses_are_found_without_the_list_around_them(flat):
    activities = xml.element("VormingsActiviteiten", xml.mo_course(), xml.nt2_course())
    rows = flat(xml.dossier(WHO, activities))
    assert (len(rows["mo_cursussen"]), len(rows["nt2_cursussen"])) == (1, 1)


def test_nt2_course(flat):
    course = xml.nt2_course(
        xml.lesson("18:00", "21:00"), training="Richtgraad 3", Besluit="GESLAAGD", DatumUitschrijving="2017-01-20"
    )
    rows = flat(xml.dossier(WHO, xml.element("VormingsActiviteiten", xml.element("NT2Cursussen", course))))
    assert only(rows["nt2_cursussen"]) == {
        "deelname_id": "nt2-participation-1",
        "insz": WHO,
        "davinci_instellingsnummer": "129775",
        "opleiding_code": "20001",
        "module_code": "30007",
        "niveau": "A2",
        "begin": "2016-09-01",
        "einde": "2017-01-31",
        "datum_inschrijving": "2016-08-25",
        "datum_uitschrijving": "2017-01-20",
        "lesuren": "3",
        "status": "INGESCHREVEN",
        "besluit": "GESLAAGD",
    }


@pytest.mark.parametrize(
    ("module", "training", "level"),
    [("Mondeling 2", "NT2 - richtgraad 3", "B2"), (None, "Threshold", "B1"), ("Mondeling 2", None, None)],
)
def test_where_the_module_says_no_level_the_training_may(flat, module, training, level):
    course = xml.nt2_course(module=module, training=training)
    rows = flat(xml.dossier(WHO, xml.element("VormingsActiviteiten", course)))
    assert rows["nt2_cursussen"][0]["niveau"] == level


def test_test_taken(flat):
    rows = flat(xml.dossier(WHO, xml.element("AfgelegdeTesten", xml.taken_test())))
    assert only(rows["afgelegde_testen"]) == {
        "test_id": "test-1",
        "insz": WHO,
        "type": "MO",
        "datum": "2016-12-20",
        "versie": "3",
        "taal": "nld",
        "resultaat": "GESLAAGD",
    }


@pytest.mark.parametrize(
    ("written", "read"), [("MO", "MO"), ("NT2", "NT2"), ("NIVEAU", "NIVEAU"), ("INSTAP", "NIVEAU"), (None, None)]
)
def test_test_types(flat, written, read):
    rows = flat(xml.dossier(WHO, xml.element("AfgelegdeTesten", xml.taken_test(written))))
    assert rows["afgelegde_testen"][0]["type"] == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("GESLAAGD", "GESLAAGD"),
        ("NT_GESLAAGD", "NT_GESLAAGD"),
        ("NT_DEELGENOMEN", "NT_DEELGENOMEN"),
        ("24/30", None),
        (None, None),
    ],
)
def test_test_results(flat, written, read):
    rows = flat(xml.dossier(WHO, xml.element("AfgelegdeTesten", xml.taken_test(result=written))))
    assert rows["afgelegde_testen"][0]["resultaat"] == read


def test_certificate(flat):
    rows = flat(xml.dossier(WHO, xml.element("BehaaldeAttesten", xml.document())))
    assert only(rows["attesten"]) == {
        "attest_id": "att-1",
        "insz": WHO,
        "soort": "ATTEST",
        "type": "AI023",
        "datum_aanmaak": "2017-02-01",
        "datum_ondertekening": "2017-02-03",
    }


def test_infringement(flat):
    row = only(flat(xml.dossier(WHO, xml.element("Inbreuken", xml.infringement())))["inbreuken"])
    assert row.pop("inbreuk_id")
    assert row == {
        "insz": WHO,
        "type": "3",
        "sanctionerende_overheid": "HH",
        "datum_vaststelling": "2016-10-03",
        "datum_ingebrekestelling": "2016-10-10",
    }


@pytest.mark.parametrize(
    ("code", "module", "component"),
    [
        ("MO", None, "MO"),
        ("WL_MO", None, "MO"),
        (None, "Cursus MO 2 Frans", "MO"),
        (None, "Maatschappelijke oriëntatie", "MO"),
        ("NT2", None, "NT2"),
        (None, "NT2 - Waystage mondeling", "NT2"),
        (None, "Moedertaal", "NT2"),
        (None, None, "NT2"),
    ],
)
def test_waiting_list(flat, code, module, component):
    rows = flat(xml.dossier(WHO, xml.element("Wachtlijst", xml.waiting(code, module))))
    assert only(rows["wachtlijst"]) == {
        "insz": WHO,
        "onderdeel": component,
        "datum": "2016-04-04",
        "module_code": "30007",
    }


def test_the_registration_at_the_agency_is_not_a_place_on_the_waiting_list(flat):
    registration = xml.element("Aanmelding", xml.elements(Type="EA", DatumAanmelding="2016-03-01"))
    assert "wachtlijst" not in flat(xml.dossier(WHO, registration))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2016-09-08", "2016-09-08"),
        (" \n2016-09-08\u00a0", "2016-09-08"),
        ("2016-09-08+02:00", "2016-09-08"),
        ("2016-09-08Z", "2016-09-08"),
        ("2016-09-08T23:30:00.000-05:00", "2016-09-08"),
        ("08/09/2016", "08/09/2016"),
        ("2016-09", "2016-09"),
    ],
)
def test_dates_lose_time_and_offset_and_what_is_no_date_is_left_to_the_rules(flat, written, read):
    rows = flat(xml.dossier(WHO, xml.element("Contracten", xml.contract(written))))
    assert rows["contracten"][0]["datum_registratie"] == read


@pytest.mark.parametrize("end", ["9999-12-31", "9999-12-31+01:00"])
def test_an_end_in_9999_is_open(flat, end):
    rows = flat(xml.dossier(WHO, xml.element("Trajecten", xml.track(end=end))))
    assert rows["trajecten"][0]["einde"] is None


def test_elements_that_hold_nothing_are_no_rows(flat):
    empty = "<Doelgroep/><Contracten><Contract> <AangemaaktDoor/></Contract></Contracten><Trajecten/><Inbreuken/>"
    assert set(flat(xml.dossier(WHO, empty))) == {"personen"}


def test_codes_may_stand_in_a_code_element(flat):
    course = xml.element(
        "MOCursus", xml.elements(ID="m"), xml.element("Taal", xml.element("Code", "tur", Beschrijving="Turks"))
    )
    rows = flat(xml.dossier(WHO, xml.element("VormingsActiviteiten", course)))
    assert rows["mo_cursussen"][0]["taal"] == "tur"
