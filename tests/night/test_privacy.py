"""No number of a person and no name outside the restricted folders, whatever was delivered and whatever went wrong.

Every value delivered here is a canary: numbers of persons, valid and not, in rows that are accepted, quarantined or in
deliveries that are refused; texts that stand only in broken bytes; names in dossiers. Then every byte that the night
left or said is searched, as it lies there and unpacked.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from tests.deliveries import (
    COLUMNS,
    combined,
    csv_bytes,
    insz,
    minimal_registry,
    parquet_bytes,
    write_delivery,
    write_files,
)
from tests.dossiers import answers as xml
from tests.night.dossier_deliveries import write_dossiers
from tests.night.nights import Folder, Ran
from tests.night.plants import EXTRACTED_AT, every_rule
from tests.night.test_refusals import FILE_UNREADABLE, edit_manifest, files_of

RESTRICTED = ("landing", "quarantine", "work")
TEXT = "Wollebrandtstraat 14"
"""Stands in broken bytes, under an unexpected column, and in rows that are quarantined for it."""
QUARANTINED_FOR = {"nt2_cursussen": "besluit", "mo_cursussen": "lesuren", "attesten": "datum_aanmaak"}
FREE_TEXT = "op vraag van mevrouw Ypsilanti"
"""Stands where the contract allows any text, in rows that are accepted; with it somebody's number."""
NUMBERS = re.compile(rb"(?<![0-9a-f])[0-9]{11}(?![0-9a-f])")


def deliver(landing: Path) -> None:
    """Good and broken rows, then deliveries refused for what their bytes hold, then dossiers."""
    plants = every_rule()
    somebody = minimal_registry(6001)
    of_another = insz(6003)
    somebody["opschortingen"][0]["reden"] = somebody["trajecten"][0]["besluit_reden"] = f"{FREE_TEXT}, {of_another}"
    somebody["wachtlijst"][0]["module_code"] = of_another
    for extract, column in QUARANTINED_FOR.items():
        somebody[extract][0][column] = TEXT
    tables = combined(plants.tables, somebody)
    # An unexpected column is told of, and its name too may be a value.
    tables["personen"] = [row | {"adres": TEXT, insz(3003): None} for row in tables["personen"]]
    write_delivery(landing, "planted", EXTRACTED_AT, tables)
    registry = combined(*(minimal_registry(n) for n in range(2001, 2031)))
    good = files_of(registry)

    def refused(name: str, day: int, files: Mapping[str, tuple[bytes, int]]) -> Path:
        return write_files(landing / name, f"2016-10-{day:02d}T23:00:00+02:00", good | dict(files))

    persons = csv_bytes(COLUMNS["personen"], registry["personen"])
    no_header = persons.split(b"\n", 1)[1]
    refused("no-header", 1, {"personen": (no_header, 29)})
    refused("header-is-data", 2, {"personen": (persons.replace(b"kbi_nummer", insz(3001).encode(), 1), 30)})
    refused("quote", 3, {"personen": (persons.replace(b"MA", f'"{TEXT}'.encode(), 1), 30)})
    refused("fields", 4, {"personen": (persons.replace(b"MA", f"MA;{TEXT}".encode(), 1), 30)})
    refused("utf8", 5, {"personen": (persons.replace(b"MA", TEXT.encode() + b"\xff", 1), 30)})
    refused("nul", 6, {"personen": (persons.replace(b"MA", TEXT.encode() + b"\0", 1), 30)})
    refused("waiting", 7, FILE_UNREADABLE)
    broken = parquet_bytes(COLUMNS["personen"], [row | {"nationaliteit_code": TEXT} for row in registry["personen"]])
    directory = write_files(landing / "parquet", "2016-10-08T23:00:00+02:00", good)
    (directory / "personen.csv").write_bytes(broken[:-20])
    edit_manifest(directory, lambda m: m["files"][0].update(format="parquet", sha256=sha256(broken[:-20]).hexdigest()))
    bad = combined(registry)
    for row in bad["contracten"]:
        row["type"], row["datum_registratie"] = TEXT, row["insz"]
    refused("rate", 9, files_of(bad))
    edit_manifest(refused("path", 10, {}), lambda m: m["files"][0].update(path=f"../{insz(3001)}/{TEXT}"))
    edit_manifest(refused("moment", 11, {}), lambda m: m.update(extracted_at=insz(3002), kind=TEXT))
    refused("no-header-again", 12, {"personen": (no_header, 29)})
    known = {f"{insz(2 * n)}.xml": full_dossier_of(n) for n in range(4001, 4031)}
    unread = {
        f"{insz(5001)}.xml": xml.error_reply("De bron antwoordt niet"),
        f"{insz(5002)}.xml": xml.full_dossier(insz(5002))[:-40],
        f"{insz(5003)}.xml": b"<!DOCTYPE x>" + xml.full_dossier(insz(5003)),
        f"{xml.CANARIES[1]}.xml": xml.full_dossier("80611700198"),
        "copy.xml": full_dossier_of(4001),
    }
    write_dossiers(landing, "dossiers", "2016-11-01T23:00:00+01:00", known | unread)


