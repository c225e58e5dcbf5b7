"""What people did by hand is kept: one line per act, whatever happens to the process or the disk."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from orchestration import records
from orchestration.intake import take_waiting
from orchestration.settings import Settings
from orchestration.simulation.deliveries import simulate


def test_a_drop_in_volume_that_was_accepted_is_recorded_once(tmp_path: Path) -> None:
    settings = Settings(landing=tmp_path / "landing", data=tmp_path / "data")
    simulate(tmp_path / "many", 120, 1, date(2016, 9, 8))
    simulate(tmp_path / "few", 40, 1, date(2016, 10, 8))
    settings.landing.mkdir()
    for source in ("many/2016-09-08", "few/2016-10-08"):
        (tmp_path / source).rename(settings.landing / Path(source).name)
    told = [(outcome.result, outcome.code) for outcome in take_waiting(settings)]
    assert told == [("taken", None), ("refused", "volume_dropped")]
    assert records.records(settings) == []
    for results in (["unchanged", "taken"], ["unchanged", "unchanged"]):
        assert [outcome.result for outcome in take_waiting(settings, accept_volume=["2016-10-08"])] == results
        (record,) = records.records(settings)
        assert (record.act, record.details) == ("accept_volume", {"delivery": "2016-10-08"})


def test_a_line_cut_off_by_a_power_cut_takes_no_other_with_it(tmp_path: Path) -> None:
    settings = Settings(landing=tmp_path, data=tmp_path)
    first = records.record(settings, "withdraw", delivery="a", reason="wrong")
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"at": "2016-0')
    second = records.record(settings, "rebuild", deliveries=2, reason="")
    records.add(settings, first)
    assert records.records(settings) == [first, second]
    assert str(second) == f"{second.at} {second.by}: rebuild (deliveries 2)"
