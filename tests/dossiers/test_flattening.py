"""Files become text Parquet: numbered, counted, in batches, and without anybody's name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from orchestration.dossiers import FLATTENED_EXTRACTS, IS_DUPLICATE, dossier_names, flatten, flattening
from orchestration.manifest import Refusal
from schemas import DOSSIER_ERROR
from tests.deliveries import COLUMNS, insz
from tests.dossiers import answers as xml

FILES = {
    "b.xml": xml.full_dossier(insz(2)),
    "a.xml": xml.full_dossier(insz(1)),
    "c.xml": xml.error_reply("De bron antwoordt niet"),
    "d.xml": xml.full_dossier(insz(1)),
    "e.xml": b"<geen dossier",
    "f.xml": xml.error_reply("De bron antwoordt niet"),
    "B.xml": xml.dossier(insz(3)),
    "lees-mij.txt": b"geen dossier",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "dossiers" / "map.xml").mkdir(parents=True)
    return xml.write(tmp_path / "dossiers", FILES)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "dossiers.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.mkdir("map.xml")
        for name, content in FILES.items():
            file.writestr(name, content)
    return path


@pytest.fixture(params=["directory", "archive"])
def delivered(request) -> Path:
    return request.getfixturevalue(request.param)


def test_every_file_is_numbered_by_name_and_is_good_invalid_or_a_duplicate(delivered, tmp_path, key):
    flattened = flatten(delivered, tmp_path / "out", key)
    files = pl.read_parquet(tmp_path / "out" / "dossiers.parquet")
    assert files.select("line_number", "file_name", "insz", IS_DUPLICATE).rows() == [
        (1, "B.xml", insz(3), False),
        (2, "a.xml", insz(1), False),
        (3, "b.xml", insz(2), False),
        (4, "c.xml", None, False),
        (5, "d.xml", None, True),
        (6, "e.xml", None, False),
        (7, "f.xml", None, True),
    ]
    errors = files[DOSSIER_ERROR].to_list()
    assert errors[3] == "De bron antwoordt niet"
    assert errors[5].startswith("Not well-formed XML")
    assert [i for i, error in enumerate(errors) if error is None] == [0, 1, 2, 4, 6]
    assert (flattened.files, flattened.invalid, flattened.duplicates) == (7, 2, 2)
    assert dossier_names(delivered) == files["file_name"].to_list()


@pytest.mark.parametrize("delta", [False, True])
def test_extracts_are_text_parquet_in_the_columns_of_the_contract(delivered, tmp_path, key, delta):
    flattened = flatten(delivered, tmp_path / "out", key, delta=delta)
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {*FLATTENED_EXTRACTS, "dossiers"}
    for extract in FLATTENED_EXTRACTS:
        rows = pl.read_parquet(tmp_path / "out" / f"{extract}.parquet")
        columns = [*COLUMNS[extract], *(["verwijderd"] if delta else [])]
        assert rows.schema == {"line_number": pl.Int64, **dict.fromkeys(columns, pl.String)}
        assert rows["line_number"].to_list() == list(range(1, flattened.rows[extract] + 1))
        assert not delta or rows["verwijderd"].null_count() == rows.height
    assert flattened.rows["personen"] == 3
    assert flattened.rows["mo_cursussen"] == 4
    persons = pl.read_parquet(tmp_path / "out" / "personen.parquet")
    assert persons["insz"].to_list() == [insz(3), insz(1), insz(2)]


def test_what_is_not_in_a_block_is_null_and_never_empty_text(delivered, tmp_path, key):
    flatten(delivered, tmp_path / "out", key)
    for extract in FLATTENED_EXTRACTS:
        texts = pl.read_parquet(tmp_path / "out" / f"{extract}.parquet").select(pl.col(pl.String))
        assert all(value is None or value == value.strip() != "" for row in texts.iter_rows() for value in row)
    persons = pl.read_parquet(tmp_path / "out" / "personen.parquet")
    assert persons["nationaliteit_code"].null_count() == persons["nis_gemeente"].null_count() == persons.height


def test_a_directory_and_a_zip_of_it_give_the_same_rows(directory, archive, tmp_path, key):
    assert flatten(directory, tmp_path / "one", key) == flatten(archive, tmp_path / "two", key)
    for path in (tmp_path / "one").iterdir():
        assert pl.read_parquet(path).equals(pl.read_parquet(tmp_path / "two" / path.name))


def test_batches_change_nothing(directory, tmp_path, key, monkeypatch):
    flatten(directory, tmp_path / "one", key)
    monkeypatch.setattr(flattening, "_ROWS_PER_BATCH", 2)
    flatten(directory, tmp_path / "two", key)
    for path in (tmp_path / "one").iterdir():
        assert pl.read_parquet(path).equals(pl.read_parquet(tmp_path / "two" / path.name))


def test_nobody_s_name_is_in_any_output(delivered, tmp_path, key):
    flatten(delivered, tmp_path / "out", key)
    written = "".join(pl.read_parquet(path).write_csv() for path in (tmp_path / "out").iterdir())
    assert insz(1) in written
    assert all(canary.encode() in FILES["a.xml"] for canary in xml.CANARIES)
    assert not [canary for canary in xml.CANARIES if canary in written]


def test_no_dossiers_are_no_rows(tmp_path, key):
    flattened = flatten(xml.write(tmp_path / "dossiers", {}), tmp_path / "out", key)
    assert (flattened.files, sum(flattened.rows.values())) == (0, 0)
    assert pl.read_parquet(tmp_path / "out" / "personen.parquet").columns == ["line_number", *COLUMNS["personen"]]


def test_two_dossiers_of_one_person_are_both_flattened_under_the_same_identifiers(tmp_path, key):
    blocks = [xml.element("Contracten", xml.contract(mo=flag)) for flag in ("true", "false")]
    files = {f"{i}.xml": xml.dossier(insz(1), block) for i, block in enumerate(blocks)}
    flatten(xml.write(tmp_path / "dossiers", files), tmp_path / "out", key)
    contracts = pl.read_parquet(tmp_path / "out" / "contracten.parquet")
    assert contracts["onderdeel_mo"].to_list() == ["true", "false"]
    assert contracts["contract_id"].n_unique() == 1


def test_files_too_large_to_be_dossiers_are_told_apart_to_their_last_byte(tmp_path, key, monkeypatch):
    monkeypatch.setattr("orchestration.dossiers.answers.MAX_DOSSIER_BYTES", 100)
    monkeypatch.setattr(flattening, "MAX_DOSSIER_BYTES", 100)
    files = {"1.xml": b"a" * 200, "2.xml": b"a" * 199 + b"b", "3.xml": b"a" * 200}
    flattened = flatten(xml.write(tmp_path / "dossiers", files), tmp_path / "out", key)
    assert (flattened.invalid, flattened.duplicates) == (2, 1)


def test_a_file_that_is_no_zip_is_refused(tmp_path, key):
    (tmp_path / "dossiers.zip").write_bytes(b"geen zip")
    with pytest.raises(Refusal) as refused:
        flatten(tmp_path / "dossiers.zip", tmp_path / "out", key)
    assert refused.value.code == "file_unreadable"
    assert "unpacked" in refused.value.detail


def test_a_zip_with_a_broken_member_is_refused(archive, tmp_path, key):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo("a.xml").header_offset + 200
    content[start : start + 20] = b"\0" * 20
    archive.write_bytes(content)
    with pytest.raises(Refusal) as refused:
        flatten(archive, tmp_path / "out", key)
    assert refused.value.code == "file_unreadable"