def full_dossier_of(n: int) -> bytes:
    """With identifiers of its own: what has the same one is the same thing."""
    return re.sub(rb"<(ID|Id)>([^<]+)<", rf"<\1>\2-{n}<".encode(), xml.full_dossier(insz(2 * n)))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, list[Ran]]:
    """A night of the console script, as talkative as it can be, and the commands after it."""
    variables = {"KBI_MAX_QUARANTINE_RATE": "0.95", "KBI_MAX_VOLUME_DROP": "1"}
    folder = Folder(tmp_path_factory.mktemp("privacy"), variables)
    deliver(folder.landing)
    ran = folder.run("--debug", "night")
    results = {delivery_id: result for delivery_id, result, _ in ran.lines}
    assert ran.exit_code == 3, ran.stderr
    assert {name for name, result in results.items() if result == "taken"} == {"planted", "dossiers"}, ran.said
    assert len(results) == 14
    said = [ran]
    said += [folder.kbi(*command) for command in (("status",), ("status", "--format", "json"))]
    said += [folder.kbi("answer", "--as-of", "2016-11-01", "--format", form) for form in ("text", "json")]
    assert [one.exit_code for one in said[1:]] == [0] * 4
    return folder, said


@pytest.fixture(scope="module")
def numbers(told: tuple[Folder, list[Ran]]) -> set[bytes]:
    """Every eleven digits that stand anywhere in what was delivered: numbers of persons, correct or not."""
    folder, _ = told
    found = {n for path in folder.landing.rglob("*") if path.is_file() for n in NUMBERS.findall(path.read_bytes())}
    # And as file names, in the unpacked rows of Parquet.
    found |= {insz(2 * n).encode() for n in range(4001, 4031)} | {insz(n).encode() for n in range(3001, 3003)}
    assert len(found) > 300
    return found


def unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """The file as it lies there, and what it holds for whoever opens it with its own program."""
    content = path.read_bytes()
    yield "bytes", content
    if content[:4] == b"PAR1":
        rows = pl.read_parquet(path)
        yield "rows", repr([*rows.columns, *rows.rows()]).encode()
    elif content[8:12] == b"DUCK":
        yield "tables", "".join(_dump_duckdb(path)).encode()
    elif content[:15] == b"SQLite format 3":
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield "tables", "\n".join(connection.iterdump()).encode()
    elif content[:2] == b"\x1f\x8b":
        yield "unzipped", gzip.decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield name, packed.read(name)


def _dump_duckdb(path: Path) -> Iterator[str]:
    """All tables of a file. Views store nothing, and one looks into the quarantine."""
    with duckdb.connect(str(path), read_only=True) as connection:
        for schema, table in connection.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            yield repr(connection.execute(f'from "{schema}"."{table}"').fetchall())
        yield repr(connection.execute("select sql, comment from duckdb_views() where not internal").fetchall())


def left_outside(folder: Folder) -> list[Path]:
    return sorted(
        path
        for path in folder.data.rglob("*")
        if path.is_file() and path.relative_to(folder.data).parts[0] not in ("landing", "quarantine")
    )


