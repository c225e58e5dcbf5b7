"""What was known on an earlier day is found again, to the byte, however much became known since."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import past, warehouse
from orchestration.dbt_runner import NodeResult
from orchestration.ledger import Entry, Ledger
from orchestration.marts import MARTS
from orchestration.night_lock import night_lock
from orchestration.past import KEPT, PastSettings
from orchestration.settings import Settings
from tests.night.nights import Folder, bytes_under
from tests.past.conftest import START, UNTIL, Story

BETWEEN = date(2016, 12, 20)
"""A day without a delivery: what was known then is what was known on the fifteenth."""


@pytest.fixture(scope="module")
def looked_back(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A copy of the story in which earlier states are asked for."""
    directory = tmp_path_factory.mktemp("back") / "story"
    shutil.copytree(story.folder.directory, directory, symlinks=True)
    return Folder(directory, story.folder.variables)


def answered(folder: Folder, *arguments: str, as_of: date = START) -> str:
    ran = folder.kbi("answer", "--as-of", as_of.isoformat(), "--format", "json", *arguments)
    assert ran.exit_code == 0, ran.said
    return ran.stdout


def all_but(directory: Path, *names: str) -> dict[str, bytes]:
    return {path: data for path, data in bytes_under(directory).items() if Path(path).parts[0] not in names}


def kept(folder: Folder) -> list[str]:
    return sorted(path.name for path in (folder.data / "past").iterdir())


def test_the_story_moves(story: Story) -> None:
    """Else the tests below would compare one state with itself."""
    for before, after in zip(story.nights, story.nights[1:], strict=False):
        assert before.parquet != after.parquet, after.delivery_id
        assert before.answer != after.answer, after.delivery_id


def test_every_earlier_state_is_published_and_answered_to_the_byte(story: Story, looked_back: Folder) -> None:
    """Full delivery, deltas, two on one day, a deletion, a replaced number, released rows."""
    before = all_but(looked_back.data, "past", "past.lock", "work", "dbt")
    for night in story.last_of_day():
        known_on = ("--known-on", night.day.isoformat())
        ran = looked_back.kbi("night", *known_on)
        assert ran.exit_code == 0, ran.said
        release = Path(ran.stdout.strip())
        assert release.parent == looked_back.settings.published / "as-known"
        assert bytes_under(release / "internal" / "parquet") == night.parquet, night.delivery_id
        manifest = json.loads((release / "manifest.json").read_bytes())
        counting = [n.delivery_id for n in story.nights if n.day <= night.day]
        assert [delivery["delivery_id"] for delivery in manifest["deliveries"]] == counting
        assert manifest["known_on"] == night.day.isoformat()
        assert manifest["release_id"] == release.name
        assert manifest["release_id"].split("-")[-1] == night.release_id.split("-")[-1], "same deliveries, same code"
        assert answered(looked_back, *known_on) == night.answer
        assert json.loads(night.answer)["known_on"] == night.day.isoformat()
    after = all_but(looked_back.data, "past", "past.lock", "work", "dbt")
    assert {path: data for path, data in after.items() if not path.startswith("published/as-known/")} == before
    assert len(list((looked_back.settings.published / "as-known").iterdir())) == len(story.last_of_day())
    assert (looked_back.settings.published / "current").readlink() == Path(story.nights[-1].release_id)


@pytest.mark.slow
@pytest.mark.slow
def test_the_release_of_an_earlier_state_is_reproduced(copied: Folder) -> None:
    ran = copied.kbi("night", "--known-on", BETWEEN.isoformat())
    release = Path(ran.stdout.strip())
    # What was published that day is of the same deliveries and code, and may have the same name.
    shutil.rmtree(copied.settings.published / release.name, ignore_errors=True)
    ran = copied.kbi("reproduce", release.name)
    assert ran.exit_code == 0, ran.said
    assert ran.stdout.splitlines() == [f"{mart}\tsame" for mart in MARTS]
    manifest = json.loads((release / "manifest.json").read_bytes())
    manifest["marts"][0]["content_sha256"] = "0" * 64
    (release / "manifest.json").write_text(json.dumps(manifest))
    ran = copied.kbi("reproduce", release.name)
    assert ran.exit_code == 4 and ran.stdout.splitlines()[:2] == ["mart_q1_pass_rate\tdiffers", f"{[*MARTS][1]}\tsame"]


