"""Frames of rows for trying ``schemas/`` without files, and every way to break a rule in one row.

Here: rows as validation hands them over, and planted violations per extract, column and rule. What a column is stands
here a second time, written from the contract, so that a mistake in ``schemas/`` cannot hide in its own tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

import schemas as s
from tests.deliveries import COLUMNS, minimal_registry

Row = dict[str, Any]

DELIVERY = s.DeliveryContext(date(2016, 9, 8), synthetic=True)
DELTA = s.DeliveryContext(date(2016, 9, 8), synthetic=True, delta=True)

CODES = (
    *("required_missing", "type_invalid", "code_unknown", "insz_invalid", "date_implausible", "period_reversed"),
    *("value_out_of_range", "decision_undated", "key_conflict", "parent_missing", "parent_quarantined"),
    *("alias_cycle", "dossier_invalid"),
)
"""Every rule code of the contract, in its order."""

KEYS = {
    "personen": ["insz"],
    "insz_wijzigingen": ["oude_insz"],
    "doelgroepen": ["insz", "begin"],
    "contracten": ["contract_id"],
    "addenda": ["addendum_id"],
    "opschortingen": ["contract_id", "begin"],
    "trajecten": ["traject_id"],
    "trajectonderdelen": ["onderdeel_id"],
    "mo_cursussen": ["deelname_id"],
    "nt2_cursussen": ["deelname_id"],
    "afgelegde_testen": ["test_id"],
    "attesten": ["attest_id"],
    "inbreuken": ["inbreuk_id"],
    "wachtlijst": ["insz", "onderdeel", "datum"],
}
REQUIRED = {
    "personen": "insz",
    "insz_wijzigingen": "oude_insz nieuwe_insz datum",
    "doelgroepen": "insz begin code",
    "contracten": "contract_id insz datum_registratie",
    "addenda": "addendum_id contract_id datum_registratie",
    "opschortingen": "contract_id begin",
    "trajecten": "traject_id insz type begin",
    "trajectonderdelen": "onderdeel_id traject_id type begin",
    "mo_cursussen": "deelname_id insz datum_inschrijving",
    "nt2_cursussen": "deelname_id insz datum_inschrijving",
    "afgelegde_testen": "test_id insz type datum",
    "attesten": "attest_id insz type",
    "inbreuken": "inbreuk_id insz type datum_vaststelling",
    "wachtlijst": "insz onderdeel datum",
}
PARENTS = {
    "doelgroepen": {"insz": "personen"},
    "contracten": {"insz": "personen"},
    "addenda": {"contract_id": "contracten"},
    "opschortingen": {"contract_id": "contracten"},
    "trajecten": {"insz": "personen", "contract_id": "contracten"},
    "trajectonderdelen": {"traject_id": "trajecten"},
    "mo_cursussen": {"insz": "personen"},
    "nt2_cursussen": {"insz": "personen"},
    "afgelegde_testen": {"insz": "personen"},
    "attesten": {"insz": "personen", "contract_id": "contracten"},
    "inbreuken": {"insz": "personen"},
    "wachtlijst": {"insz": "personen"},
}
DATES = {
    *("geboortedatum", "datum", "begin", "einde", "datum_registratie", "status_begin", "besluit_datum"),
    *("datum_inschrijving", "datum_uitschrijving", "datum_aanmaak", "datum_ondertekening", "datum_vaststelling"),
    *("datum_ingebrekestelling", "boete_datum"),
}
INSZ = {"insz", "oude_insz", "nieuwe_insz"}
NOT_OF_TYPE = {
    **dict.fromkeys(DATES, "2015-02-29"),
    **dict.fromkeys(["onderdeel_mo", "onderdeel_nt2", "onderdeel_lo", "individueel"], "ja"),
    **dict.fromkeys(["score_praktisch", "score_waarden"], "7.5"),
    **dict.fromkeys(["lesuren", "aanwezige_uren", "boete_bedrag"], "7,5"),
    "nis_gemeente": "1100",
    "kbo_nummer": "543307391",
}
OUT_OF_RANGE = {
    "score_praktisch": "31",
    "score_waarden": "12",
    "boete_bedrag": "5000.01",
    "lesuren": "-1",
    "aanwezige_uren": "-0.5",
}
CLOSED_LISTS = {
    ("personen", "geslacht_code"),
    ("personen", "nationaliteit_code"),
    *(("doelgroepen", column) for column in ("code", "type", "subtype")),
    *((extract, "type") for extract in ("contracten", "addenda", "trajecten", "trajectonderdelen")),
    *((extract, "type") for extract in ("afgelegde_testen", "attesten", "inbreuken")),
    ("trajecten", "status_code"),
    ("trajecten", "besluit_code"),
    ("trajectonderdelen", "besluit_code"),
    *(("nt2_cursussen", column) for column in ("niveau", "status", "besluit")),
    ("afgelegde_testen", "niveau"),
    ("afgelegde_testen", "resultaat"),
    ("attesten", "soort"),
    ("inbreuken", "sanctionerende_overheid"),
    ("wachtlijst", "onderdeel"),
}


@dataclass(frozen=True)
class Damage:
    """Changes to a valid row that make it break ``code`` and nothing else.

    ``touches``: columns that another damage may not touch if both are to show.
    """

    extract: str
    code: str
    changes: Mapping[str, Any]
    touches: frozenset[str]

    def __str__(self) -> str:
        return f"{self.extract}-{self.code}-{'-'.join(self.changes)}"


def valid_row(extract: str) -> Row:
    """A row that breaks no rule, with every column and no fact."""
    if extract == "dossiers":
        return {"file_name": "0001.xml"}
    row = {**dict.fromkeys(COLUMNS[extract]), **minimal_registry()[extract][0]}
    return row | {"einde": None} if row.get("einde") == "9999-12-31" else row


def frame_of(extract: str, rows: Iterable[Mapping[str, Any]], *, delta: bool = False) -> pl.DataFrame:
    """A frame of rows, numbered from 1; facts that a row does not name are those of a good row."""
    columns = [*COLUMNS.get(extract, ["file_name"]), *(["verwijderd"] if delta else [])]
    types: dict[str, Any] = {"line_number": pl.Int64, **dict.fromkeys(columns, pl.String)}
    facts: Row = {}
    if extract == "dossiers":
        facts["fact__dossier_error"] = None
        types["fact__dossier_error"] = pl.String
    else:
        facts["fact__key_conflict"] = False
        types["fact__key_conflict"] = pl.Boolean
    if extract == "insz_wijzigingen":
        facts["fact__alias_cycle"] = False
        types["fact__alias_cycle"] = pl.Boolean
    for column in PARENTS.get(extract, ()):
        facts[f"fact__parent_state__{column}"] = "present"
        types[f"fact__parent_state__{column}"] = pl.String
    numbered = [{"line_number": number} | facts | dict(row) for number, row in enumerate(rows, start=1)]
    return pl.DataFrame(numbered, schema=types)


def codes_of(
    extract: str, rows: Sequence[Mapping[str, Any]], delivery: s.DeliveryContext = DELIVERY
) -> dict[int, list[str]]:
    """Rule codes by line number, as ``typed()`` and ``judge()`` give them."""
    described = s.DOSSIERS if extract == "dossiers" else s.EXTRACTS[extract]
    judged = s.judge(described, s.typed(described, frame_of(extract, rows, delta=delivery.delta)), delivery)
    return dict(judged.iter_rows())


def codes_with(extract: str, delivery: s.DeliveryContext = DELIVERY, **changes: Any) -> list[str]:
    """Rule codes of one valid row with these changes."""
    return codes_of(extract, [valid_row(extract) | changes], delivery).get(1, [])


def _damages(extract: str) -> Iterable[Damage]:
    columns = COLUMNS[extract]

    def damage(code: str, changes: Mapping[str, Any], *touches: str) -> Damage:
        return Damage(extract, code, changes, frozenset([*changes, *touches]))

    for column in REQUIRED[extract].split():
        yield damage("required_missing", {column: None})
    if extract == "attesten":
        yield damage("required_missing", {"datum_aanmaak": None, "datum_ondertekening": None})
    for column in columns:
        if column in NOT_OF_TYPE:
            # Both dates of a decision unreadable would leave it undated.
            dates = ["einde", "besluit_datum"] if extract == "trajectonderdelen" else []
            yield damage("type_invalid", {column: NOT_OF_TYPE[column]}, *(dates if column in dates else []))
        if (extract, column) in CLOSED_LISTS:
            yield damage("code_unknown", {column: "ONBEKEND"})
        if column in INSZ:
            yield damage("insz_invalid", {column: "80611700198"})
        if column in DATES:
            # On the side where the period, if it is one, is not reversed by it.
            past = column in ("begin", "datum_inschrijving")
            yield damage("date_implausible", {column: "1899-12-31" if past else "2021-09-09"})
        if column in OUT_OF_RANGE:
            yield damage("value_out_of_range", {column: OUT_OF_RANGE[column]})
    if "aanwezige_uren" in columns:
        yield damage("value_out_of_range", {"lesuren": "60", "aanwezige_uren": "60.01"})
    if "einde" in columns:
        yield damage("period_reversed", {"begin": "2015-01-02", "einde": "2015-01-01"}, "besluit_datum")
    if "datum_uitschrijving" in columns:
        yield damage("period_reversed", {"datum_inschrijving": "2015-01-02", "datum_uitschrijving": "2015-01-01"})
    if extract == "trajectonderdelen":
        yield damage("decision_undated", {"besluit_code": "NVO", "besluit_datum": None, "einde": None})
    if extract == "insz_wijzigingen":
        yield damage("alias_cycle", {"fact__alias_cycle": True})
    yield damage("key_conflict", {"fact__key_conflict": True})
    for column in PARENTS.get(extract, ()):
        # An empty reference or an incorrect number has no parent to miss.
        yield damage("parent_missing", {f"fact__parent_state__{column}": "missing"}, column)
        yield damage("parent_quarantined", {f"fact__parent_state__{column}": "quarantined"}, column)


DAMAGES: dict[str, list[Damage]] = {
    **{extract: list(_damages(extract)) for extract in COLUMNS},
    "dossiers": [
        Damage(
            "dossiers",
            "dossier_invalid",
            {"fact__dossier_error": "no INSZ in Personalia"},
            frozenset(["fact__dossier_error"]),
        )
    ],
}
"""Per extract, every column and rule that can go together."""
ALL_DAMAGES = [damage for damages in DAMAGES.values() for damage in damages]
