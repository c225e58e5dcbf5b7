"""One registry that moves: six deliveries, a night after each, and what was published and answered that day."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from orchestration.simulation.deliveries import simulate
from tests.deliveries import insz, write_delivery
from tests.night.nights import Folder, bytes_under

START, UNTIL = date(2016, 9, 8), date(2017, 3, 31)
ALIAS, PERSON, LATE, ORPHAN = (insz(n) for n in range(40_001, 40_005))


@dataclass(frozen=True)
class Night:
    """``day``: date of its delivery; ``parquet``: the files published; ``answer``: JSON as of the minister's day."""

    delivery_id: str
    day: date
    release_id: str
    parquet: Mapping[str, bytes]
    answer: str


@dataclass(frozen=True)
class Story:
    """A folder in which all of the deliveries were taken, each by a night of its own. Not to be changed: copy it."""

    folder: Folder
    nights: list[Night]

    def last_of_day(self) -> list[Night]:
        """The last night of every day: what was known at its end."""
        return list({night.day: night for night in self.nights}.values())


def person(number: str, **changes: str) -> dict[str, str]:
    return {"insz": number, "geboortedatum": "1980-05-17", "geslacht_code": "1", "nationaliteit_code": "MA"} | changes


def contract(contract_id: str, number: str, signed_on: str) -> dict[str, str]:
    return {
        "contract_id": contract_id,
        "insz": number,
        "datum_registratie": signed_on,
        "type": "ICO13G",
        "kbo_nummer": "0543307391",
        "nis_gemeente": "11002",
        "onderdeel_mo": "true",
        "onderdeel_nt2": "true",
    }


def test_of(test_id: str, number: str, kind: str, day: str, result: str) -> dict[str, str]:
    return {"test_id": test_id, "insz": number, "type": kind, "datum": day, "niveau": "A2", "resultaat": result}


DELTAS = [
    # Half past midnight in Brussels: of the first of November, whatever the day in London. Late registrations, one of
    # them of a person who is not there yet: it waits.
    ("b-late", "2016-10-31T23:30:00+00:00", date(2016, 11, 1), {
        "personen": [person(ALIAS), person(LATE)],
        "contracten": [contract("C-alias", ALIAS, "2016-03-10"), contract("C-late", LATE, "2016-04-01"),
                       contract("C-orphan", ORPHAN, "2016-05-01")],
        "afgelegde_testen": [test_of("X-1", ALIAS, "MO", "2016-06-01", "NT_GESLAAGD"),
                             test_of("X-2", LATE, "NT2", "2016-06-02", "GESLAAGD"),
                             test_of("X-3", ORPHAN, "NT2", "2016-06-03", "GESLAAGD")],
    }),
    # A corrected result, and a contract that is deleted while its test stays.
    ("c-corrected", "2016-12-15T10:00:00+01:00", date(2016, 12, 15), {
        "contracten": [{"contract_id": "C-late", "verwijderd": "true"}],
        "afgelegde_testen": [test_of("X-1", ALIAS, "MO", "2016-06-01", "GESLAAGD")],
    }),
    # Again on that day: the number was replaced, by one that has a contract of its own.
    ("d-replaced", "2016-12-15T23:30:00+01:00", date(2016, 12, 15), {
        "personen": [person(PERSON)],
        "insz_wijzigingen": [{"oude_insz": ALIAS, "nieuwe_insz": PERSON, "datum": "2016-07-01"}],
        "contracten": [contract("C-person", PERSON, "2016-07-05")],
    }),
    # The person arrives who was missed: rows that waited are released.
    ("e-released", "2017-01-31T22:00:00+01:00", date(2017, 1, 31), {"personen": [person(ORPHAN)]}),
]  # fmt: skip


@pytest.fixture(scope="session")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, date]]:
    """Directories of the deliveries, in their order, with their dates: full, four deltas, and full again."""
    out = tmp_path_factory.mktemp("deliveries")
    # The first of three is of the minister's day; the last holds late registrations of its own.
    first, *_, last = simulate(out / "simulated", 250, 2016, UNTIL, 3, dirty=0.01)
    deltas = [(write_delivery(out, id, at, tables, "delta"), day) for id, at, day, tables in DELTAS]
    return [(first, START), *deltas, (last, UNTIL)]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory, deliveries: list[tuple[Path, date]]) -> Story:
    # So few rows: the damaged ones and their children are more than the usual share, and the last full delivery lacks
    # what the deltas brought.
    folder = Folder(tmp_path_factory.mktemp("story"), {"KBI_MAX_QUARANTINE_RATE": "0.5"})
    nights = []
    for delivery, day in deliveries:
        shutil.copytree(delivery, folder.landing / delivery.name)
        ran = folder.night()
        assert ran.lines[-1] == (delivery.name, "taken", ""), ran.said
        answer = folder.kbi("answer", "--as-of", START.isoformat(), "--format", "json")
        published = bytes_under(folder.settings.published / "current" / "internal" / "parquet")
        nights.append(Night(delivery.name, day, folder.release()["release_id"], published, answer.stdout))
    return Story(folder, nights)


@pytest.fixture
def copied(story: Story, tmp_path: Path) -> Folder:
    """The same, to go on with."""
    shutil.copytree(story.folder.directory, tmp_path / "copied", symlinks=True)
    return Folder(tmp_path / "copied", story.folder.variables)
