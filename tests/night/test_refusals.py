"""Every reason to refuse a delivery whole, through the real night, beside a delivery that is good."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.intake import take_waiting
from tests.deliveries import COLUMNS, columns_of, combined, csv_bytes, minimal_registry, write_delivery, write_files
from tests.night.nights import Folder, Lines, Ran

N_PERSONS = 60
REGISTRY = combined(*(minimal_registry(n) for n in range(1, N_PERSONS + 1)))

FILE_UNREADABLE = {"wachtlijst": (b'insz;onderdeel;datum;module_code\n"no end of quote;MO;2014-04-01;M1\n', 1)}


def edit_manifest(delivery: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = delivery / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def entry_of(manifest: dict[str, Any], extract: str) -> dict[str, Any]:
    return next(entry for entry in manifest["files"] if entry["extract"] == extract)


def files_of(tables: dict[str, list[dict[str, Any]]]) -> dict[str, tuple[bytes, int]]:
    return {name: (csv_bytes(columns_of(name, rows), rows), len(rows)) for name, rows in tables.items()}


def without(extract: str, column: str) -> dict[str, tuple[bytes, int]]:
    columns = [name for name in COLUMNS[extract] if name != column]
    return {extract: (csv_bytes(columns, REGISTRY[extract]), N_PERSONS)}


def with_undated_waiting_list(n: int) -> dict[str, list[dict[str, Any]]]:
    tables = combined(REGISTRY)
    for row in tables["wachtlijst"][:n]:
        row["datum"] = "2015-02-29"
    tables["wachtlijst"][0]["onderdeel"] = "LO"
    return tables


def moment(day: int) -> str:
    return f"2016-03-{day:02d}T23:00:00+01:00"


def deliver(landing: Path) -> None:
    """The good one, then one full delivery for each reason, and a delta; named after the code they must get."""

    def full(code: str, day: int, **settings: Any) -> Path:
        return write_delivery(landing, code, moment(day), settings.pop("tables", REGISTRY), **settings)

    def bytes_of(code: str, day: int, files: dict[str, tuple[bytes, int]]) -> Path:
        return write_files(landing / code, moment(day), files_of(REGISTRY) | files)

    full("good", 1)
    (full("file_missing", 2) / "addenda.csv").unlink()
    with (full("checksum_mismatch", 3) / "personen.csv").open("a") as file:
        file.write("\n")
    edit_manifest(full("row_count_mismatch", 4), lambda m: entry_of(m, "trajecten").update(rows=N_PERSONS + 1))
    bytes_of("file_unreadable", 5, FILE_UNREADABLE)
    bytes_of("column_missing", 6, without("contracten", "kbo_nummer"))
    edit_manifest(
        full("extract_unknown", 7), lambda m: m["files"].append(entry_of(m, "addenda") | {"extract": "x", "path": "x"})
    )
    edit_manifest(full("extract_missing", 8), lambda m: m["files"].remove(entry_of(m, "inbreuken")))
    full("quarantine_rate_exceeded", 9, tables=with_undated_waiting_list(20))
    full("volume_dropped", 10, tables=combined(*(minimal_registry(n) for n in range(1, 31))))
    full("synthetic_mismatch", 11, synthetic=False)
    full("predecessor_refused", 12, tables={"wachtlijst": REGISTRY["wachtlijst"]}, kind="delta")
    edit_manifest(full("manifest_invalid", 13), lambda m: m.update(kind="partial"))


CODES = (
    *("manifest_invalid", "file_missing", "checksum_mismatch", "row_count_mismatch", "file_unreadable"),
    *("column_missing", "extract_unknown", "extract_missing", "quarantine_rate_exceeded", "volume_dropped"),
    *("synthetic_mismatch", "predecessor_refused"),
)
"""Of the contract's codes those that a first night can meet. The others need a delivery taken in an earlier night."""


@dataclass
class Told:
    """A night, and what was told of deliveries after it: by the warehouse, and by ``kbi status``."""

    ran: Ran
    deliveries: dict[str, tuple[str, str | None, str | None]]
    status: dict[str, Any]
    releases: list[str]


@pytest.fixture(scope="module")
def folder_of_nights(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("refusals"))


@pytest.fixture(scope="module")
def nights(folder_of_nights: Folder) -> list[Told]:
    folder, told = folder_of_nights, []

    def night(*arguments: str) -> None:
        ran = folder.night(*arguments)
        rows = folder.rows("select delivery_id, status, refusal_code, refusal_detail from quality.deliveries")
        told.append(Told(ran, {row[0]: row[1:] for row in rows}, folder.status(), folder.releases()))

    deliver(folder.landing)
    night()
    night()
    # The contract's other two codes, and one delivery that comes again repaired under its name.
    write_delivery(folder.landing, "delivery_out_of_order", "2016-02-28T23:00:00+01:00", REGISTRY)
    good = (folder.landing / "good" / "addenda.csv").read_bytes()
    (folder.landing / "good" / "addenda.csv").write_bytes(good + b"\n")
    write_files(folder.landing / "file_missing", moment(2), files_of(REGISTRY))
    night()
    (folder.landing / "good" / "addenda.csv").write_bytes(good)
    write_delivery(folder.landing, "dropped_again", moment(14), minimal_registry(1))
    night("--accept-volume", "volume_dropped")
    return told