def test_a_machine_that_never_saw_the_later_deliveries_says_the_same(
    story: Story, looked_back: Folder, tmp_path: Path
) -> None:
    other = Folder(tmp_path / "other", story.folder.variables)
    for night in story.nights[:4]:
        shutil.copytree(story.folder.landing / night.delivery_id, other.landing / night.delivery_id)
    assert other.night().exit_code == 0
    for as_of in (START, date(2016, 11, 30), date(2016, 12, 15)):
        told = answered(looked_back, "--known-on", BETWEEN.isoformat(), as_of=as_of)
        assert told == answered(other, as_of=as_of)


def test_quality_tables_hold_what_was_known(story: Story, looked_back: Folder) -> None:
    answered(looked_back, "--known-on", "2016-12-15")
    answered(looked_back, "--known-on", "2017-01-31")

    def asked(delivery_id: str, query: str) -> list[tuple]:
        path = looked_back.data / "past" / delivery_id / "warehouse.duckdb"
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    waiting = "select extract, released_by from quality.quarantined_rows where delivery_id = 'b-late' order by extract"
    assert asked("d-replaced", waiting) == [("afgelegde_testen", None), ("contracten", None)]
    assert asked("e-released", waiting) == [("afgelegde_testen", "e-released"), ("contracten", "e-released")]
    for night, n in (("d-replaced", 4), ("e-released", 5)):
        counting = [(told.delivery_id,) for told in story.nights[:n]]
        assert asked(night, "select delivery_id from quality.deliveries order by extracted_at") == counting
        assert {*asked(night, "select distinct delivery_id from quality.reconciliation")} == {*counting}


def test_refused_deliveries_count_by_their_own_time(copied: Folder) -> None:
    ledger = Ledger(copied.settings.ledger)
    moments = {
        "x-known": datetime(2016, 12, 15, 22, 59, tzinfo=UTC),
        "x-midnight": datetime(2016, 12, 15, 23, 0, tzinfo=UTC),
        "x-edge": datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        "x-unreadable": None,
    }
    for delivery_id, moment in moments.items():
        ledger.record(
            Entry(delivery_id=delivery_id, status="refused", extracted_at=moment, refusal_code="file_missing")
        )
    known = [entry.delivery_id for entry in ledger.entries(date(2016, 12, 15)) if entry.status == "refused"]
    assert known == ["x-known"]
    settings = PastSettings(**copied.settings.model_dump(), directory=copied.data / "past" / "here")
    path = warehouse.prepare(settings, known_on=date(2016, 12, 15))
    with duckdb.connect(str(path)) as connection:
        told = connection.execute("select delivery_id from registry.deliveries where status = 'refused'").fetchall()
    assert told == [("x-known",)]


def test_the_present_warehouse_serves_every_day_from_the_last_delivery_on(story: Story, copied: Folder) -> None:
    for known_on in (UNTIL, UNTIL + timedelta(days=1), date.max):
        assert answered(copied, "--known-on", known_on.isoformat()) == story.nights[-1].answer
    assert not (copied.data / "past").exists()
    ran = copied.kbi("night", "--known-on", UNTIL.isoformat())
    assert bytes_under(Path(ran.stdout.strip()) / "internal" / "parquet") == story.nights[-1].parquet


