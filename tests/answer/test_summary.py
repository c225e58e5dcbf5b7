"""The end of `make night`: the two answers, the rows, the release."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from orchestration.answer import AnswerError, answer
from orchestration.answer_text import as_summary
from orchestration.publication import publish
from orchestration.settings import Settings
from orchestration.summary import summary
from tests.publication.nights import data_folder


@pytest.fixture
def night(tmp_path) -> Settings:
    settings = data_folder(tmp_path)
    publish(settings)
    return settings


def test_the_ministers_day_and_the_last_delivery(night):
    text = summary(night)
    minister, last = (as_summary(answer(night, day)) for day in (date(2016, 9, 8), None))
    assert minister != last
    assert text.index(minister) < text.index(last) < text.index("Deliveries taken: 1")
    assert str((night.published / "current").resolve()) in text
    assert text.endswith("`make dev`, then http://127.0.0.1:3000")


@pytest.mark.parametrize("day", ["2016-09-08", "2016-03-31"])
def test_a_registry_that_ends_by_then_has_one_answer(night, day):
    with duckdb.connect(night.warehouse) as connection:
        connection.execute(f"update registry.knowledge set known_on = date '{day}'")
    assert summary(night).count("Stand op ") == 1


def test_without_a_warehouse_it_says_so(tmp_path):
    with pytest.raises(AnswerError, match="no warehouse yet"):
        summary(Settings(data=tmp_path))
