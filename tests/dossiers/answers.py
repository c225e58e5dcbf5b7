"""Writes XML answers for tests, with invented persons: every block of the format, the ones no test dossier has too.

Here: bytes in the shape of GeefDossierKBIResponse 01.00. Not here: anything imported from the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "http://webservice.GeefDossierKBI-01.00.kbi-01.00.vip.vlaanderen.be"
CANARIES = ("Quirinia", "Wollebrandt", "Zwaanhilde", "Ophoven-Canary", "kanarie@example.org")
"""Names that stand in every dossier and may stand nowhere else."""


def element(tag: str, *content: str, **attributes: str) -> str:
    """An element of given XML; text must be escaped already."""
    said = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{said}>{''.join(content)}</{tag}>"


def elements(**texts: str | None) -> str:
    """One leaf per keyword that has a text, in order."""
    return "".join(element(tag, escape(text)) for tag, text in texts.items() if text is not None)


def period(begin: str | None = None, end: str | None = None) -> str:
    return element("Periode", elements(Begin=begin, Einde=end))


def name_of_somebody() -> str:
    return element(
        "Naam",
        element("Achternamen", elements(Achternaam=CANARIES[1])),
        element("Voornamen", elements(Voornaam=CANARIES[0])),
    )


def contact_person() -> str:
    return element(
        "ContactPersoon",
        element(
            "Naam",
            element("Achternamen", elements(Achternaam=CANARIES[3])),
            element("Voornamen", elements(Voornaam=CANARIES[2])),
        ),
        elements(Email=CANARIES[4]),
    )


def person(insz: str | None, born: str = "1984-02-29", sex: str = "2") -> str:
    return element(
        "Personalia",
        elements(INSZ=insz),
        name_of_somebody(),
        elements(Geboortedatum=born),
        element("Geslacht", element("Code", sex, Beschrijving="Vrouwelijk")),
        element("AangemaaktDoor", elements(KboNummer="0543307391", KbiNummer="0A" * 16)),
    )


def target_group(begin: str = "2016-03-01", *more: str) -> str:
    return element("Doelgroep", elements(Code="JA", Type="PLICHT", SubType="VOL_PROG"), period(begin), *more)


def contract(signed: str | None = "2016-03-10", *more: str, mo: str | None = "true", nt2: str | None = "true") -> str:
    return element(
        "Contract",
        elements(DatumRegistratie=signed, Type="ICO13G"),
        element("AangemaaktDoor", elements(KboNummer="0421722346", KbiNummer="0B" * 16)),
        elements(OnderdeelMO=mo, OnderdeelNT2=nt2),
        *more,
    )


def addendum(registered: str = "2016-05-02", kind: str = "AIC19G") -> str:
    return element("Addendum", elements(DatumRegistratie=registered, Type=kind, OnderdeelNT2="false"))


def track(
    *components: str,
    kind: str = "TT_IBVP",
    begin: str | None = "2016-03-12",
    end: str | None = None,
    status: str = "OP",
    status_begin: str | None = "2016-03-15",
    managed_from: str | None = "2016-03-14",
    more: str = "",
) -> str:
    return element(
        "Traject",
        elements(Type=kind),
        period(begin, end) if begin or end else "",
        element("Beheerder", period(managed_from), contact_person()),
        element("Status", elements(Code=status), period(status_begin)),
        more,
        element("TrajectOnderdelen", *components),
    )


def component(kind: str = "TO_OB_MO", begin: str = "2016-03-15", *more: str, status: str = "TO_STA_31") -> str:
    return element(
        "TrajectOnderdeel",
        elements(Type=kind),
        period(begin),
        element("Status", elements(Code=status), period("2016-03-16")),
        *more,
    )


def decision(code: str, reason: str = "", granted: str | None = None) -> str:
    return element(
        "Besluit",
        elements(Code=code),
        element("Reden", reason, KorteNaam="kort", Naam="label dat niet telt"),
        elements(DatumToekenning=granted),
    )


def lesson(
    begin: str | None = None, end: str | None = None, attendance: str | None = None, duration: str | None = None
) -> str:
    return element(
        "LesMoment",
        elements(
            Datum="2016-09-05", AanvangUur=begin, EindUur=end, Aanwezigheidsduur=duration, Aanwezigheid=attendance
        ),
    )


def mo_course(*lessons: str, tag: str = "MOCursus", **overrides: str | None) -> str:
    texts = {"ID": "mo-participation-1", "Nummer": "MO/2016/17", "Naam": "Maatschappelijke orientatie", "Taal": "fra"}
    dates = {"DatumInschrijving": "2016-08-20", "DatumUitschrijving": "2016-11-01"}
    given = texts | dates | overrides
    return element(
        tag,
        elements(**{name: given[name] for name in texts}),
        element("LesPlaats", elements(Naam="Zaal 3")),
        period("2016-09-05", "2016-12-16"),
        elements(**{name: given[name] for name in dates}),
        element("LesMomenten", *lessons) if lessons else "",
    )


def nt2_course(
    *lessons: str, module: str | None = "NT2 - Waystage mondeling", training: str | None = None, **overrides: str | None
) -> str:
    given = {"ID": "nt2-participation-1", "DatumInschrijving": "2016-08-25", "Status": "INGESCHREVEN"} | overrides
    return element(
        "NT2Cursus",
        elements(ID=given["ID"]),
        element("Centrum", elements(DavinciInstellingsNummer="129775")),
        element("Vestiging", "12", Naam="Vestiging"),
        element("Opleiding", "20001", **({"Naam": training} if training else {})),
        element("Module", "30007", **({"Naam": module} if module else {})),
        period("2016-09-01", "2017-01-31"),
        elements(DatumInschrijving=given["DatumInschrijving"], DatumUitschrijving=given.get("DatumUitschrijving")),
        element("LesMomenten", *lessons) if lessons else "",
        elements(Status=given["Status"], Besluit=given.get("Besluit")),
    )


def taken_test(kind: str | None = "MO", result: str | None = "GESLAAGD", number: str | None = "test-1") -> str:
    return element(
        "AfgelegdeTest",
        elements(ID=number, Nummer="7", Type=kind, Datum="2016-12-20", Versie="3", Taal="nld", Resultaat=result),
    )


def document(kind: str = "AI023", number: str | None = "att-1", signed: str | None = "2017-02-03") -> str:
    texts = elements(Soort="ATTEST", Type=kind, Id=number, DatumAanmaak="2017-02-01", DatumOndertekening=signed)
    return element("Document", texts)


def infringement(kind: str = "3", found: str = "2016-10-03") -> str:
    return element(
        "Inbreuk",
        elements(
            Type=kind,
            SanctionerendeOverheid="HH",
            DatumVaststelling=found,
            DatumIngebrekestellingVerzonden="2016-10-10",
            Motivering="niet gelezen",
        ),
    )


def waiting(code: str | None = None, module: str | None = None, since: str = "2016-04-04") -> str:
    attributes = {"Naam": module} if module else {}
    return element("Aanmelding", elements(Code=code), element("Module", "30007", **attributes), elements(Datum=since))


def dossier(insz: str | None, *blocks: str) -> bytes:
    """An answer with one dossier: the person, and the given blocks."""
    return answer(element("KBIDossier", person(insz), *blocks))


def answer(*contents: str, errors: str = "", prefix: str = "web") -> bytes:
    content = "".join(element("Antwoord", element("Inhoud", content)) for content in contents)
    antwoorden = element("Antwoorden", content) if contents else ""
    body = element("Repliek", element("Context", elements(Naam="GeefDossierKBI")), errors, antwoorden)
    root = f"{prefix}:GeefDossierKBIResponse"
    return f'<{root} xmlns:{prefix}="{NAMESPACE}">\n{body}\n</{root}>'.encode()


def error_reply(message: str | None, kind: str = "FOUT", identification: str = "30001") -> bytes:
    return answer(errors=errors(message, kind, identification))


def errors(message: str | None, kind: str = "FOUT", identification: str = "30001") -> str:
    texts = elements(Identificatie=identification, Oorsprong="MAGDA", Type=kind, Diagnose=message)
    return element("Uitzonderingen", element("Uitzondering", texts))


def full_dossier(insz: str) -> bytes:
    """A dossier with every block of the format, each once."""
    return dossier(
        insz,
        target_group(),
        element("BehaaldeAttesten", document()),
        element(
            "Contracten",
            contract(
                "2016-03-10",
                element("Addenda", addendum()),
                element(
                    "Opschortingen", element("Opschorting", period("2016-06-01", "2016-07-31"), elements(Reden="1"))
                ),
            ),
        ),
        element("Aanmelding", elements(Type="EA", DatumAanmelding="2016-03-01")),
        element("Trajecten", track(component())),
        element(
            "VormingsActiviteiten",
            element("MOCursussen", mo_course(lesson("09:00", "12:00", "AANWEZIG", "03:00"))),
            element("NT2Cursussen", nt2_course()),
            element("IndividueleMOCursussen", mo_course(tag="IndividueleMOCursus", ID="mo-participation-2")),
        ),
        element("AfgelegdeTesten", taken_test()),
        element("Inbreuken", infringement()),
        element("Wachtlijst", waiting("NT2")),
    )


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return directory