WRONG = {
    ("answer", "--as-of", "2016-03-01", "--known-on", "2016-09-07"): ["Nothing was known by 2016-09-07", "2016-09-08"],
    ("night", "--known-on", "2016-09-07"): ["Nothing was known by 2016-09-07", "2016-09-08"],
    ("answer", "--as-of", "2016-12-16", "--known-on", "2016-12-20"): ["2016-12-16 lies after", "of 2016-12-15"],
    ("answer", "--as-of", "2016-12-16", "--compare-known-on", "2016-12-20"): ["of 2016-12-15"],
    ("answer", "--as-of", "2017-04-01", "--known-on", "2017-05-01"): ["2017-04-01 lies after", "of 2017-03-31"],
    ("night", "--known-on", "2016-12-20", "--accept-volume", "b-late"): ["--accept-volume"],
    ("rollback", "2016-09-08.01-00000000"): ["no release '2016-09-08.01-00000000'", "There are: 2016-09-08.01-"],
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_told_before_anything_is_built(copied: Folder, arguments: tuple[str, ...]) -> None:
    before = bytes_under(copied.data)
    ran = copied.kbi(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    for words in WRONG[arguments]:
        assert words in ran.stderr
    after = bytes_under(copied.data)
    assert {path for path in after if not path.endswith(".lock")} == {p for p in before if not p.endswith(".lock")}


def test_before_the_first_delivery_it_says_so(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for arguments in (("answer", "--as-of", "2016-09-08"), ("night",)):
        ran = folder.kbi(*arguments, "--known-on", "2016-09-08")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "No delivery was taken yet" in ran.stderr


def forget(folder: Folder) -> None:
    """No earlier state is built any more."""
    with past.held_off(folder.settings):
        pass


def test_it_is_built_once_and_kept_while_used(looked_back: Folder, story: Story) -> None:
    forget(looked_back)
    days = [night.day.isoformat() for night in story.last_of_day()[:-1]]
    ids = [night.delivery_id for night in story.last_of_day()[:-1]]
    assert len(days) == KEPT + 1
    for day in days[:KEPT]:
        ran = looked_back.kbi("answer", "--as-of", "2016-09-08", "--known-on", day)
        assert "Building the warehouse as known on" in ran.stderr
    assert kept(looked_back) == sorted(ids[:KEPT])
    ran = looked_back.kbi("answer", "--as-of", "2016-09-08", "--known-on", days[0])
    assert (ran.exit_code, ran.stderr) == (0, ""), "used again, so the second is now the one unused for longest"
    answered(looked_back, "--known-on", days[KEPT])
    assert kept(looked_back) == sorted([ids[0], *ids[2:]])


@pytest.mark.parametrize("how", ["damaged", "of other deliveries", "of other code"])
def test_a_kept_warehouse_that_no_longer_holds_is_built_again(
    story: Story, looked_back: Folder, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    settings = looked_back.settings
    answered(looked_back, "--known-on", "2016-09-08")
    path = settings.data / "past" / story.nights[0].delivery_id / "warehouse.duckdb"
    if how == "damaged":
        path.write_bytes(b"not a warehouse")
    elif how == "of other deliveries":
        with duckdb.connect(str(path)) as connection:
            connection.execute("update registry.build set stamp = 'other'")
    else:
        monkeypatch.setattr(warehouse, "code_version", lambda: "other code")
    ran = looked_back.kbi("answer", "--as-of", "2016-09-08", "--known-on", "2016-09-08", "--format", "json")
    assert "Building the warehouse as known on 2016-09-08" in ran.stderr
    assert ran.stdout == story.nights[0].answer


@pytest.mark.slow
def test_it_works_while_a_night_runs_and_leaves_its_folders_alone(story: Story, looked_back: Folder) -> None:
    forget(looked_back)
    settings = looked_back.settings
    nights_own = [settings.work / "build" / "warehouse.duckdb", settings.work / "intake" / "aside"]
    for path in nights_own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of the night")
    with night_lock(settings):
        assert answered(looked_back, "--known-on", "2016-09-08") == story.nights[0].answer
    assert [path.read_text() for path in nights_own] == ["of the night"] * 2


def test_a_state_that_does_not_pass_its_checks_is_not_kept(
    looked_back: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(looked_back)
    build = past.dbt_runner.build

    def broken(*arguments, **options) -> list[NodeResult]:
        results = build(*arguments, **options)
        test = next(result for result in results if result.resource_type == "test")
        return [*results, replace(test, status="fail", failures=1234)]

    monkeypatch.setattr(past.dbt_runner, "build", broken)
    shutil.rmtree(looked_back.settings.published / "as-known", ignore_errors=True)
    for command in (("answer", "--as-of", "2016-09-08"), ("night",)):
        ran = looked_back.kbi(*command, "--known-on", "2016-10-15")
        assert (ran.exit_code, ran.stdout) == (1, "")
        assert "1,234 violations" in ran.stderr
    assert not (looked_back.settings.published / "as-known").exists()
    assert not (looked_back.data / "past").exists()


def numbers(line: str) -> list[int]:
    """The three columns of a line of counts."""
    return [int(text.replace(".", "")) for text in re.findall(r"[-+]?\d[\d.]*$|\d[\d.]*(?=\s)", line[64:])]


def comparable(document: dict, mart: str, **where: str) -> dict:
    (row,) = (
        row
        for row in document["marts"][mart]
        if row["counting_unit"] == "person" and all(row[column] == value for column, value in where.items())
    )
    return row


def test_side_by_side_it_shows_both_answers_and_their_differences(story: Story, looked_back: Folder) -> None:
    arguments = ("answer", "--as-of", "2016-09-08", "--compare-known-on", "2016-09-08")
    old, new = json.loads(story.nights[0].answer), json.loads(story.nights[-1].answer)
    document = json.loads(looked_back.kbi(*arguments, "--format", "json").stdout)
    assert document == {"as_of_date": "2016-09-08", "answers": [old, new]}
    ran = looked_back.kbi(*arguments)
    assert ran.exit_code == 0, ran.said
    text = ran.stdout.splitlines()
    assert max(map(len, text)) <= 100
    assert "zoals gekend met de levering van 8 september 2016 en met die van 31 maart 2017" in " ".join(
        ran.stdout.split()
    )
    (head,) = [line for line in text if "verschil" in line and "08/09/2016" in line]
    assert head.split() == ["08/09/2016", "31/03/2017", "verschil"]

    def shown(label: str) -> Iterator[list[int]]:
        return (numbers(line) for line in text if line.strip().startswith(label))

    def both(column: str, mart: str, **where: str) -> list[int]:
        a, b = (comparable(told, mart, **where)[column] for told in (old, new))
        return [a, b, b - a]

    all_types = {"participation_type": "all"}
    assert list(shown("Met een contract sinds")) == [both("n_population", "mart_q3_certificates", **all_types)]
    assert list(shown("personen met een inburgeringsattest")) == [
        both("n_certified", "mart_q3_certificates", **all_types)
    ]
    expected = [both("n_passed", "mart_q1_pass_rate", component=c) for c in ("mo", "nt2")] + [
        both("n_passed", "mart_q2_pass_rate_by_participation", component=c, participation_type=p)
        for c in ("mo", "nt2")
        for p in ("compulsory", "voluntary")
    ]
    passed = [line for line in text if re.match(r"    geslaagd  ", line)]
    assert [numbers(line) for line in passed] == expected
    assert any(difference for *_, difference in expected)
    for cell, label in {
        "n_completed_evaluated": "voltooid en geëvalueerd",
        "n_certified_passed": "geslaagd en met attest",
        "n_uncertified_failed": "niet geslaagd en zonder attest",
    }.items():
        assert list(shown(label)) == [both(cell, "mart_q4_completed_and_certified", **all_types)]


LATER = {
    "2016-09-08": "8 september 2016 (5 latere leveringen tellen niet mee)",
    "2017-01-31": "31 januari 2017 (een latere levering telt niet mee)",
    "2017-03-31": "31 maart 2017. Populatie",
}


@pytest.mark.parametrize("known_on", LATER)
def test_in_words_it_says_what_does_not_count(looked_back: Folder, known_on: str) -> None:
    ran = looked_back.kbi("answer", "--as-of", "2016-09-08", "--known-on", known_on)
    words = f"Zoals gekend met de levering van {LATER[known_on]}"
    assert words in " ".join(ran.stdout.split())


@pytest.mark.slow
def test_between_two_earlier_states(story: Story, looked_back: Folder) -> None:
    told = answered(looked_back, "--compare-known-on", "2016-11-01", "--known-on", "2016-12-15")
    by_id = {night.delivery_id: json.loads(night.answer) for night in story.nights}
    assert json.loads(told)["answers"] == [by_id["b-late"], by_id["d-replaced"]]


def test_a_rolled_back_release_survives_a_quiet_night(story: Story, copied: Folder) -> None:
    first = story.nights[0].release_id
    ran = copied.kbi("rollback", first, "--reason", "verkeerde levering")
    assert (ran.exit_code, first in ran.stdout) == (0, True)
    quiet = copied.night()
    assert (quiet.exit_code, copied.release()["release_id"]) == (0, first)
    shutil.copytree(copied.landing / "e-released", copied.landing / "z-refused")
    refused = copied.night()
    assert (refused.exit_code, copied.release()["release_id"]) == (3, first), "built again, and not published"
    assert f"rolled back to and nothing new since: {first}" in refused.stderr
    assert copied.status()["rollback"]["reason"] == "verkeerde levering"
    copied.kbi("rollback", story.nights[-1].release_id)
    assert copied.status()["rollback"] is None


def test_the_folders_of_the_past_are_not_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KBI_DIRECTORY", str(tmp_path / "elsewhere"))
    settings = Settings(data=tmp_path / "data", landing=tmp_path)
    assert PastSettings(**settings.model_dump(), directory=tmp_path / "here").warehouse.parent == tmp_path / "here"
