"""Writes deliveries for tests, as the other party would: directory, files, manifest with true hashes and counts.

Here: bytes that obey the delivery contract, and a smallest registry that breaks no rule. Not here: anything imported
from the product; the columns stand here a second time so that a mistake in ``schemas/`` cannot hide in its own tests.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

_FLAGS = "onderdeel_mo onderdeel_nt2 onderdeel_lo"
_STATUS = "status_code status_begin besluit_code besluit_reden besluit_datum"
_COURSE = "datum_inschrijving datum_uitschrijving lesuren aanwezige_uren"
COLUMNS: dict[str, list[str]] = {
    extract: columns.split()
    for extract, columns in {
        "personen": "insz kbi_nummer geboortedatum geslacht_code nationaliteit_code nis_gemeente",
        "insz_wijzigingen": "oude_insz nieuwe_insz datum",
        "doelgroepen": "insz begin einde code type subtype reden_geen_doelgroep reden_vrijstelling",
        "contracten": f"contract_id insz datum_registratie type kbo_nummer nis_gemeente {_FLAGS}",
        "addenda": f"addendum_id contract_id datum_registratie type {_FLAGS}",
        "opschortingen": "contract_id begin einde reden",
        "trajecten": f"traject_id insz contract_id type begin einde {_STATUS}",
        "trajectonderdelen": f"onderdeel_id traject_id type begin einde {_STATUS}",
        "mo_cursussen": f"deelname_id insz cursus_nummer taal individueel begin einde {_COURSE}",
        "nt2_cursussen": "deelname_id insz davinci_instellingsnummer opleiding_code module_code niveau begin einde "
        f"{_COURSE} status besluit",
        "afgelegde_testen": "test_id insz type datum versie taal niveau score_praktisch score_waarden resultaat",
        "attesten": "attest_id insz contract_id soort type datum_aanmaak datum_ondertekening",
        "inbreuken": "inbreuk_id insz type sanctionerende_overheid datum_vaststelling datum_ingebrekestelling "
        "boete_bedrag boete_datum",
        "wachtlijst": "insz onderdeel datum module_code",
    }.items()
}
"""Every extract in the contract's order, with its columns."""
_PERSON_KEYS = {"insz": "person_key", "oude_insz": "old_person_key", "nieuwe_insz": "new_person_key"}
VALIDATED_AS: dict[str, dict[str, str]] = {
    extract: {
        column: _PERSON_KEYS.get(column, column)
        for column in columns
        if column not in ("reden_geen_doelgroep", "reden_vrijstelling", "reden", "besluit_reden")
    }
    for extract, columns in COLUMNS.items()
}
"""What of that reaches the validated zone, column -> its name there."""


def insz(n: int) -> str:
    """The n-th valid synthetic number: month + 60, born 1950–1999, right check digits."""
    rest, serial = divmod(n, 997)
    rest, day = divmod(rest, 28)
    year, month = divmod(rest, 12)
    nine = f"{50 + year % 50:02d}{61 + month:02d}{day + 1:02d}{serial + 1:03d}"
    return f"{nine}{97 - int(nine) % 97:02d}"


