"""Identifiers that the XML lacks stay when a dossier comes again, differ between things, and tell nothing."""

from __future__ import annotations

import re

import pytest

from orchestration.dossiers.answers import read_dossier
from orchestration.dossiers.blocks import rows_of
from orchestration.pseudonyms import Key
from tests.deliveries import insz
from tests.dossiers import answers as xml

WHO, OTHER = insz(31), insz(32)
IDENTIFIERS = {
    "contracten": "contract_id",
    "addenda": "addendum_id",
    "trajecten": "traject_id",
    "trajectonderdelen": "onderdeel_id",
    "mo_cursussen": "deelname_id",
    "nt2_cursussen": "deelname_id",
    "afgelegde_testen": "test_id",
    "attesten": "attest_id",
    "inbreuken": "inbreuk_id",
}
FORM = re.compile(r"[0-9a-f]{32}-\d{3}")


def without_numbers(who: str) -> bytes:
    """A dossier with everything that has an identifier, and no identifier in it."""
    return xml.dossier(
        who,
        xml.element("Contracten", xml.contract("2016-03-10", xml.element("Addenda", xml.addendum()))),
        xml.element("Trajecten", xml.track(xml.component())),
        xml.element("VormingsActiviteiten", xml.mo_course(ID=None), xml.nt2_course(ID=None)),
        xml.element("AfgelegdeTesten", xml.taken_test(number=None)),
        xml.element("BehaaldeAttesten", xml.document(number=None)),
        xml.element("Inbreuken", xml.infringement()),
    )


def identifiers(rows: dict) -> dict[str, list[str]]:
    return {extract: [row[column] for row in rows[extract]] for extract, column in IDENTIFIERS.items()}


def test_everything_without_a_number_gets_one_of_its_own_in_the_form_of_the_contract(flat):
    found = [one for several in identifiers(flat(without_numbers(WHO))).values() for one in several]
    assert len(set(found)) == len(IDENTIFIERS)
    assert all(FORM.fullmatch(one) for one in found)
    assert all(one.endswith("-001") for one in found)


def test_numbers_in_the_dossier_are_kept(flat):
    rows = identifiers(flat(xml.full_dossier(WHO)))
    assert rows["mo_cursussen"] == ["mo-participation-1", "mo-participation-2"]
    assert rows["nt2_cursussen"] == ["nt2-participation-1"]
    assert rows["afgelegde_testen"] == ["test-1"]
    assert rows["attesten"] == ["att-1"]


def test_another_person_and_another_key_give_other_identifiers(flat):
    mine, theirs = identifiers(flat(without_numbers(WHO))), identifiers(flat(without_numbers(OTHER)))
    dossier = read_dossier(without_numbers(WHO))
    keyed = {row[IDENTIFIERS[extract]] for extract, row in rows_of(dossier, Key(b"o" * 32)) if extract in IDENTIFIERS}
    assert all(set(mine[extract]).isdisjoint(theirs[extract]) for extract in IDENTIFIERS)
    assert all(set(mine[extract]).isdisjoint(keyed) for extract in IDENTIFIERS)


def test_they_stay_when_the_dossier_comes_again_with_another_status(flat):
    before = flat(
        xml.dossier(
            WHO,
            xml.element("Contracten", xml.contract(mo=None)),
            xml.element("Trajecten", xml.track(xml.component(), begin=None)),
            xml.element("BehaaldeAttesten", xml.document(number=None, signed=None)),
            xml.element("AfgelegdeTesten", xml.taken_test(number=None, result=None)),
        )
    )
    ended = xml.component("TO_OB_MO", "2016-03-15", xml.decision("VO", granted="2017-01-31"), status="TO_STA_99")
    after = flat(
        xml.dossier(
            WHO,
            xml.element(
                "Contracten",
                xml.contract("2016-03-10", xml.element("Addenda", xml.addendum()), mo="true"),
                xml.contract("2017-03-10"),
            ),
            xml.element(
                "Trajecten",
                xml.track(xml.component("TO_A2", "2016-03-15"), kind="TT_NT2"),
                xml.track(
                    ended, begin=None, end="2017-02-01", status="GS", status_begin="2017-02-01",
                    more=xml.decision("JA_IB", granted="2017-02-01"),
                ),
            ),
            xml.element("BehaaldeAttesten", xml.document(number=None, signed="2017-02-03")),
            xml.element("AfgelegdeTesten", xml.taken_test(number=None)),
        )
    )  # fmt: skip
    then, now = identifiers(before), identifiers(after)
    assert now["contracten"][0] == then["contracten"][0]
    assert now["trajecten"][1] == then["trajecten"][0]
    assert now["trajectonderdelen"][1] == then["trajectonderdelen"][0]
    assert now["attesten"] == then["attesten"]
    assert now["afgelegde_testen"] == then["afgelegde_testen"]