def refused(told: Told) -> dict[str, str]:
    return {delivery_id: code for delivery_id, result, code in told.ran.lines if result == "refused"}


def test_each_is_refused_for_its_own_reason_and_the_good_one_is_published(nights: list[Told]) -> None:
    first = nights[0]
    assert first.ran.exit_code == 3
    assert sorted(first.ran.lines) == sorted([("good", "taken", ""), *((code, "refused", code) for code in CODES)])
    assert first.ran.stdout.count("\n") == len(CODES) + 1
    assert len(first.releases) == 1
    assert "Traceback" not in first.ran.said


def test_the_warehouse_tells_of_all_of_them(nights: list[Told]) -> None:
    told = nights[0].deliveries
    assert told.pop("good") == ("taken", None, None)
    assert {delivery_id: (status, code) for delivery_id, (status, code, _) in told.items()} == {
        code: ("refused", code) for code in CODES
    }


def test_the_error_names_delivery_and_file(nights: list[Told]) -> None:
    files = {
        "file_missing": "addenda.csv",
        "checksum_mismatch": "personen.csv",
        "row_count_mismatch": "trajecten.csv",
        "file_unreadable": "wachtlijst.csv",
        "column_missing": "contracten.csv",
        **dict.fromkeys(("manifest_invalid", "extract_unknown", "extract_missing"), "manifest.json"),
    }
    details = {code: detail for code, (_, _, detail) in nights[0].deliveries.items()}
    for code, file in files.items():
        assert code in details[code] and file in details[code]
        assert details[code] in nights[0].ran.stderr


def test_the_counts_per_rule_are_kept_with_the_refusal(nights: list[Told]) -> None:
    deliveries = {told["delivery_id"]: told for told in nights[0].status["deliveries"]}
    told = deliveries["quarantine_rate_exceeded"]
    assert (told["status"], told["refusal_code"]) == ("refused", "quarantine_rate_exceeded")
    assert told["rule_counts"] == {"wachtlijst": {"type_invalid": 20, "code_unknown": 1}}


def test_what_lies_there_unchanged_is_tried_again_without_noise(nights: list[Told]) -> None:
    first, second = nights[:2]
    assert second.ran.exit_code == 0
    assert sorted(second.ran.lines) == sorted(
        [("good", "unchanged", ""), *(line for line in first.ran.lines if line[1] == "refused")]
    )
    assert second.releases == first.releases
    assert "Refused" not in second.ran.stderr


def test_a_delivery_may_come_again_repaired(nights: list[Told]) -> None:
    lines: Lines = nights[2].ran.lines
    assert ("file_missing", "taken", "") in lines
    assert nights[2].deliveries["file_missing"] == ("taken", None, None)
    assert len(nights[2].releases) == 2


def test_what_was_taken_may_not_change_and_nothing_older_may_follow(nights: list[Told]) -> None:
    third = nights[2]
    assert third.ran.exit_code == 3
    assert {"good": "delivery_changed", "delivery_out_of_order": "delivery_out_of_order"}.items() <= refused(
        third
    ).items()
    assert third.deliveries["good"][:2] == ("refused", "delivery_changed")
    still = {code: code for code in CODES if code != "file_missing"}
    assert still.items() <= refused(third).items()


def test_the_bytes_of_that_time_are_unchanged_again(nights: list[Told]) -> None:
    assert ("good", "unchanged", "") in nights[3].ran.lines
    assert nights[3].deliveries["good"] == ("taken", None, None)


def test_a_drop_in_volume_is_accepted_for_the_named_delivery_only(nights: list[Told]) -> None:
    fourth = nights[3]
    assert ("volume_dropped", "taken", "") in fourth.ran.lines
    assert refused(fourth)["dropped_again"] == "volume_dropped"
    assert fourth.ran.exit_code == 3


def test_what_was_refused_before_a_full_delivery_is_then_out_of_order(
    nights: list[Told], folder_of_nights: Folder
) -> None:
    assert refused(nights[3])["checksum_mismatch"] == "checksum_mismatch"  # judged before what came later
    later = {outcome.delivery_id: outcome for outcome in take_waiting(folder_of_nights.settings)}
    for code in ("checksum_mismatch", "file_unreadable", "quarantine_rate_exceeded"):
        assert (later[code].code, later[code].is_news) == ("delivery_out_of_order", False)
    assert later["volume_dropped"].result == "unchanged"


def test_a_real_delivery_needs_a_key_of_its_own(folder: Folder) -> None:
    write_delivery(folder.landing, "real", moment(1), minimal_registry(1), synthetic=False)
    ran = folder.night()
    assert (ran.exit_code, ran.stdout) == (3, "real\trefused\tpseudonym_key_missing\n"), ran.stderr
    assert "KBI_PSEUDONYM_KEY_FILE" in ran.stderr and "Traceback" not in ran.stderr
    assert not folder.settings.warehouse.exists() and not (folder.settings.published / "current").exists()
    assert not (folder.data / "pseudonym.key").exists()
    assert folder.night().exit_code == 0
