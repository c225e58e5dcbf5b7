"""From one dossier to its rows: which element is which column, and what identifies a thing that has no number.

Here: the blocks of ``KBIDossier`` (spec, extracts section 4), one function each, in the order of the extracts. Not
here: hours and levels of courses (``courses.py``), files (``flattening.py``). No name of anybody is read: not of the
person, not of a contact person, and no label that stands beside a code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from orchestration.dossiers.answers import text_of
from orchestration.dossiers.courses import lesson_hours, nt2_level
from orchestration.pseudonyms import Key

Row = dict[str, str | None]

FLATTENED_EXTRACTS = (
    "personen",
    "doelgroepen",
    "contracten",
    "addenda",
    "opschortingen",
    "trajecten",
    "trajectonderdelen",
    "mo_cursussen",
    "nt2_cursussen",
    "afgelegde_testen",
    "attesten",
    "inbreuken",
    "wachtlijst",
)
"""What dossiers carry: every extract but ``insz_wijzigingen``."""

_OPEN_END = "9999-12-31"
_XML_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T[\d:.]+)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_COURSES = ("MOCursus", "IndividueleMOCursus", "NT2Cursus")
_XML_BOOLEANS = {"1": "true", "0": "false"}
_SAYS_MO = re.compile(r"(?<![^\W\d_])MO(?![^\W\d_])|maatschappelijke", re.IGNORECASE)  # but not: mondeling


def rows_of(dossier: Element, key: Key) -> Iterator[tuple[str, Row]]:
    """Every row of a dossier with the extract it belongs to; absent elements are absent columns or None.

    Values are as written, except where XML has more forms for a thing than the contract: dates lose time and offset,
    ``1`` and ``0`` become booleans.
    """
    yield from _Dossier(dossier, key).rows()


class _Dossier:
    """One dossier being flattened; counts the ranks of things that are equal in what identifies them."""

    def __init__(self, dossier: Element, key: Key) -> None:
        self._dossier, self._key = dossier, key
        self._insz = text_of(dossier, "Personalia/INSZ")
        self._ranks = Counter[str]()

    def rows(self) -> Iterator[tuple[str, Row]]:
        yield from self._person()
        yield from self._target_groups()
        yield from self._contracts()
        yield from self._tracks()
        yield from self._courses()
        yield from self._tests()
        yield from self._certificates()
        yield from self._infringements()
        yield from self._waiting_list()

    def _id(self, block: str, *parts: str | None) -> str:
        """An identifier that stays when the dossier comes again: keyed hash of ``parts``, and the rank among equals."""
        derived = self._key.derived_id(block, self._insz, *parts)
        self._ranks[derived] += 1
        return f"{derived}-{self._ranks[derived]:03d}"

    def _blocks(self, path: str) -> list[Element]:
        return _telling(self._dossier.findall(path))

    def _person(self) -> Iterator[tuple[str, Row]]:
        person = self._dossier.find("Personalia")
        sex = _code(person, "Geslacht")
        yield (
            "personen",
            {
                "insz": self._insz,
                "kbi_nummer": text_of(person, "AangemaaktDoor/KbiNummer"),
                "geboortedatum": _date(person, "Geboortedatum"),
                "geslacht_code": sex if sex in ("1", "2") else None,
            },
        )

    def _target_groups(self) -> Iterator[tuple[str, Row]]:
        for group in self._blocks("Doelgroep"):
            yield (
                "doelgroepen",
                {
                    "insz": self._insz,
                    **_period(group),
                    "code": _code(group, "Code"),
                    "type": _code(group, "Type"),
                    "subtype": _code(group, "SubType"),
                    "reden_geen_doelgroep": _code(group, "RedenGeenDoelgroep"),
                    "reden_vrijstelling": _code(group, "RedenVrijstellingVanDeVerplichting", "RedenVrijstelling"),
                },
            )

    def _contracts(self) -> Iterator[tuple[str, Row]]:
        for contract in self._blocks("Contracten/Contract"):
            signed = _date(contract, "DatumRegistratie")
            contract_id = self._id("Contract", signed)
            yield (
                "contracten",
                {
                    "contract_id": contract_id,
                    "insz": self._insz,
                    "datum_registratie": signed,
                    "type": _code(contract, "Type"),
                    "kbo_nummer": text_of(contract, "AangemaaktDoor/KboNummer"),
                    **_flags(contract),
                },
            )
            for addendum in _telling(contract.findall("Addenda/Addendum")):
                registered = _date(addendum, "DatumRegistratie")
                yield (
                    "addenda",
                    {
                        "addendum_id": self._id("Addendum", registered),
                        "contract_id": contract_id,
                        "datum_registratie": registered,
                        "type": _code(addendum, "Type"),
                        **_flags(addendum),
                    },
                )
            for suspension in _telling(contract.findall("Opschortingen/Opschorting")):
                yield (
                    "opschortingen",
                    {
                        "contract_id": contract_id,
                        **_period(suspension),
                        "reden": _code(suspension, "Reden"),
                    },
                )

    def _tracks(self) -> Iterator[tuple[str, Row]]:
        for track in self._blocks("Trajecten/Traject"):
            kind, period = _code(track, "Type"), _period(track)
            begins = [_date(track, "Status/Periode/Begin"), _date(track, "Beheerder/Periode/Begin")]
            period["begin"] = period["begin"] or min(filter(None, begins), default=None)
            track_id = self._id("Traject", kind, period["begin"])
            yield (
                "trajecten",
                {
                    "traject_id": track_id,
                    "insz": self._insz,
                    "type": kind,
                    **period,
                    **_status_and_decision(track),
                },
            )
            for component in _telling(track.findall(".//TrajectOnderdeel")):
                kind, period = _code(component, "Type"), _period(component)
                yield (
                    "trajectonderdelen",
                    {
                        "onderdeel_id": self._id("TrajectOnderdeel", track_id, kind, period["begin"]),
                        "traject_id": track_id,
                        "type": kind,
                        **period,
                        **_status_and_decision(component),
                    },
                )

    def _courses(self) -> Iterator[tuple[str, Row]]:
        activities = self._dossier.findall("VormingsActiviteiten//*")
        for course in _telling([activity for activity in activities if activity.tag in _COURSES]):
            if course.tag != "NT2Cursus":
                number, enrolled = text_of(course, "Nummer"), _date(course, "DatumInschrijving")
                yield (
                    "mo_cursussen",
                    {
                        "deelname_id": text_of(course, "ID") or self._id(course.tag, number, enrolled),
                        "insz": self._insz,
                        "cursus_nummer": number,
                        "taal": _code(course, "Taal"),
                        "individueel": "true" if course.tag == "IndividueleMOCursus" else "false",
                        **_enrolment(course),
                    },
                )
            else:
                module, enrolled = _code(course, "Module"), _date(course, "DatumInschrijving")
                yield (
                    "nt2_cursussen",
                    {
                        "deelname_id": text_of(course, "ID") or self._id(course.tag, module, enrolled),
                        "insz": self._insz,
                        "davinci_instellingsnummer": text_of(course, "Centrum/DavinciInstellingsNummer"),
                        "opleiding_code": _code(course, "Opleiding"),
                        "module_code": module,
                        "niveau": nt2_level(*_labels(course, "Module"), *_labels(course, "Opleiding")),
                        **_enrolment(course),
                        "status": _code(course, "Status"),
                        "besluit": _code(course, "Besluit"),
                    },
                )

    def _tests(self) -> Iterator[tuple[str, Row]]:
        for test in self._blocks("AfgelegdeTesten/AfgelegdeTest"):
            kind, taken, result = _code(test, "Type"), _date(test, "Datum"), _code(test, "Resultaat")
            yield (
                "afgelegde_testen",
                {
                    "test_id": text_of(test, "ID") or self._id("AfgelegdeTest", kind, taken),
                    "insz": self._insz,
                    "type": kind if kind in ("MO", "NT2") else kind and "NIVEAU",
                    "datum": taken,
                    "versie": _code(test, "Versie"),
                    "taal": _code(test, "Taal"),
                    "resultaat": result if result in ("GESLAAGD", "NT_GESLAAGD", "NT_DEELGENOMEN") else None,
                },
            )

    def _certificates(self) -> Iterator[tuple[str, Row]]:
        for document in self._blocks("BehaaldeAttesten/Document"):
            kind = _code(document, "Type")
            created, signed = _date(document, "DatumAanmaak"), _date(document, "DatumOndertekening")
            yield (
                "attesten",
                {
                    # The day it was made out: the signature comes later, and must not make it another certificate.
                    "attest_id": text_of(document, "Id") or self._id("Document", kind, created or signed),
                    "insz": self._insz,
                    "soort": _code(document, "Soort"),
                    "type": kind,
                    "datum_aanmaak": created,
                    "datum_ondertekening": signed,
                },
            )

    def _infringements(self) -> Iterator[tuple[str, Row]]:
        for infringement in self._blocks("Inbreuken/Inbreuk"):
            kind, found = _code(infringement, "Type"), _date(infringement, "DatumVaststelling")
            yield (
                "inbreuken",
                {
                    "inbreuk_id": self._id("Inbreuk", kind, found),
                    "insz": self._insz,
                    "type": kind,
                    "sanctionerende_overheid": _code(infringement, "SanctionerendeOverheid"),
                    "datum_vaststelling": found,
                    "datum_ingebrekestelling": _date(
                        infringement, "DatumIngebrekestellingVerzonden", "DatumIngebrekestelling"
                    ),
                    "boete_bedrag": text_of(infringement, "BoeteBedrag"),
                    "boete_datum": _date(infringement, "BoeteDatum"),
                },
            )

    def _waiting_list(self) -> Iterator[tuple[str, Row]]:
        for place in self._blocks("Wachtlijst/Aanmelding"):
            said = [_code(place, "Code"), *_labels(place, "Module")]
            yield (
                "wachtlijst",
                {
                    "insz": self._insz,
                    "onderdeel": "MO" if any(words and _SAYS_MO.search(words) for words in said) else "NT2",
                    "datum": _date(place, "Datum"),
                    "module_code": _code(place, "Module"),
                },
            )


def _telling(elements: list[Element]) -> list[Element]:
    """Without elements that hold nothing at all, which the registry writes where there is nothing to say."""
    return [element for element in elements if "".join(element.itertext()).strip()]


def _code(element: Element | None, *names: str) -> str | None:
    """The code in the first element that has one: its text, or its ``Code``; the label is an attribute, left alone."""
    return next((code for name in names for path in (name, f"{name}/Code") if (code := text_of(element, path))), None)


def _labels(element: Element, name: str) -> list[str | None]:
    found = element.find(name)
    return [] if found is None else [found.get("Naam"), found.get("KorteNaam")]


def _date(element: Element | None, *paths: str) -> str | None:
    """The first date given; of an XML date or time with an offset the calendar date as written."""
    given = next((text for path in paths if (text := text_of(element, path))), None)
    match = _XML_DATE.fullmatch(given or "")
    return match[1] if match else given


def _period(element: Element) -> Row:
    end = _date(element, "Periode/Einde")
    return {"begin": _date(element, "Periode/Begin"), "einde": None if end == _OPEN_END else end}


def _flags(element: Element) -> Row:
    said = {f"onderdeel_{part.lower()}": text_of(element, f"Onderdeel{part}") for part in ("MO", "NT2", "LO")}
    return {column: _XML_BOOLEANS.get(flag, flag) for column, flag in said.items()}


def _status_and_decision(element: Element) -> Row:
    return {
        "status_code": _code(element, "Status"),
        "status_begin": _date(element, "Status/Periode/Begin"),
        "besluit_code": _code(element, "Besluit"),
        "besluit_reden": _code(element, "Besluit/Reden"),
        "besluit_datum": _date(element, "Besluit/DatumToekenning"),
    }


def _enrolment(course: Element) -> Row:
    planned, present = lesson_hours(course)
    return {
        **_period(course),
        "datum_inschrijving": _date(course, "DatumInschrijving"),
        "datum_uitschrijving": _date(course, "DatumUitschrijving"),
        "lesuren": planned,
        "aanwezige_uren": present,
    }
