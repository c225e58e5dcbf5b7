"""The fourteen extracts of the delivery contract, in its order. There is no other list of extracts in the product.

Here: columns, kinds, keys, code lists and parents (spec, extracts section 2). Not here: what the rules do with them
(``rules.py``). Names are the registry's, hence Dutch; the warehouse renames them in staging.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas import codes
from schemas.extract import ALIAS_CYCLE, DOSSIER_ERROR, Column, Extract, Parent

_INSZ = Column("insz", "insz", required=True)
_FLAGS = tuple(Column(f"onderdeel_{component}", "bool") for component in ("mo", "nt2", "lo"))
_DECISION_REASON_AND_DATE = (Column("besluit_reden", "text", is_free=True), Column("besluit_datum", "date"))
_COURSE_PERIODS = (
    Column("begin", "date"),
    Column("einde", "date"),
    Column("datum_inschrijving", "date", required=True),
    Column("datum_uitschrijving", "date"),
)
_HOURS = (
    Column("lesuren", "dec", minimum=0),
    Column("aanwezige_uren", "dec", minimum=0, at_most="lesuren"),
)

_PERSON = Parent("insz", "personen")
_CONTRACT = Parent("contract_id", "contracten")
_TRACK = Parent("traject_id", "trajecten")

EXTRACTS: Mapping[str, Extract] = MappingProxyType(
    {
        extract.name: extract
        for extract in (
            Extract(
                "personen",
                "Persons",
                key=("insz",),
                columns=(
                    _INSZ,
                    Column("kbi_nummer", "text"),
                    Column("geboortedatum", "date"),
                    Column("geslacht_code", "code", codes=codes.SEXES),
                    Column("nationaliteit_code", "code", codes=codes.NATIONALITIES),
                    Column("nis_gemeente", "digits", digits=5),
                ),
            ),
            Extract(
                "insz_wijzigingen",
                "Replaced person numbers",
                key=("oude_insz",),
                columns=(
                    Column("oude_insz", "insz", required=True),
                    Column("nieuwe_insz", "insz", required=True),
                    Column("datum", "date", required=True),
                ),
                own_facts=(ALIAS_CYCLE,),
            ),
            Extract(
                "doelgroepen",
                "Target-group history",
                key=("insz", "begin"),
                columns=(
                    _INSZ,
                    Column("begin", "date", required=True),
                    Column("einde", "date"),
                    Column("code", "code", required=True, codes=codes.TARGET_GROUPS),
                    Column("type", "code", codes=codes.TARGET_GROUP_TYPES),
                    Column("subtype", "code", codes=codes.TARGET_GROUP_SUBTYPES),
                    Column("reden_geen_doelgroep", "text", is_free=True),
                    Column("reden_vrijstelling", "text", is_free=True),
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "contracten",
                "Contracts",
                key=("contract_id",),
                columns=(
                    Column("contract_id", "id", required=True),
                    _INSZ,
                    Column("datum_registratie", "date", required=True),
                    Column("type", "code", codes=codes.CONTRACT_TYPES),
                    Column("kbo_nummer", "digits", digits=10),
                    Column("nis_gemeente", "digits", digits=5),
                    *_FLAGS,
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "addenda",
                "Addenda to contracts",
                key=("addendum_id",),
                columns=(
                    Column("addendum_id", "id", required=True),
                    Column("contract_id", "id", required=True),
                    Column("datum_registratie", "date", required=True),
                    Column("type", "code", codes=codes.ADDENDUM_TYPES),
                    *_FLAGS,
                ),
                parents=(_CONTRACT,),
            ),
            Extract(
                "opschortingen",
                "Suspensions of contracts",
                key=("contract_id", "begin"),
                columns=(
                    Column("contract_id", "id", required=True),
                    Column("begin", "date", required=True),
                    Column("einde", "date"),
                    Column("reden", "text", is_free=True),
                ),
                parents=(_CONTRACT,),
            ),
            Extract(
                "trajecten",
                "Tracks",
                key=("traject_id",),
                columns=(
                    Column("traject_id", "id", required=True),
                    _INSZ,
                    Column("contract_id", "id"),
                    Column("type", "code", required=True, codes=codes.TRACK_TYPES),
                    Column("begin", "date", required=True),
                    Column("einde", "date"),
                    Column("status_code", "code", codes=codes.TRACK_STATUSES),
                    Column("status_begin", "date"),
                    Column("besluit_code", "code", codes=codes.TRACK_DECISIONS),
                    *_DECISION_REASON_AND_DATE,
                ),
                parents=(_PERSON, _CONTRACT),
            ),
            Extract(
                "trajectonderdelen",
                "Components of tracks",
                key=("onderdeel_id",),
                columns=(
                    Column("onderdeel_id", "id", required=True),
                    Column("traject_id", "id", required=True),
                    Column("type", "code", required=True, codes=codes.COMPONENT_TYPES),
                    Column("begin", "date", required=True),
                    Column("einde", "date"),
                    Column("status_code", "text"),
                    Column("status_begin", "date"),
                    Column("besluit_code", "code", codes=codes.COMPONENT_DECISIONS),
                    *_DECISION_REASON_AND_DATE,
                ),
                parents=(_TRACK,),
                decision_dates=("besluit_datum", "einde"),
            ),
            Extract(
                "mo_cursussen",
                "Participations in social-orientation courses",
                key=("deelname_id",),
                columns=(
                    Column("deelname_id", "id", required=True),
                    _INSZ,
                    Column("cursus_nummer", "text"),
                    Column("taal", "text"),
                    Column("individueel", "bool"),
                    *_COURSE_PERIODS,
                    *_HOURS,
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "nt2_cursussen",
                "Participations in courses of Dutch as a second language",
                key=("deelname_id",),
                columns=(
                    Column("deelname_id", "id", required=True),
                    _INSZ,
                    Column("davinci_instellingsnummer", "text"),
                    Column("opleiding_code", "text"),
                    Column("module_code", "text"),
                    Column("niveau", "code", codes=codes.LANGUAGE_LEVELS),
                    *_COURSE_PERIODS,
                    *_HOURS,
                    Column("status", "code", codes=codes.COURSE_STATUSES),
                    Column("besluit", "code", codes=codes.RESULTS),
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "afgelegde_testen",
                "Tests taken",
                key=("test_id",),
                columns=(
                    Column("test_id", "id", required=True),
                    _INSZ,
                    Column("type", "code", required=True, codes=codes.TEST_TYPES),
                    Column("datum", "date", required=True),
                    Column("versie", "text"),
                    Column("taal", "text"),
                    Column("niveau", "code", codes=codes.LANGUAGE_LEVELS),
                    Column("score_praktisch", "int", minimum=0, maximum=30),
                    Column("score_waarden", "int", minimum=0, maximum=11),
                    Column("resultaat", "code", codes=codes.RESULTS),
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "attesten",
                "Certificates and other documents",
                key=("attest_id",),
                columns=(
                    Column("attest_id", "id", required=True),
                    _INSZ,
                    Column("contract_id", "id"),
                    Column("soort", "code", codes=codes.DOCUMENT_SORTS),
                    Column("type", "code", required=True, codes=codes.DOCUMENT_TYPES),
                    Column("datum_aanmaak", "date"),
                    Column("datum_ondertekening", "date"),
                ),
                parents=(_PERSON, _CONTRACT),
                one_of=("datum_aanmaak", "datum_ondertekening"),
            ),
            Extract(
                "inbreuken",
                "Infringements",
                key=("inbreuk_id",),
                columns=(
                    Column("inbreuk_id", "id", required=True),
                    _INSZ,
                    Column("type", "code", required=True, codes=codes.INFRINGEMENT_TYPES),
                    Column("sanctionerende_overheid", "code", codes=codes.SANCTIONING_AUTHORITIES),
                    Column("datum_vaststelling", "date", required=True),
                    Column("datum_ingebrekestelling", "date"),
                    Column("boete_bedrag", "dec", minimum=0, maximum=5000),
                    Column("boete_datum", "date"),
                ),
                parents=(_PERSON,),
            ),
            Extract(
                "wachtlijst",
                "Waiting list",
                key=("insz", "onderdeel", "datum"),
                columns=(
                    _INSZ,
                    Column("onderdeel", "code", required=True, codes=codes.WAITING_LIST_COMPONENTS),
                    Column("datum", "date", required=True),
                    Column("module_code", "text"),
                ),
                parents=(_PERSON,),
            ),
        )
    }
)

CHILDREN = {
    name: extract.parents[0].extract
    for name, extract in EXTRACTS.items()
    if extract.parents and not extract.insz_columns
}
"""Extracts whose rows name no person: they belong to the person of the row that they name."""

DOSSIERS = Extract(
    "dossiers",
    "KBI dossiers as exchanged",
    key=(),
    columns=(Column("file_name", "text"),),
    own_facts=(DOSSIER_ERROR,),
)
"""The files of a ``kbi-xml`` delivery, which are judged whole before they are flattened into the extracts. They have no
key: a name is a file's alone, and two dossiers of one person conflict in ``personen``."""
