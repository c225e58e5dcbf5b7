"""An earlier release is served again at once, and stays until there is something new."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import publication
from orchestration.ledger import Ledger
from orchestration.publication import (
    Release,
    UnknownRelease,
    current,
    needs_publication,
    publish,
    roll_back,
    rollback_in_force,
)
from orchestration.records import records
from orchestration.settings import Settings
from orchestration.status import status
from tests.publication.nights import KNOWN_ON, data_folder, taken


@dataclass
class Place:
    """A folder with two releases, of other code each; the second is served."""

    settings: Settings
    old: Release
    new: Release
    monkeypatch: pytest.MonkeyPatch

    def use_code(self, version: str) -> None:
        self.monkeypatch.setattr(publication, "code_version", lambda: version)

    def take(self, day_offset: int) -> None:
        """A delivery is taken, and the warehouse built from it."""
        entry = taken(KNOWN_ON + timedelta(days=day_offset))
        Ledger(self.settings.ledger).record(entry)
        with duckdb.connect(self.settings.warehouse) as connection:
            connection.execute(
                "insert into registry.deliveries select * replace (? as delivery_id, ?::timestamptz as extracted_at)"
                " from registry.deliveries limit 1",
                [entry.delivery_id, entry.extracted_at],
            )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(data_folder(tmp_path), None, None, monkeypatch)
    for version in ("old", "new"):
        place.use_code(version)
        setattr(place, version, publish(place.settings))
    assert current(place.settings).release_id == place.new.release_id != place.old.release_id
    return place


def test_only_the_link_changes(place):
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in place.settings.published.glob("2*/**/*") if path.is_file()}

    before = files()
    assert roll_back(place.settings, place.old.release_id).release_id == place.old.release_id
    assert files() == before
    assert (place.settings.published / "current").readlink() == Path(place.old.release_id)
    assert sorted(path.name for path in place.settings.published.iterdir()) == sorted(
        [place.old.release_id, place.new.release_id, "current"]
    )


def test_of_what_is_served_already_nothing_changes_and_nothing_is_recorded(place):
    for release, n_records in ((place.new, 0), (place.old, 1), (place.old, 1)):
        assert roll_back(place.settings, release.release_id).release_id == release.release_id
        assert len(records(place.settings)) == n_records
    assert rollback_in_force(place.settings).served == place.old.release_id


def test_a_night_without_news_does_not_undo_it(place):
    roll_back(place.settings, place.old.release_id)
    for _ in range(2):
        assert not needs_publication(place.settings)
        assert publish(place.settings).release_id == place.old.release_id
        assert current(place.settings).release_id == place.old.release_id
    refused = taken(KNOWN_ON + timedelta(days=1), status="refused", refusal_code="file_missing", taken_at=None)
    Ledger(place.settings.ledger).record(refused)
    assert publish(place.settings).release_id == place.old.release_id, "a refused delivery is nothing new to publish"


def test_a_delivery_ends_it(place):
    roll_back(place.settings, place.old.release_id)
    place.take(1)
    assert needs_publication(place.settings)
    assert publish(place.settings).release_id == current(place.settings).release_id
    assert current(place.settings).release_id not in (place.old.release_id, place.new.release_id)
    assert rollback_in_force(place.settings) is None
    assert not needs_publication(place.settings)


def test_other_code_ends_it(place):
    roll_back(place.settings, place.old.release_id)
    place.use_code("newer")
    assert needs_publication(place.settings)
    newest = publish(place.settings)
    assert current(place.settings).release_id == newest.release_id
    assert rollback_in_force(place.settings) is None
    place.use_code("new")
    assert publish(place.settings).release_id == place.new.release_id, "it does not come back with the code of then"


def test_what_was_taken_but_not_published_when_rolled_back_stays_unpublished(place):
    """The night that took it may be running at that moment."""
    place.take(1)
    roll_back(place.settings, place.old.release_id)
    assert publish(place.settings).release_id == place.old.release_id
    place.take(2)
    assert [d["delivery_id"] for d in publish(place.settings).manifest["deliveries"]][1:] == [
        str(KNOWN_ON + timedelta(days=1)),
        str(KNOWN_ON + timedelta(days=2)),
    ]


def test_rolled_back_while_a_night_writes_its_release(place, monkeypatch):
    place.take(1)
    write = publication.write_release

    def slow(settings: Settings) -> Release:
        written = write(settings)
        roll_back(settings, place.old.release_id)
        return written

    monkeypatch.setattr(publication, "write_release", slow)
    assert publish(place.settings).release_id == place.old.release_id == current(place.settings).release_id


def test_the_release_replaced_can_be_served_again(place):
    roll_back(place.settings, place.old.release_id)
    roll_back(place.settings, place.new.release_id)
    assert current(place.settings).release_id == place.new.release_id
    assert rollback_in_force(place.settings) is None
    assert not needs_publication(place.settings)


def test_going_back_twice_still_knows_what_the_nights_published(place):
    place.use_code("newest")
    newest = publish(place.settings)
    roll_back(place.settings, place.new.release_id)
    roll_back(place.settings, place.old.release_id)
    assert rollback_in_force(place.settings).instead_of == newest.release_id
    assert publish(place.settings).release_id == place.old.release_id


def test_it_leaves_a_record(place):
    roll_back(place.settings, place.old.release_id, "wrong extract")
    roll_back(place.settings, place.new.release_id)
    with pytest.raises(UnknownRelease):
        roll_back(place.settings, "other")
    old, new = place.old.release_id, place.new.release_id
    assert [(made.act, made.details) for made in records(place.settings)] == [
        ("rollback", {"release": old, "instead_of": new, "reason": "wrong extract"}),
        ("rollback", {"release": new, "instead_of": old, "reason": ""}),
    ]


def test_killed_between_its_two_steps_nothing_happened(place, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(publication, "_serve", killed)
        with pytest.raises(Killed):
            roll_back(place.settings, place.old.release_id)
    assert current(place.settings).release_id == place.new.release_id
    assert rollback_in_force(place.settings) is None
    place.use_code("newer")
    assert needs_publication(place.settings)


@pytest.mark.parametrize("name", ["2016-09-08.01-00000000", "current", "as-known", "..", ""])
def test_an_unknown_release_is_answered_with_those_there_are(place, name):
    with pytest.raises(UnknownRelease) as told:
        roll_back(place.settings, name)
    assert place.old.release_id in str(told.value)
    assert place.new.release_id in str(told.value)
    assert current(place.settings).release_id == place.new.release_id


def test_an_unknown_release_leaves_no_trace(tmp_path):
    settings = Settings(landing=tmp_path / "landing", data=tmp_path / "data")
    with pytest.raises(UnknownRelease, match="Nothing was published yet"):
        roll_back(settings, "2016-09-08.01-00000000")
    assert list(tmp_path.iterdir()) == []


def test_status_says_that_an_earlier_release_is_served(place):
    assert json.loads(status(place.settings).as_json())["rollback"] is None
    assert "EARLIER RELEASE" not in status(place.settings).as_text()
    roll_back(place.settings, place.old.release_id, "wrong extract")
    told = status(place.settings)
    document = json.loads(told.as_json())
    assert document["publication"]["release_id"] == place.old.release_id
    assert document["publication_due"] is False
    assert document["rollback"]["instead_of"] == place.new.release_id
    assert document["rollback"]["reason"] == "wrong extract"
    text = told.as_text()
    assert "AN EARLIER RELEASE IS SERVED" in text
    assert "wrong extract" in text
    assert f"`kbi rollback {place.new.release_id}`" in text
