"""What `kbi status` says, from the ledger and the published manifest alone."""

from __future__ import annotations

import json
from datetime import date

import pytest

from orchestration.ledger import Ledger, RowAccount
from orchestration.settings import Settings
from orchestration.status import status
from tests.publication.nights import taken

RELEASE = "2016-09-08.01-0a1b2c3d"
MANIFEST = {
    "release_id": RELEASE,
    "created_at": "2016-09-09T01:40:00+00:00",
    "known_on": "2016-09-08",
    "synthetic": True,
    "deliveries": [
        {"delivery_id": "2016-09-08", "extracted_at": "2016-09-08T20:00:00+00:00", "sha256": "0" * 64},
    ],
    "code_version": "the code",
    "engines": {"python": "3.11"},
    "marts": [
        {"name": "mart_q1_pass_rate", "rows": 1200, "content_sha256": "1" * 64},
        {"name": "mart_q3_certificates", "rows": 34, "content_sha256": "2" * 64},
    ],
}
ACCOUNTS = (
    RowAccount(extract="personen", n_delivered=12_000, n_accepted=11_990, n_quarantined=7, n_duplicates=3),
    RowAccount(extract="contracten", n_delivered=1_000, n_accepted=999, n_quarantined=1, n_duplicates=0),
)
FIRST = taken(
    date(2016, 9, 8),
    reconciliation=ACCOUNTS,
    rule_counts={"personen": {"insz_invalid": 7, "code_unknown": 2}, "contracten": {"parent_quarantined": 1}},
    unexpected_columns={"personen": ("telefoon",)},
)
REFUSED = taken(
    date(2016, 9, 9),
    status="refused",
    taken_at=None,
    refusal_code="quarantine_rate_exceeded",
    refusal_detail="contracten: 30 % of the rows are quarantined, 5 % is allowed",
    rule_counts={"contracten": {"type_invalid": 1_234, "required_missing": 5}},
)


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setattr("orchestration.publication.code_version", lambda: "the code")
    return Settings(data=tmp_path / "data")


@pytest.fixture
def night(settings) -> Settings:
    """A night that took one delivery and refused one, and published."""
    for entry in (FIRST, REFUSED):
        Ledger(settings.ledger).record(entry)
    directory = settings.published / RELEASE
    directory.mkdir(parents=True)
    (directory / "manifest.json").write_text(json.dumps(MANIFEST))
    (settings.published / "current").symlink_to(RELEASE)
    return settings


def test_what_lies_there_changed_is_not_told_with_the_counts_of_what_was_taken(night):
    Ledger(night.ledger).record(FIRST.model_copy(update={"changed_fingerprint": "1" * 64}))
    lines = status(night).as_text().splitlines()
    at = lines.index("Deliveries refused: 2")
    assert lines[at + 1].startswith("  2016-09-08: delivery_changed: ")
    assert lines[at + 2].startswith("  2016-09-09: quarantine_rate_exceeded: ")


def test_the_document(night):
    document = json.loads(status(night).as_json())
    assert list(document) == ["deliveries", "publication", "publication_due", "rollback", "records", "disk"]
    one, refused = document["deliveries"]
    assert (one["delivery_id"], one["status"], one["refusal_code"]) == ("2016-09-08", "taken", None)
    assert (one["n_delivered"], one["n_accepted"], one["n_quarantined"], one["n_duplicates"]) == (13_000, 12_989, 8, 3)
    assert one["reconciliation"] == [account.model_dump() for account in ACCOUNTS]
    assert one["rule_counts"] == {
        "personen": {"insz_invalid": 7, "code_unknown": 2},
        "contracten": {"parent_quarantined": 1},
    }
    assert one["unexpected_columns"] == {"personen": ["telefoon"]}
    assert set(one) == {
        "delivery_id", "extracted_at", "kind", "synthetic", "taken_at", "status", "refusal_code", "refusal_detail",
        "rule_counts", "unexpected_columns", "reconciliation", "n_delivered", "n_accepted", "n_quarantined",
        "n_duplicates",
    }  # fmt: skip
    assert (refused["delivery_id"], refused["status"]) == ("2016-09-09", "refused")
    assert refused["refusal_code"] == "quarantine_rate_exceeded"
    assert refused["rule_counts"] == {"contracten": {"type_invalid": 1_234, "required_missing": 5}}
    assert document["publication"] == {**MANIFEST, "directory": str(night.published / RELEASE)}
    assert document["publication_due"] is False
    assert document["disk"]["path"] == str(night.data)
    assert 0 < document["disk"]["free_bytes"] < document["disk"]["total_bytes"]


