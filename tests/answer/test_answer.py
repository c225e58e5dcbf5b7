"""The answer for any day: that of the marts where they hold the day, that of the definitions where they do not."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration import answer as module
from orchestration.answer import ANSWERED, AnswerError, DateOutOfRange, answer, record_definitions
from orchestration.marts import MARTS
from orchestration.settings import Settings
from tests.publication.nights import KNOWN_ON, built, data_folder, reference
from tests.reference.marts import Marts, reporting_dates

START = date(2016, 2, 29)
BETWEEN = [
    START,
    date(2016, 3, 1),
    date(2016, 9, 7),
    date(2016, 9, 9),
    date(2017, 2, 27),
    date(2017, 12, 30),
    KNOWN_ON - timedelta(days=1),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Settings:
    return data_folder(tmp_path_factory.mktemp("answer"))


@pytest.fixture
def own_night(tmp_path) -> Settings:
    return data_folder(tmp_path)


def stored(warehouse: Path, mart: str, day: date) -> list[dict]:
    with duckdb.connect(warehouse, read_only=True) as connection:
        rows = connection.execute(f"from marts.{mart} where as_of_date = ? order by {', '.join(MARTS[mart])}", [day])
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


@pytest.mark.parametrize("day", reporting_dates(KNOWN_ON), ids=str)
def test_on_a_reporting_date_it_is_the_row_set_of_the_marts(night, day):
    given = answer(night, day)
    for mart in ANSWERED:
        rows = stored(night.warehouse, mart, day)
        assert rows, mart
        assert list(given.marts[mart]) == rows
        assert [list(row) for row in given.marts[mart]] == [list(row) for row in rows], "order of columns"


@pytest.mark.parametrize("day", BETWEEN, ids=str)
def test_on_any_other_day_it_is_what_the_rules_say(night, day):
    given = answer(night, day)
    expected = Marts(reference(), day, KNOWN_ON)
    for mart in ANSWERED:
        rows = {tuple(row[column] for column in MARTS[mart]): row for row in given.marts[mart]}
        assert len(rows) == len(given.marts[mart])
        by_rule = {tuple(row[column] for column in MARTS[mart]): row for row in expected.rows(mart)}
        assert rows.keys() == by_rule.keys()
        for key, row in by_rule.items():
            assert {column: rows[key][column] for column in row} == row


def test_the_population_grows_from_its_first_day_on(night):
    sizes = [answer(night, day).rows("mart_q1_pass_rate", counting_unit="contract", component="mo") for day in BETWEEN]
    assert sizes[0][0]["n_population"] < sizes[-1][0]["n_population"]


@pytest.mark.parametrize("day", [START - timedelta(days=1), date(1899, 12, 31)], ids=str)
def test_before_the_obligation_of_result_there_is_nobody(night, day):
    given = answer(night, day)
    for mart in ANSWERED:
        assert given.marts[mart]
        for row in given.marts[mart]:
            counts = {row[column] for column in row if column == "n" or column.startswith("n_")}
            assert counts == {0}
            assert {row[column] for column in row if column.endswith("rate") or "rate_" in column} <= {None}


def test_json_has_the_rows_under_the_names_of_the_marts(night):
    given = answer(night, date(2017, 5, 3))
    document = json.loads(given.as_json(), parse_float=Decimal)
    assert list(document) == ["as_of_date", "known_on", "marts"]
    assert (document["as_of_date"], document["known_on"]) == ("2017-05-03", KNOWN_ON.isoformat())
    assert list(document["marts"]) == list(ANSWERED)
    n_rates = 0
    for mart, rows in given.marts.items():
        for row, told in zip(rows, document["marts"][mart], strict=True):
            assert list(told) == list(row)
            for column, value in row.items():
                is_day = isinstance(value, date)
                n_rates += isinstance(value, Decimal)
                assert told[column] == (value.isoformat() if is_day else value), column
                assert type(told[column]) in ((Decimal, int) if isinstance(value, Decimal) else (str, int, type(None)))
    assert n_rates > 20


@pytest.mark.parametrize("millionths", [1, 7, 333_333, 999_999, 1_000_000, -12, -500_001])
def test_a_rate_is_told_exactly(millionths):
    rate = Decimal(millionths).scaleb(-6)
    given = module.Answer(START, START, True, {"mart": ({"rate": rate},)})
    ((told,),) = (json.loads(given.as_json(), parse_float=Decimal)["marts"].values(),)
    assert told[0]["rate"] == rate


def test_by_default_it_is_that_of_the_last_delivery(night):
    assert answer(night) == answer(night, KNOWN_ON)


def test_a_day_after_the_last_delivery_is_refused(night):
    with pytest.raises(DateOutOfRange, match=f"{KNOWN_ON + timedelta(days=1)} lies after the last delivery"):
        answer(night, KNOWN_ON + timedelta(days=1))


def test_without_a_warehouse_it_says_what_to_do(tmp_path):
    with pytest.raises(AnswerError, match=r"no warehouse yet.*kbi night"):
        answer(Settings(data=tmp_path), START)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_warehouse_and_one_without_definitions_are_told_apart_from_a_bug(own_night):
    with duckdb.connect(own_night.warehouse) as connection:
        connection.execute("drop table quality.mart_definitions")
    with pytest.raises(AnswerError, match="kbi night"):
        answer(own_night, START)
    own_night.warehouse.write_bytes(b"no database")
    with pytest.raises(AnswerError, match="kbi night"):
        answer(own_night, START)


def test_it_changes_nothing_and_leaves_nothing(own_night, monkeypatch, tmp_path):
    monkeypatch.chdir(own_night.data)
    before = hashlib.sha256(own_night.warehouse.read_bytes()).hexdigest()
    files = sorted(own_night.data.rglob("*"))
    answer(own_night, START)
    assert hashlib.sha256(own_night.warehouse.read_bytes()).hexdigest() == before
    assert sorted(own_night.data.rglob("*")) == files


def test_what_does_not_fit_in_memory_is_spilled_where_nobody_looks(own_night, monkeypatch):
    spilled_to: list[Path] = []
    show_through = module._show_through

    def observed(connection, except_for):
        (directory,) = connection.execute("select current_setting('temp_directory')").fetchone()
        spilled_to.append(Path(directory))
        assert spilled_to[0].stat().st_mode & 0o777 == 0o700
        show_through(connection, except_for)

    monkeypatch.setattr(module, "_show_through", observed)
    answer(own_night, START)
    assert not spilled_to[0].exists()
    assert Path.cwd() not in spilled_to[0].parents
    assert own_night.data not in spilled_to[0].parents


def test_a_night_may_put_a_new_warehouse_in_place_meanwhile(own_night, monkeypatch):
    day = date(2017, 5, 3)
    before = answer(own_night, day)
    new = own_night.data / "new.duckdb"
    shutil.copyfile(own_night.warehouse, new)
    with duckdb.connect(new) as connection:
        connection.execute("delete from facts.fct_trajectory_component_status")
    show_through = module._show_through

    def renamed_meanwhile(*arguments):
        if new.exists():
            new.rename(own_night.warehouse)
        show_through(*arguments)

    monkeypatch.setattr(module, "_show_through", renamed_meanwhile)
    assert answer(own_night, day) == before
    assert not new.exists()
    after = answer(own_night, day)
    (row,) = after.rows("mart_q1_pass_rate", counting_unit="person", component="mo")
    assert row["n_population"] == 0


def test_several_may_ask_at_once(night):
    with duckdb.connect(night.warehouse, read_only=True):
        assert answer(night, START).known_on == KNOWN_ON


def test_the_rules_are_those_the_warehouse_was_built_by(own_night):
    with duckdb.connect(own_night.warehouse) as connection:
        connection.execute(
            "update quality.mart_definitions set sql = replace(sql, '''contract''', '''something else''')"
            " where model = 'int_outcome_counts'"
        )
    units = {row["counting_unit"] for row in answer(own_night, START).marts["mart_q1_pass_rate"]}
    assert units == {"something else", "person"}


def test_what_the_marts_do_not_read_need_not_be_readable(own_night):
    """The view on the quarantine, a restricted folder, stands in every warehouse."""
    source = own_night.data / "restricted.parquet"
    with duckdb.connect(own_night.warehouse) as connection:
        connection.execute(f"copy (select 1 as line_number) to '{source}' (format parquet)")
        connection.execute(f"create or replace view quality.quarantined_rows as from read_parquet('{source}')")
    source.unlink()
    assert answer(own_night, START).known_on == KNOWN_ON


def test_definitions_are_the_marts_and_what_lies_between_them_and_the_dates():
    with duckdb.connect(built(), read_only=True) as connection:
        rows = connection.execute(
            "select model, position, sql from quality.mart_definitions order by position"
        ).fetchall()
    models = [model for model, _, _ in rows]
    assert [position for _, position, _ in rows] == list(range(1, len(rows) + 1))
    assert set(ANSWERED) < set(models)
    assert {"int_outcome_counts", "int_certificate_counts", "int_completion_counts"} < set(models)
    assert not {"mart_outcome_cube", "int_reporting_dates", "int_population", "fct_trajectory"} & set(models)
    assert models.index("int_outcome_counts") < models.index("mart_q1_pass_rate")
    assert {sql.split()[1] for _, _, sql in rows} == {"table", "view"}


def test_a_manifest_that_was_not_compiled_is_refused(tmp_path):
    manifest = json.loads((built().parent / "dbt" / "manifest.json").read_bytes())
    for node in manifest["nodes"].values():
        node.pop("compiled_code", None)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with duckdb.connect() as connection, pytest.raises(ValueError, match="no compiled SQL"):
        record_definitions(connection, tmp_path)


def test_every_answered_mart_is_one_for_the_questions_or_the_reasons():
    assert set(MARTS) - set(ANSWERED) == {"mart_outcome_cube", "mart_revisions"}
    assert len(ANSWERED) == 6