def holds_number(content: bytes, numbers: set[bytes]) -> set[bytes]:
    """Which numbers stand there, as text or as a 64-bit integer."""
    digits = {match[1] for match in re.finditer(rb"(?=([0-9]{11}))", content)} & numbers
    wanted = np.array(sorted(int(number) for number in numbers), dtype="<i8")
    integers = [
        np.frombuffer(content, "<i8", (len(content) - offset) // 8, offset)
        for offset in range(8)
        if len(content) >= 8 + offset
    ]
    found = np.concatenate([block[np.isin(block, wanted)] for block in integers]) if integers else np.array([])
    return digits | {str(number).encode() for number in found}


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    wanted = {b"80611700198"}
    frame = pl.DataFrame({"n": [1, 80611700198], "t": ["", "x80611700198"]})
    frame.write_parquet(tmp_path / "f.parquet", compression="zstd")
    with duckdb.connect(tmp_path / "f.duckdb") as connection:
        connection.register("frame", frame.to_arrow())
        connection.execute("create table a as select n from frame; create table b as select t from frame")
    with closing(sqlite3.connect(tmp_path / "f.db")) as lite:
        lite.execute("create table a as select 80611700198 as n")
        lite.commit()
    (tmp_path / "f.gz").write_bytes(gzip.compress(b"x80611700198"))
    (tmp_path / "f.bin").write_bytes(b"x" + (80611700198).to_bytes(8, "little"))
    for path in tmp_path.iterdir():
        assert {n for _, content in unpacked(path) for n in holds_number(content, wanted)} == wanted, path


def test_no_person_s_number_is_left_outside(told: tuple[Folder, list[Ran]], numbers: set[bytes]) -> None:
    folder, _ = told
    found = {
        f"{path.relative_to(folder.data)} ({form})": sorted(held)[:3]
        for path in left_outside(folder)
        for form, content in unpacked(path)
        if (held := holds_number(content, numbers))
    }
    assert found == {}


def test_unexpected_columns_are_named_where_their_name_is_one(told: tuple[Folder, list[Ran]]) -> None:
    folder, _ = told
    (address, number) = folder.ledger()["planted"]["unexpected_columns"]["personen"]
    assert address == "adres" and "not repeated" in number


def test_no_number_is_a_file_s_name(told: tuple[Folder, list[Ran]], numbers: set[bytes]) -> None:
    folder, _ = told
    outside = [path for path in folder.data.rglob("*") if path.relative_to(folder.data).parts[0] not in RESTRICTED]
    assert not [path for path in outside if holds_number(path.name.encode(), numbers)]


def test_nothing_that_was_said_names_a_person(told: tuple[Folder, list[Ran]], numbers: set[bytes]) -> None:
    for ran in told[1]:
        assert "Traceback" not in ran.said
        assert not holds_number(ran.said.encode(), numbers)
        assert not [canary for canary in (TEXT, FREE_TEXT, *xml.CANARIES) if canary in ran.said]


def test_no_name_and_no_free_text_is_left_outside(told: tuple[Folder, list[Ran]]) -> None:
    folder, _ = told
    canaries = [canary.encode() for canary in (TEXT, FREE_TEXT, *xml.CANARIES)]
    found = {
        (str(path.relative_to(folder.data)), canary)
        for path in left_outside(folder)
        for _, content in unpacked(path)
        for canary in canaries
        if canary in content
    }
    assert found == set()


def test_values_that_were_wrong_are_in_the_quarantine(told: tuple[Folder, list[Ran]]) -> None:
    """So the search above was for something that was there."""
    folder, _ = told
    kept = folder.rows(f"select extract from quality.quarantined_rows where contains(row::varchar, '{TEXT}')")
    assert {extract for (extract,) in kept} == {*QUARANTINED_FOR}


def test_names_are_in_the_archive_only(told: tuple[Folder, list[Ran]]) -> None:
    """Not even the quarantine of unreadable dossiers holds what stands in them: only their file names and a reason."""
    folder, _ = told
    kept = folder.rows("select row::varchar from quality.quarantined_rows where extract = 'dossiers'")
    assert len(kept) == 3
    # A file may be named after the person; what stands inside is not repeated.
    assert not [canary for (row,) in kept for canary in xml.CANARIES[2:] if canary in row]


def test_the_number_of_the_registry_goes_no_further_than_staging(told: tuple[Folder, list[Ran]]) -> None:
    folder, _ = told
    told_of = {f"{n:032x}".encode() for n in range(1, 2000)} | {b"0A" * 16, b"0B" * 16}
    for path in folder.settings.published.rglob("*"):
        if path.is_file():
            for _, content in unpacked(path):
                assert not set(re.findall(rb"[0-9a-fA-F]{32}", content)) & told_of


def test_what_is_published_is_about_nobody(told: tuple[Folder, list[Ran]]) -> None:
    """No pseudonym, no contract: the marts hold counts."""
    folder, _ = told
    hexes = {
        match
        for path in folder.settings.published.rglob("*")
        if path.is_file() and path.suffix != ".json"
        for _, content in unpacked(path)
        for match in re.findall(rb"\b[0-9a-f]{32}\b", content)
    }
    persons = {key.encode() for (key,) in folder.rows("select person_key from facts.dim_person")}
    assert persons and not hexes & persons
    assert json.loads((folder.settings.published / "current" / "manifest.json").read_bytes())["synthetic"] is True


@pytest.mark.parametrize("zone", RESTRICTED)
def test_restricted_folders_are_for_their_owner_only(told: tuple[Folder, list[Ran]], zone: str) -> None:
    folder, _ = told
    assert (folder.data / zone).stat().st_mode & 0o777 == 0o700


def test_the_key_is_for_its_owner_only(told: tuple[Folder, list[Ran]]) -> None:
    assert (told[0].data / "pseudonym.key").stat().st_mode & 0o777 == 0o600
