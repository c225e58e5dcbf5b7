"""Purged is everybody about whom nothing is dated from a day on, and nobody else; who is active again comes back."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from orchestration.ledger import Ledger
from tests.deliveries import COLUMNS
from tests.erasing.conftest import PARENTS, rows_in
from tests.erasing.test_erase import as_if_never_there, traces
from tests.night.nights import Folder
from tests.past.conftest import ALIAS, LATE, ORPHAN, PERSON

BEFORE = "2015-01-01"
pytestmark = pytest.mark.slow


def last_days(deliveries: list[Path]) -> dict[str, str]:
    """Number → the last date in any row of it, or of a row that hangs on one of its; '' where there is none."""
    days: dict[str, str] = defaultdict(str)
    owners: dict[tuple[str, str], str] = {}
    every = [(path.stem, row) for delivery in deliveries for path in delivery.glob("*.csv") for row in rows_in(path)]
    for extract, row in every:
        if extract in ("contracten", "trajecten") and row.get("insz"):
            owners[extract, row[COLUMNS[extract][0]]] = row["insz"]
    for extract, row in every:
        numbers = [row[column] for column in ("insz", "oude_insz", "nieuwe_insz") if row.get(column)]
        if extract in PARENTS:
            parent, link = PARENTS[extract]
            numbers = [owners[parent, row[link]]] if (parent, row[link]) in owners else []
        texts = [text for column, text in row.items() if text and column != "geboortedatum"]
        found = [text for text in texts if _is_day(text) and text != "9999-12-31"]
        for number in numbers:
            days[number] = max([days[number], *found])
    return days


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def purged(deliveries: list[Path], before: str) -> set[str]:
    """Numbers of persons to purge: all numbers of a person decide together."""
    days, person = last_days(deliveries), {}
    changes = [row for d in deliveries for path in d.glob("insz_wijzigingen.csv") for row in rows_in(path)]
    for number in days:
        person[number] = number
    for _ in range(10):
        for row in changes:
            one, other = row["oude_insz"], row["nieuwe_insz"]
            if one in person and other in person:
                person[one] = person[other] = min(person[one], person[other])
    last: dict[str, str] = defaultdict(str)
    for number, day in days.items():
        last[person[number]] = max(last[person[number]], day)
    return {number for number in days if last[person[number]] < before}


def test_purged_are_those_and_no_others(copied: Folder, deliveries: list[Path], tmp_path: Path) -> None:
    numbers = purged(deliveries, BEFORE)
    active = {ALIAS, PERSON, LATE, ORPHAN}
    assert len(numbers) > 10 and not numbers & active
    ran = copied.kbi("purge", "--before", BEFORE)
    assert ran.exit_code == 0, ran.said
    # What is too short to be a number stands in others.
    assert traces(copied, {number for number in numbers if len(number) == 11}) == []
    as_if_never_there(copied, deliveries, tmp_path, numbers)
    (record,) = [json.loads(line) for line in (copied.data / "records.jsonl").read_text().splitlines()]
    assert record["act"] == "purge" and record["before"] == BEFORE and 10 < record["persons"] <= len(numbers)
    assert copied.kbi("purge", "--before", BEFORE).exit_code == 0


def test_who_is_active_again_comes_back(copied: Folder, deliveries: list[Path]) -> None:
    numbers = purged(deliveries, BEFORE)
    assert copied.kbi("purge", "--before", BEFORE).exit_code == 0
    back = min(n for n in numbers if any(r["insz"] == n for r in rows_in(deliveries[0] / "contracten.csv")))
    again = copied.landing / "later"
    shutil.copytree(deliveries[0], again)
    persons = again / "attesten.csv"
    columns = COLUMNS["attesten"]
    document = {"attest_id": "D-back", "insz": back, "soort": "ATTEST", "type": "AI023", "datum_aanmaak": "2017-02-01"}
    with persons.open("a") as file:
        file.write(";".join(document.get(column, "") for column in columns) + "\n")
    manifest = json.loads((again / "manifest.json").read_text())
    manifest |= {"delivery_id": "later", "extracted_at": "2017-02-28T22:00:00+01:00"}
    for file in manifest["files"]:
        if file["extract"] == "attesten":
            file |= {"rows": file["rows"] + 1, "sha256": sha256(persons.read_bytes()).hexdigest()}
    (again / "manifest.json").write_text(json.dumps(manifest))
    ran = copied.night("--accept-volume", "later")
    assert ran.exit_code == 0, ran.said
    others = {number for number in numbers - {back} if len(number) == 11}
    assert traces(copied, {back}) and traces(copied, others) == []
    entry = Ledger(copied.settings.ledger).of("later")
    assert entry and entry.left_out["personen"] >= 10
