"""The public test dossiers (fictitious persons) where they lie beside the project: what is in them, counted by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from xml.etree.ElementTree import fromstring

import polars as pl
import pytest

from orchestration.dossiers import Flattened, flatten
from orchestration.pseudonyms import Key
from orchestration.settings import PROJECT_ROOT
from schemas import DOSSIER_ERROR

DOSSIERS = PROJECT_ROOT.parent / "shared" / "kbi-dossiers"

pytestmark = [
    pytest.mark.dossiers,
    pytest.mark.skipif(not DOSSIERS.is_dir(), reason="the real test dossiers do not lie beside the project"),
]


@pytest.fixture(scope="module")
def flattened(tmp_path_factory) -> tuple[Flattened, Mapping[str, pl.DataFrame]]:
    out = tmp_path_factory.mktemp("dossiers")
    counts = flatten(DOSSIERS, out, Key(bytes(32)))
    return counts, {path.stem: pl.read_parquet(path) for path in out.iterdir()}


def test_fifteen_answers_of_which_three_are_error_replies(flattened):
    counts, tables = flattened
    assert (counts.files, counts.invalid, counts.duplicates) == (15, 3, 0)
    refused = tables["dossiers"].filter(pl.col(DOSSIER_ERROR).is_not_null())
    assert refused.select("line_number", DOSSIER_ERROR).rows() == [
        (1, "Te veel gelijktijdige bevragingen"),
        (8, "Te veel gelijktijdige bevragingen"),
        (15, "Geen gegevens gevonden voor de vraag"),
    ]


def test_rows_per_extract(flattened):
    assert flattened[0].rows == {
        "personen": 12,
        "doelgroepen": 11,
        "contracten": 2,
        "addenda": 0,
        "opschortingen": 0,
        "trajecten": 16,
        "trajectonderdelen": 27,
        "mo_cursussen": 0,
        "nt2_cursussen": 2,
        "afgelegde_testen": 0,
        "attesten": 1,
        "inbreuken": 1,
        "wachtlijst": 0,
    }


def test_what_they_say(flattened):
    _, tables = flattened
    assert tables["personen"]["insz"].n_unique() == 12
    assert Counter(tables["personen"]["geslacht_code"]) == {"1": 4, "2": 8}
    assert Counter(tables["doelgroepen"]["type"]) == {"PLICHT": 8, "RECHT": 2, "MINDERJARIG": 1}
    assert Counter(tables["trajecten"]["type"]) == {"TT_IBVP": 8, "TT_NT2": 5, "TT_IBRH": 2, "TT_IBGD": 1}
    assert Counter(tables["trajecten"]["status_code"]) == {"OP": 13, "GS": 1, "TS": 1, "VALS": 1}
    assert Counter(tables["trajectonderdelen"]["type"]) == {"TO_A1": 11, "TO_OB_LLO": 8, "TO_OB_MO": 8}
    assert Counter(tables["trajectonderdelen"]["besluit_code"]) == {None: 22, "VO": 2, "NVO": 3}
    assert tables["trajectonderdelen"]["besluit_reden"].null_count() == 27  # labels without a code
    assert tables["trajecten"]["begin"].null_count() == 0  # none has a Periode
    assert set(tables["contracten"].select("onderdeel_mo", "onderdeel_nt2", "onderdeel_lo").rows()) == {("false",) * 3}
    assert tables["nt2_cursussen"]["niveau"].to_list() == ["B2", "B2"]
    assert tables["nt2_cursussen"]["lesuren"].null_count() == 2


def test_every_derived_identifier_is_one_thing_s(flattened):
    _, tables = flattened
    for extract, column in {
        "contracten": "contract_id",
        "trajecten": "traject_id",
        "trajectonderdelen": "onderdeel_id",
    }.items():
        assert tables[extract][column].is_unique().all()
    assert set(tables["trajectonderdelen"]["traject_id"]) <= set(tables["trajecten"]["traject_id"])


def test_nobody_s_name_is_in_any_output(flattened):
    names = {
        name.text.strip()
        for path in DOSSIERS.glob("*.xml")
        for tag in ("Achternaam", "Voornaam")
        for name in fromstring(path.read_bytes()).iter(tag)
    }
    assert len(names) > 20
    written = {value for table in flattened[1].values() for row in table.iter_rows() for value in row}
    assert names.isdisjoint(written)
