"""Which manifests are taken, and what each broken one is told."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from orchestration.manifest import DeliveredFile, Refusal, glimpse, read_manifest
from tests.deliveries import COLUMNS, minimal_registry, write_delivery

NOW = datetime(2016, 9, 9, 12, 0, tzinfo=UTC)
SHA = "0" * 64


def entries(*extracts: str) -> list[dict[str, Any]]:
    return [
        {"extract": extract, "path": f"{extract}.csv", "format": "csv", "rows": 0, "sha256": SHA}
        for extract in extracts or COLUMNS
    ]


def manifest(**changes: Any) -> dict[str, Any]:
    """A good manifest of a full delivery ``d1``, with some keys changed; ``...`` leaves a key out."""
    good = {
        "delivery_id": "d1",
        "extracted_at": "2016-09-08T23:00:00+02:00",
        "kind": "full",
        "synthetic": True,
        "files": entries(),
    }
    return {key: value for key, value in (good | changes).items() if value is not ...}


def with_entry(**changes: Any) -> dict[str, Any]:
    first, *others = entries()
    return manifest(files=[{key: v for key, v in (first | changes).items() if v is not ...}, *others])


DOSSIERS = {"extract": "dossiers", "path": "dossiers", "format": "kbi-xml", "rows": 3, "sha256": SHA}


def deliver(landing: Path, content: Any, name: str = "d1") -> Path:
    directory = landing / name
    directory.mkdir()
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (directory / "manifest.json").write_bytes(text)
    return directory


def refusal_of(directory: Path, now: datetime = NOW) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_manifest(directory, now)
    return caught.value


def test_a_written_delivery_is_read_as_it_was_written(tmp_path: Path) -> None:
    directory = write_delivery(tmp_path, "2016-09-08", "2016-09-08T23:00:00+02:00", minimal_registry())
    read = read_manifest(directory, NOW)
    assert (read.delivery_id, read.kind, read.synthetic) == ("2016-09-08", "full", True)
    assert read.extracted_at == datetime(2016, 9, 8, 21, tzinfo=UTC)
    assert [file.extract for file in read.files] == list(COLUMNS)
    assert all(file.rows == 1 and len(file.sha256) == 64 for file in read.files)
    assert read.content == (directory / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2016-09-08T23:59:59+02:00", date(2016, 9, 8)),
        ("2016-09-08T22:30:00Z", date(2016, 9, 9)),  # past midnight in Brussels
        ("2016-01-08T22:30:00Z", date(2016, 1, 8)),  # winter time
        ("2016-09-08T20:00:00-05:00", date(2016, 9, 9)),
        ("2016-09-08T23:00:00.123456+02:00", date(2016, 9, 8)),
        ("20160908T230000+0200", date(2016, 9, 8)),
    ],
)
def test_the_date_of_a_delivery_is_the_day_in_brussels(tmp_path: Path, moment: str, day: date) -> None:
    assert read_manifest(deliver(tmp_path, manifest(extracted_at=moment)), NOW).date == day


def test_what_the_contract_leaves_free_is_taken(tmp_path: Path) -> None:
    free = manifest(registry_release="4.2", files=[entry | {"remark": None} for entry in entries()])
    assert read_manifest(deliver(tmp_path, free), NOW).file_of("wachtlijst") is not None
    delta = manifest(delivery_id="d2", kind="delta", files=entries("personen"))
    assert read_manifest(deliver(tmp_path, delta, "d2"), NOW).file_of("wachtlijst") is None
    nothing = manifest(delivery_id="d3", kind="delta", files=[])
    assert read_manifest(deliver(tmp_path, nothing, "d3"), NOW).files == ()
    marked = b"\xef\xbb\xbf" + json.dumps(manifest(delivery_id="d4")).encode()
    assert read_manifest(deliver(tmp_path, marked, "d4"), NOW).delivery_id == "d4"
    upper = with_entry(sha256="AB" * 32, path="./sub//personen.csv")
    first = read_manifest(deliver(tmp_path, upper | {"delivery_id": "d5"}, "d5"), NOW).files[0]
    assert first == DeliveredFile("personen", "sub/personen.csv", "csv", 0, "ab" * 32)
    longest = "-_.Zz09" + "x" * 57
    assert read_manifest(deliver(tmp_path, manifest(delivery_id=longest), longest), NOW).delivery_id == longest


@pytest.mark.parametrize("kind", ["full", "delta"])
@pytest.mark.parametrize("path", ["dossiers", "kbi/dossiers.zip"])
def test_dossiers_need_no_other_file(tmp_path: Path, kind: str, path: str) -> None:
    read = read_manifest(deliver(tmp_path, manifest(kind=kind, files=[DOSSIERS | {"path": path}])), NOW)
    assert [(file.extract, file.path, file.rows) for file in read.files] == [("dossiers", path, 3)]


BROKEN: dict[str, Any] = {
    "empty": b"",
    "no json": b"delivery_id: d1",
    "cut off": json.dumps(manifest()).encode()[:-1],
    "two documents": json.dumps(manifest()).encode() * 2,
    "utf-16": json.dumps(manifest()).encode("utf-16"),
    "latin-1": json.dumps(manifest(remark="é"), ensure_ascii=False).encode("latin-1"),
    "a list": [manifest()],
    "null": None,
    "many wrong entries": manifest(files=[{"rows": -1}] * 9999),
    "deeply nested": b"[" * 100_000,
    "huge": json.dumps(manifest(remark="x" * (1 << 20))).encode(),
    "key twice": json.dumps(manifest()).encode().replace(b'"kind": "full"', b'"kind": "full", "kind": "delta"'),
    "key twice in an entry": json.dumps(manifest()).encode().replace(b'"rows": 0', b'"rows": 0, "rows": 0', 1),
    "number without end": json.dumps(manifest(remark=0)).encode().replace(b'"remark": 0', b'"remark": ' + b"9" * 9999),
    **{f"without {key}": manifest(**{key: ...}) for key in manifest()},
    **{f"entry without {key}": with_entry(**{key: ...}) for key in entries()[0]},
    **{
        f"delivery_id {value!r}": manifest(delivery_id=value)
        for value in ["", "d2", "D1", "d1\n", "d 1", "d/1", "dé", "x" * 65, 1, None]
    },
    **{
        f"extracted_at {value!r}": manifest(extracted_at=value)
        for value in [
            "2016-09-08",
            "2016-09-08T23:00:00",
            "2016-02-30T23:00:00+02:00",
            "8/9/2016 23:00 +02:00",
            "1473368400",
            1473368400,
            "0001-01-01T00:00:00+14:00",
            "2016-09-11T12:00:00Z",
            "2016-09-10T12:00:01Z",
            "",
            None,
        ]
    },
    **{f"kind {value!r}": manifest(kind=value) for value in ["Full", "snapshot", "", None, 1]},
    **{f"synthetic {value!r}": manifest(synthetic=value) for value in ["true", 1, 0, None]},
    **{f"files {value!r:.20}": manifest(files=value) for value in [None, {}, "personen.csv", [None], [["personen"]]]},
    **{f"rows {value!r}": with_entry(rows=value) for value in [-1, 1.0, 0.5, "0", True, None]},
    **{f"format {value!r}": with_entry(format=value) for value in ["CSV", "xlsx", "", None]},
    **{f"sha256 {value!r:.20}": with_entry(sha256=value) for value in ["", "0" * 63, "0" * 65, "g" * 64, 0, None]},
    **{
        f"path {value!r}": with_entry(path=value)
        for value in [
            "",
            ".",
            "..",
            "../d1/personen.csv",
            "sub/../../other/personen.csv",
            "sub/../personen.csv",
            "/etc/passwd",
            "//server/share",
            "..\\personen.csv",
            "sub\\personen.csv",
            "C:\\personen.csv",
            "personen.csv\0",
            "perso\nnen.csv",
            "manifest.json",
            "./manifest.json",
            None,
            1,
        ]
    },
    "extract twice": manifest(files=[*entries(), *entries("personen")]),
    "extract twice in a delta": manifest(kind="delta", files=entries("personen", "personen")),
    "one path for two": with_entry(path="contracten.csv"),
    "dossiers beside tables": manifest(files=[*entries(), DOSSIERS]),
    "dossiers twice": manifest(files=[DOSSIERS, DOSSIERS | {"path": "more"}]),
    "dossiers as csv": manifest(files=[DOSSIERS | {"format": "csv"}]),
    "table as kbi-xml": manifest(files=[DOSSIERS | {"extract": "personen"}]),
    "one table as kbi-xml": with_entry(format="kbi-xml"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_manifest_is_invalid(tmp_path: Path, content: Any) -> None:
    refused = refusal_of(deliver(tmp_path, content))
    assert refused.code == "manifest_invalid"
    assert refused.detail.startswith("Delivery d1, manifest.json: ")
    assert refused.detail.endswith(".")
    assert len(refused.detail) < 1000


def test_the_message_says_what_to_mend(tmp_path: Path) -> None:
    assert "files 0 rows Input should be" in refusal_of(deliver(tmp_path, with_entry(rows=-1))).detail
    assert "'kind' stands twice" in refusal_of(deliver(tmp_path, BROKEN["key twice"], "d2")).detail
    assert (
        "a day ahead" in refusal_of(deliver(tmp_path, manifest(delivery_id="d3"), "d3"), NOW - timedelta(days=3)).detail
    )
    assert "name of the directory" in refusal_of(deliver(tmp_path, manifest(), "d4")).detail


def test_extracted_at_may_lie_a_day_ahead(tmp_path: Path) -> None:
    ahead = manifest(extracted_at=(NOW + timedelta(days=1)).astimezone(timezone(timedelta(hours=-7))).isoformat())
    assert read_manifest(deliver(tmp_path, ahead), NOW).extracted_at == NOW + timedelta(days=1)


@pytest.mark.parametrize("kind", ["full", "delta"])
@pytest.mark.parametrize("name", ["Personen", "kinderen", "personen ", "", "\x1b[2J\n", "dossier"])
def test_an_unknown_extract(tmp_path: Path, kind: str, name: str) -> None:
    unknown = entries("personen")[0] | {"extract": name, "path": "more.csv"}
    refused = refusal_of(deliver(tmp_path, manifest(kind=kind, files=[*entries(), unknown])))
    assert refused.code == "extract_unknown"
    assert repr(name) in refused.detail and refused.detail.isprintable()


def test_an_unknown_extract_that_shares_its_file_with_another(tmp_path: Path) -> None:
    unknown = entries("personen")[0] | {"extract": "kinderen"}
    assert refusal_of(deliver(tmp_path, manifest(files=[*entries(), unknown]))).code == "extract_unknown"


def test_a_long_name_does_not_make_a_long_message(tmp_path: Path) -> None:
    unknown = [entry | {"extract": f"{n}{'x' * 9999}", "path": str(n)} for n, entry in enumerate(entries() * 2)]
    refused = refusal_of(deliver(tmp_path, manifest(kind="delta", files=unknown)))
    assert refused.code == "extract_unknown" and len(refused.detail) < 1000


@pytest.mark.parametrize("left_out", [["personen"], ["wachtlijst"], ["addenda", "inbreuken"], list(COLUMNS)])
def test_a_full_delivery_lists_every_extract(tmp_path: Path, left_out: list[str]) -> None:
    files = [entry for entry in entries() if entry["extract"] not in left_out]
    refused = refusal_of(deliver(tmp_path, manifest(files=files)))
    assert refused.code == "extract_missing"
    assert ", ".join(left_out) in refused.detail
    delta = manifest(delivery_id="d2", kind="delta", files=files)
    assert len(read_manifest(deliver(tmp_path, delta, "d2"), NOW).files) == len(files)


def test_links_and_folders_are_no_manifest(tmp_path: Path) -> None:
    real = deliver(tmp_path, manifest(delivery_id="real"), "real")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "manifest.json").symlink_to(real / "manifest.json")
    dangling = tmp_path / "dangling"
    dangling.mkdir()
    (dangling / "manifest.json").symlink_to("nowhere")
    folder = tmp_path / "folder"
    (folder / "manifest.json").mkdir(parents=True)
    pipe = tmp_path / "pipe"
    pipe.mkdir()
    os.mkfifo(pipe / "manifest.json")
    (tmp_path / "itself").symlink_to(real)
    for directory in (linked, dangling, folder, pipe, tmp_path / "itself"):
        assert refusal_of(directory).code == "manifest_invalid"
    assert refusal_of(tmp_path / "gone").code == "manifest_invalid"


def test_a_glimpse_gives_what_can_be_read(tmp_path: Path) -> None:
    at = datetime(2016, 9, 8, 21, tzinfo=UTC)
    half = manifest(kind="snapshot", files=[{"path": "a.csv"}, {"path": "../b.csv"}, {"path": 1}, "c.csv"])
    seen = glimpse(deliver(tmp_path, half))
    assert (seen.extracted_at, seen.kind, seen.synthetic, seen.paths) == (at, None, True, ("a.csv",))
    other = glimpse(deliver(tmp_path, manifest(extracted_at="yesterday", synthetic="yes", files=None), "d2"))
    assert (other.extracted_at, other.kind, other.synthetic, other.paths) == (None, "full", None, ())
    for name, content in {"d3": b"{", "d4": b"[]", "d5": b"\xff", "d6": b"[" * 100_000}.items():
        assert glimpse(deliver(tmp_path, content, name)) == glimpse(tmp_path / "gone")
    assert glimpse(tmp_path / "gone").extracted_at is None
