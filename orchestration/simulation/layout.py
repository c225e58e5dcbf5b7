"""The fourteen extracts as the other party writes them: columns, kinds, keys, parents.

Here: what the simulator needs to write and to damage a file. Not here: rules for judging one (``schemas/``). The two
are written apart on purpose: the simulator stands in for the registry, and a mistake in the one description would
go unseen if the other were derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "insz", "date", "bool", "int", "dec", "code", "text", "digits"]


@dataclass(frozen=True)
class Column:
    """One column of an extract. ``parent`` names the extract whose key it must hold."""

    name: str
    kind: Kind
    required: bool
    parent: str | None = None


@dataclass(frozen=True)
class Extract:
    """One extract: its columns in order, and its key."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in the order in which they are written."""
        return [column.name for column in self.columns]

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind by column name."""
        return {column.name: column.kind for column in self.columns}

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of the columns of these kinds."""
        return [column.name for column in self.columns if column.kind in kinds]

    @property
    def references(self) -> list[str]:
        """Names of the columns that must hold the key of another extract's row."""
        return [column.name for column in self.columns if column.parent]

    @property
    def periods(self) -> list[tuple[str, str]]:
        """The pairs (first day, last day) that must not be reversed."""
        return [pair for pair in _PERIODS if set(pair) <= set(self.names)]


_PERIODS = (("begin", "einde"), ("datum_inschrijving", "datum_uitschrijving"))
PARENT_OF = {"insz": "personen", "contract_id": "contracten", "traject_id": "trajecten"}


def _extract(name: str, key: str, columns: str) -> Extract:
    """Read the compact notation below: ``name:kind``, ``!`` marks a required column."""
    keys = tuple(key.split())
    parsed = []
    for item in columns.split():
        column, kind = item.rstrip("!").split(":")
        parent = PARENT_OF.get(column)
        own_key = keys == (column,)
        parsed.append(Column(column, kind, item.endswith("!"), None if own_key else parent))
    return Extract(name, keys, tuple(parsed))


_FLAGS = "onderdeel_mo:bool onderdeel_nt2:bool onderdeel_lo:bool"
_DECISION = "besluit_code:code besluit_reden:text besluit_datum:date"
_ENROLMENT = "begin:date einde:date datum_inschrijving:date! datum_uitschrijving:date lesuren:dec aanwezige_uren:dec"

EXTRACTS: dict[str, Extract] = {
    extract.name: extract
    for extract in (
        _extract(
            "personen",
            "insz",
            "insz:insz! kbi_nummer:text geboortedatum:date geslacht_code:code nationaliteit_code:code "
            "nis_gemeente:digits",
        ),
        _extract("insz_wijzigingen", "oude_insz", "oude_insz:insz! nieuwe_insz:insz! datum:date!"),
        _extract(
            "doelgroepen",
            "insz begin",
            "insz:insz! begin:date! einde:date code:code! type:code subtype:code reden_geen_doelgroep:text "
            "reden_vrijstelling:text",
        ),
        _extract(
            "contracten",
            "contract_id",
            f"contract_id:id! insz:insz! datum_registratie:date! type:code kbo_nummer:digits nis_gemeente:digits "
            f"{_FLAGS}",
        ),
        _extract(
            "addenda", "addendum_id", f"addendum_id:id! contract_id:id! datum_registratie:date! type:code {_FLAGS}"
        ),
        _extract("opschortingen", "contract_id begin", "contract_id:id! begin:date! einde:date reden:text"),
        _extract(
            "trajecten",
            "traject_id",
            f"traject_id:id! insz:insz! contract_id:id type:code! begin:date! einde:date status_code:code "
            f"status_begin:date {_DECISION}",
        ),
        _extract(
            "trajectonderdelen",
            "onderdeel_id",
            f"onderdeel_id:id! traject_id:id! type:code! begin:date! einde:date status_code:text status_begin:date "
            f"{_DECISION}",
        ),
        _extract(
            "mo_cursussen",
            "deelname_id",
            f"deelname_id:id! insz:insz! cursus_nummer:text taal:text individueel:bool {_ENROLMENT}",
        ),
        _extract(
            "nt2_cursussen",
            "deelname_id",
            f"deelname_id:id! insz:insz! davinci_instellingsnummer:text opleiding_code:text module_code:text "
            f"niveau:code {_ENROLMENT} status:code besluit:code",
        ),
        _extract(
            "afgelegde_testen",
            "test_id",
            "test_id:id! insz:insz! type:code! datum:date! versie:text taal:text niveau:code score_praktisch:int "
            "score_waarden:int resultaat:code",
        ),
        _extract(
            "attesten",
            "attest_id",
            "attest_id:id! insz:insz! contract_id:id soort:code type:code! datum_aanmaak:date datum_ondertekening:date",
        ),
        _extract(
            "inbreuken",
            "inbreuk_id",
            "inbreuk_id:id! insz:insz! type:code! sanctionerende_overheid:code datum_vaststelling:date! "
            "datum_ingebrekestelling:date boete_bedrag:dec boete_datum:date",
        ),
        _extract("wachtlijst", "insz onderdeel datum", "insz:insz! onderdeel:code! datum:date! module_code:text"),
    )
}