def test_the_text(night):
    lines = status(night).as_text().splitlines()
    assert lines[0] == "Deliveries taken: 1"
    assert lines[1].split() == ["delivery", "of", "kind", "delivered", "accepted", "quarantined", "duplicate"]
    assert lines[2].split() == ["2016-09-08", "2016-09-08", "full", "13,000", "12,989", "8", "3"]
    assert "  2016-09-08: unexpected column personen.telefoon, kept out" in lines
    assert "  2016-09-08: insz_invalid 7, code_unknown 2, parent_quarantined 1" in lines
    at = lines.index("Deliveries refused: 1")
    assert lines[at + 1 : at + 3] == [
        "  2016-09-09: quarantine_rate_exceeded: contracten: 30 % of the rows are quarantined, 5 % is allowed",
        "    contracten: type_invalid 1,234, required_missing 5",
    ]
    assert f"Published: {RELEASE}, state of knowledge of 2016-09-08 (synthetic data: nobody real)" in lines
    assert "  written 2016-09-09T01:40:00+00:00 by the code, 2 marts, 1,234 rows" in lines
    assert "No publication is due." in lines
    assert lines[-1].startswith("Disk: ")
    assert lines[-1].endswith(f" GB at {night.data}")


def test_before_the_first_night_everything_is_empty(settings):
    document = json.loads(status(settings).as_json())
    assert document["deliveries"] == []
    assert document["publication"] is None
    assert document["publication_due"] is False
    assert document["disk"]["total_bytes"] > 0
    assert not settings.data.exists(), "asking makes nothing"
    assert "Published: nothing yet." in status(settings).as_text().splitlines()


def test_a_delivery_since_the_release_makes_one_due(night):
    Ledger(night.ledger).record(taken(date(2016, 9, 10)))
    assert json.loads(status(night).as_json())["publication_due"] is True
    assert "A publication is due: run `kbi night`." in status(night).as_text().splitlines()


def test_a_delivery_taken_and_changed_since_is_refused_as_it_lies_there_and_still_counts(night):
    Ledger(night.ledger).record(FIRST.model_copy(update={"changed_fingerprint": "f" * 64}))
    one = json.loads(status(night).as_json())["deliveries"][0]
    assert (one["status"], one["refusal_code"], one["n_delivered"]) == ("refused", "delivery_changed", 13_000)
    lines = status(night).as_text().splitlines()
    assert lines[0] == "Deliveries taken: 1"
    assert "Deliveries refused: 2" in lines
    assert any(line.startswith("  2016-09-08: delivery_changed: ") for line in lines)


def test_a_delivery_whose_manifest_cannot_be_read_is_told(settings):
    entry = REFUSED.model_copy(
        update={"delivery_id": "odd", "extracted_at": None, "kind": None, "synthetic": None, "rule_counts": {},
                "refusal_code": "manifest_invalid", "refusal_detail": "manifest.json is not JSON"}
    )  # fmt: skip
    Ledger(settings.ledger).record(entry)
    assert "  odd: manifest_invalid: manifest.json is not JSON" in status(settings).as_text().splitlines()
    assert json.loads(status(settings).as_json())["deliveries"][0]["extracted_at"] is None


def test_the_warehouse_is_not_opened(night, monkeypatch):
    night.warehouse.write_bytes(b"no database")
    monkeypatch.setattr("duckdb.connect", lambda *a, **k: pytest.fail("the warehouse was opened"))
    assert status(night).release.release_id == RELEASE


def test_a_link_to_a_release_that_is_gone_is_no_release(night):
    (night.published / "current").unlink()
    (night.published / "current").symlink_to("gone")
    assert status(night).release is None