@pytest.mark.parametrize(
    ("extract", "blocks"),
    [
        ("contracten", xml.element("Contracten", xml.contract(mo="true"), xml.contract(mo="false"))),
        ("trajecten", xml.element("Trajecten", xml.track(status="OP"), xml.track(status="GS"))),
        ("inbreuken", xml.element("Inbreuken", xml.infringement(), xml.infringement())),
        ("attesten", xml.element("BehaaldeAttesten", *[xml.document(number=None)] * 2)),
        ("afgelegde_testen", xml.element("AfgelegdeTesten", *[xml.taken_test(number=None)] * 2)),
    ],
)
def test_equals_are_told_apart_by_their_rank_in_the_document(flat, extract, blocks):
    first, second = identifiers(flat(xml.dossier(WHO, blocks)))[extract]
    assert first[:-3] == second[:-3]
    assert (first[-3:], second[-3:]) == ("001", "002")


def test_an_addendum_of_the_day_of_the_contract_is_another_thing(flat):
    contract = xml.contract("2016-03-10", xml.element("Addenda", xml.addendum("2016-03-10")))
    rows = identifiers(flat(xml.dossier(WHO, xml.element("Contracten", contract))))
    assert rows["contracten"][0][:32] != rows["addenda"][0][:32]


def test_components_are_ranked_within_their_track(flat):
    tracks = [xml.track(xml.component(), xml.component()), xml.track(xml.component())]
    rows = flat(xml.dossier(WHO, xml.element("Trajecten", *tracks)))["trajectonderdelen"]
    assert [row["onderdeel_id"][-3:] for row in rows] == ["001", "002", "001"]
    assert rows[0]["onderdeel_id"][:32] != rows[2]["onderdeel_id"][:32]
    assert rows[0]["traject_id"] == rows[1]["traject_id"] != rows[2]["traject_id"]


@pytest.mark.parametrize(
    ("extract", "one", "other"),
    [
        ("contracten", xml.contract("2016-03-10"), xml.contract("2016-03-11")),
        ("trajecten", xml.track(kind="TT_IBVP"), xml.track(kind="TT_IBRH")),
        ("trajecten", xml.track(begin="2016-03-10"), xml.track(begin="2016-03-11")),
        ("inbreuken", xml.infringement("1"), xml.infringement("2")),
        ("inbreuken", xml.infringement(found="2016-03-10"), xml.infringement(found="2016-03-11")),
        ("attesten", xml.document("AI023", None), xml.document("AEVC05", None)),
        ("afgelegde_testen", xml.taken_test("MO", number=None), xml.taken_test("NT2", number=None)),
    ],
)
def test_what_differs_in_what_identifies_it_is_another_thing(flat, extract, one, other):
    blocks = {
        "contracten": "Contracten",
        "trajecten": "Trajecten",
        "inbreuken": "Inbreuken",
        "attesten": "BehaaldeAttesten",
        "afgelegde_testen": "AfgelegdeTesten",
    }
    first, second = identifiers(flat(xml.dossier(WHO, xml.element(blocks[extract], one, other))))[extract]
    assert first[:-3] != second[:-3]