def minimal_registry(n: int = 1) -> dict[str, list[dict[str, Any]]]:
    """A registry of one person (the n-th) with one valid row in every extract."""
    who, old = insz(2 * n), insz(2 * n + 1)
    return {
        "personen": [
            {"insz": who, "kbi_nummer": f"{n:032x}", "geboortedatum": "1980-05-17", "geslacht_code": "2",
             "nationaliteit_code": "MA", "nis_gemeente": "11002"},
        ],
        "insz_wijzigingen": [{"oude_insz": old, "nieuwe_insz": who, "datum": "2014-01-10"}],
        "doelgroepen": [
            {"insz": who, "begin": "2014-01-02", "einde": "9999-12-31", "code": "JA", "type": "PLICHT",
             "subtype": "PRI_RECHT"},
        ],
        "contracten": [
            {"contract_id": f"C{n}", "insz": who, "datum_registratie": "2014-03-01", "type": "ICO13G",
             "kbo_nummer": "0543307391", "nis_gemeente": "11002", "onderdeel_mo": "true", "onderdeel_nt2": "true",
             "onderdeel_lo": "false"},
        ],
        "addenda": [
            {"addendum_id": f"A{n}", "contract_id": f"C{n}", "datum_registratie": "2014-05-01", "type": "AIC19G",
             "onderdeel_lo": "true"},
        ],
        "opschortingen": [
            {"contract_id": f"C{n}", "begin": "2014-07-01", "einde": "2014-08-31", "reden": "ZWANGERSCHAP"},
        ],
        "trajecten": [
            {"traject_id": f"T{n}", "insz": who, "contract_id": f"C{n}", "type": "TT_IBVP", "begin": "2014-03-01",
             "einde": "2015-06-30", "status_code": "GS", "status_begin": "2015-06-30", "besluit_code": "JA_IB",
             "besluit_datum": "2015-06-30"},
        ],
        "trajectonderdelen": [
            {"onderdeel_id": f"O{n}", "traject_id": f"T{n}", "type": "TO_OB_MO", "begin": "2014-03-01",
             "einde": "2015-06-01", "status_code": "TO_STA_08", "status_begin": "2015-06-01", "besluit_code": "VO",
             "besluit_datum": "2015-06-01"},
        ],
        "mo_cursussen": [
            {"deelname_id": f"M{n}", "insz": who, "cursus_nummer": "MO-1", "taal": "fra", "individueel": "false",
             "begin": "2014-09-01", "einde": "2014-12-20", "datum_inschrijving": "2014-08-15", "lesuren": "60",
             "aanwezige_uren": "55.5"},
        ],
        "nt2_cursussen": [
            {"deelname_id": f"N{n}", "insz": who, "davinci_instellingsnummer": "129775", "opleiding_code": "NT2R1",
             "module_code": "M1", "niveau": "A1", "begin": "2014-09-01", "einde": "2015-01-30",
             "datum_inschrijving": "2014-08-15", "lesuren": "120", "aanwezige_uren": "100",
             "status": "INGESCHREVEN", "besluit": "GESLAAGD"},
        ],
        "afgelegde_testen": [
            {"test_id": f"X{n}", "insz": who, "type": "MO", "datum": "2015-05-20", "versie": "2", "taal": "nld",
             "score_praktisch": "24", "score_waarden": "9", "resultaat": "GESLAAGD"},
        ],
        "attesten": [
            {"attest_id": f"D{n}", "insz": who, "contract_id": f"C{n}", "soort": "ATTEST", "type": "AI023",
             "datum_aanmaak": "2015-07-01", "datum_ondertekening": "2015-07-03"},
        ],
        "inbreuken": [
            {"inbreuk_id": f"I{n}", "insz": who, "type": "3", "sanctionerende_overheid": "HH",
             "datum_vaststelling": "2014-10-01", "boete_bedrag": "50.00", "boete_datum": "2014-12-01"},
        ],
        "wachtlijst": [{"insz": who, "onderdeel": "MO", "datum": "2014-04-01", "module_code": "M1"}],
    }  # fmt: skip


def combined(*registries: Tables) -> dict[str, list[dict[str, Any]]]:
    """Several registries in one, rows in the given order."""
    return {extract: [dict(row) for registry in registries for row in registry.get(extract, ())] for extract in COLUMNS}


def text_of(value: Any) -> str:
    """The CSV form of a Python value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def columns_of(extract: str, rows: Sequence[Row], *, delta: bool = False) -> list[str]:
    """The expected columns, then whatever else the rows hold, in order of appearance."""
    expected = [*COLUMNS.get(extract, ()), *(["verwijderd"] if delta else [])]
    return list(dict.fromkeys([*expected, *(name for row in rows for name in row)]))


def csv_bytes(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Header and rows, quoted where RFC 4180 needs it; an all-empty row of one column is quoted to stay a row."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([text_of(row.get(column)) for column in columns] for row in rows)
    return out.getvalue().encode()


def parquet_bytes(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Natural types where a column's values have one, text where they are mixed; a column without a value is text."""
    arrays = []
    for column in columns:
        values = [row.get(column) for row in rows]
        try:
            array = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            array = pa.array([None if value is None else text_of(value) for value in values])
        arrays.append(array.cast(pa.string()) if pa.types.is_null(array.type) else array)
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), out)
    return out.getvalue()


def write_delivery(
    landing: Path,
    delivery_id: str,
    extracted_at: str,
    tables: Tables,
    kind: str = "full",
    synthetic: bool = True,
    format: str = "csv",
) -> Path:
    """Write ``landing/<delivery_id>`` and return it; a full delivery gets every extract, a delta the given ones.

    Rows may hold further columns (they become unexpected columns) and lack any (they are empty then).
    """
    directory = landing / delivery_id
    directory.mkdir(parents=True)
    listed = dict(tables) if kind == "delta" else {extract: tables.get(extract, ()) for extract in [*COLUMNS, *tables]}
    files: dict[str, tuple[bytes, int]] = {}
    for extract, rows in listed.items():
        columns = columns_of(extract, rows, delta=kind == "delta")
        content = csv_bytes(columns, rows) if format == "csv" else parquet_bytes(columns, rows)
        files[extract] = (content, len(rows))
    return write_files(directory, extracted_at, files, kind=kind, synthetic=synthetic, format=format)


def write_files(
    directory: Path,
    extracted_at: str,
    files: Mapping[str, tuple[bytes, int]],
    kind: str = "full",
    synthetic: bool = True,
    format: str = "csv",
) -> Path:
    """Write given bytes and the number of rows to claim of them, then the manifest, last, as the contract has it."""
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for extract, (content, rows) in files.items():
        path = f"{extract}.{format}"
        (directory / path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entries.append({"extract": extract, "path": path, "format": format, "rows": rows, "sha256": digest})
    manifest = {
        "delivery_id": directory.name,
        "extracted_at": extracted_at,
        "kind": kind,
        "synthetic": synthetic,
        "files": entries,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2))
    return directory
