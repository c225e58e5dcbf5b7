"""Compares a built warehouse with the reference: every contract on every day that matters, the facts and the marts.

Here: what the reference expects of each table, and the first words of a diagnosis. Not here: how either side comes to
its figures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from tests.reference.marts import GRAINS, Marts, reporting_dates
from tests.reference.rules import COMPONENTS, Contract, Registry, Tables

FACTS = {
    "facts.fct_trajectory": (
        *("contract_id", "person_key", "signed_on", "regime_code", "participation_type", "agency_kbo", "nis_gemeente"),
        *("mo_outcome", "nt2_outcome", "mo_started_on", "nt2_started_on", "mo_passed_on", "nt2_passed_on"),
        *("certified_on", "closed_on"),
    ),
    "facts.fct_evaluation": (
        *("contract_id", "component", "attempt_no", "dated_on", "kind", "source", "source_id", "level"),
    ),
    "facts.fct_certificate": ("certificate_id", "contract_id", "person_key", "document_type", "dated_on"),
    "facts.dim_person": ("person_key", "sex", "birth_year", "nationality_code"),
    "quality.conflicting_evidence": ("contract_id", "component", "passed_on", "failed_on", "source", "source_id"),
}
"""The tables compared as sets of rows, with the columns compared."""

# Who is in dim_person without a record is not for the definitions to say.
_ONLY = {"facts.dim_person": "has_record"}
_DOCUMENT_TYPES = {"AI023": "certificate", "AEVC05": "evc", "VGI01": "effort_statement"}
_RANDOM_DAYS = 10


class Expectation:
    """What the reference says of one registry whose last delivery is dated ``known_on``."""

    def __init__(self, tables: Tables, known_on: date):
        self.known_on = known_on
        self.registry = Registry(tables)
        self.dates = reporting_dates(known_on)
        self._days_of_person = _days_of_person(self.registry, tables)
        self.facts = {table: set(getattr(self, table.split(".")[1])()) for table in FACTS}
        self.marts = {mart: list(self._mart(mart)) for mart in GRAINS}

    def _mart(self, mart: str) -> Iterator[dict[str, Any]]:
        for day in self.dates:
            yield from Marts(self.registry, day, self.known_on).rows(mart)

    @property
    def contracts(self) -> list[Contract]:
        """Those that exist on the date of the last delivery."""
        return [contract for contract in self.registry.contracts if contract.signed <= self.known_on]

    def days(self, contract: Contract) -> list[date]:
        """Every day on which anything of the person is dated, the day before and after it, and some days between."""
        random = Random(contract.contract_id)
        length = (self.known_on - contract.signed).days
        days = {contract.signed + timedelta(days=random.randint(0, length)) for _ in range(_RANDOM_DAYS)}
        for day in self._days_of_person[contract.person]:
            days |= {day - timedelta(days=1), day, day + timedelta(days=1)}
        return sorted(day for day in days | {self.known_on} if contract.signed <= day <= self.known_on)

    def outcomes(self, contract: Contract, component: str) -> Iterator[tuple[date, str]]:
        """The outcome on each of these days."""
        trajectory = self.registry.trajectory(contract, component)
        for day in self.days(contract):
            yield day, trajectory.outcome(day)

    # One method for each table of FACTS

    def fct_trajectory(self) -> Iterator[tuple[Any, ...]]:
        for contract in self.registry.contracts:
            of = {k: self.registry.trajectory(contract, k) for k in COMPONENTS}
            exists = contract.signed <= self.known_on
            certificates = [
                item.dated for item in self.registry.certificates_of.get(contract, ()) if item.document_type == "AI023"
            ]
            closed = [
                row["status_begin"] or row["begin"]
                for row in self.registry.tracks_of.get(contract, ())
                if row["status_code"] == "GS"
            ]
            yield (
                *(contract.contract_id, contract.person, contract.signed, contract.regime.code),
                *(self.registry.participation(contract), contract.row["kbo_nummer"], contract.row["nis_gemeente"]),
                *(of[k].outcome(self.known_on) if exists else None for k in COMPONENTS),
                *(self._first(row["datum_inschrijving"] for row in of[k].enrolments) for k in COMPONENTS),
                *(self._first(item.dated for item in of[k].attempts if item.kind == "pass") for k in COMPONENTS),
                *(self._first(certificates), self._first(closed)),
            )

    def _first(self, days: Iterable[date]) -> date | None:
        return min((day for day in days if day <= self.known_on), default=None)

    def fct_evaluation(self) -> Iterator[tuple[Any, ...]]:
        for contract in self.registry.contracts:
            for component in COMPONENTS:
                trajectory = self.registry.trajectory(contract, component)
                number = {attempt: n for n, attempt in enumerate(trajectory.attempts, start=1)}
                for item in trajectory.evidence:
                    yield (
                        *(contract.contract_id, component, number.get(item), item.dated),
                        *(item.kind, item.source, item.source_id, item.level),
                    )

    def fct_certificate(self) -> Iterator[tuple[Any, ...]]:
        for item in self.registry.certificates:
            contract_id = item.contract.contract_id if item.contract else None
            yield item.attest_id, contract_id, item.person, _DOCUMENT_TYPES[item.document_type], item.dated

    def dim_person(self) -> Iterator[tuple[Any, ...]]:
        registry = self.registry
        for person in registry.person_rows:
            row = registry.attributes(person)
            born, sex = row["geboortedatum"], {"1": "male", "2": "female"}.get(row["geslacht_code"], "unknown")
            yield person, sex, born.year if born else None, row["nationaliteit_code"]

    def conflicting_evidence(self) -> Iterator[tuple[Any, ...]]:
        for contract in self.registry.contracts:
            for component in COMPONENTS:
                attempts = self.registry.trajectory(contract, component).attempts
                passed_on = min((item.dated for item in attempts if item.kind == "pass"), default=date.max)
                for item in attempts:
                    if item.kind == "fail" and item.dated > passed_on:
                        yield contract.contract_id, component, passed_on, item.dated, item.source, item.source_id


def _days_of_person(registry: Registry, tables: Tables) -> dict[str, list[date]]:
    """Person -> the days in any row about them or about one of their contracts, tracks or components."""
    person_of_track = {row["traject_id"]: registry.person(row["person_key"]) for row in tables["trajecten"]}
    days = defaultdict(set)
    for rows in tables.values():
        for row in rows:
            persons = set()
            if "person_key" in row:
                persons.add(registry.person(row["person_key"]))
            if row.get("contract_id") in registry.contract:
                persons.add(registry.contract[row["contract_id"]].person)
            for person in persons:
                days[person] |= {value for value in row.values() if isinstance(value, date)}
    # A component matters to whom the track is about and to whom the track's contract is of.
    for contract, rows in registry.components_of.items():
        for row in rows:
            for person in {person_of_track[row["traject_id"]], contract.person if contract else None} - {None}:
                days[person] |= {value for value in row.values() if isinstance(value, date)}
    return {person: sorted(of) for person, of in days.items()}


def differences(warehouse: Path, expected: Expectation) -> Iterator[str]:
    """Every way in which the warehouse and the reference disagree, one line each, found lazily; none is agreement."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        yield from _status_differences(connection, expected)
        for table, columns in FACTS.items():
            query = f"select {', '.join(columns)} from {table} where {_ONLY.get(table, 'true')}"
            found = connection.execute(query).fetchall()
            if len(found) != len(set(found)):
                yield f"{table}: equal rows twice"
            for row in sorted(expected.facts[table] ^ set(found), key=str):
                whose = "only the reference" if row in expected.facts[table] else "only the warehouse"
                yield f"{table}: {whose} has {dict(zip(columns, row, strict=True))}"
        for mart, grain in GRAINS.items():
            yield from _mart_differences(connection, mart, grain, expected.marts[mart])


def _status_differences(connection: duckdb.DuckDBPyConnection, expected: Expectation) -> Iterator[str]:
    intervals = defaultdict(list)
    for contract_id, component, *interval in connection.execute(
        "select contract_id, component, valid_from, valid_to, outcome from facts.fct_trajectory_component_status"
        " order by contract_id, component, valid_from"
    ).fetchall():
        intervals[contract_id, component].append(tuple(interval))
    for contract in expected.contracts:
        for component in COMPONENTS:
            where = f"fct_trajectory_component_status: {contract.contract_id} {component}"
            found = intervals.pop((contract.contract_id, component), [])
            if flaw := _flaw(found, contract.signed, expected.known_on):
                yield f"{where}: {flaw}: {found}"
                continue
            begins = [valid_from for valid_from, _, _ in found]
            for day, outcome in expected.outcomes(contract, component):
                in_warehouse = found[bisect_right(begins, day) - 1][2]
                if in_warehouse != outcome:
                    yield f"{where} on {day}: {outcome} by the reference, {in_warehouse} in the warehouse"
    for contract_id, component in intervals:
        yield f"fct_trajectory_component_status: {contract_id} {component}: only the warehouse has it"


def _flaw(intervals: Sequence[tuple[date, date | None, str]], signed: date, known_on: date) -> str | None:
    """What is wrong with the intervals of one trajectory and component, whatever their outcomes."""
    if not intervals:
        return "no rows"
    if intervals[0][0] != signed:
        return "does not begin at the signature"
    if intervals[-1][1] is not None:
        return "the last interval is not open"
    if intervals[-1][0] > known_on:
        return "a change after the last delivery"
    for (_, ends, before), (begins, _, after) in pairwise(intervals):
        if ends is None or ends + timedelta(days=1) != begins:
            return "a gap or an overlap"
        if before == after:
            return "intervals that are not maximal"
    return None


def _mart_differences(
    connection: duckdb.DuckDBPyConnection, mart: str, grain: Sequence[str], rows: Sequence[dict[str, Any]]
) -> Iterator[str]:
    expected = {tuple(row[column] for column in grain): row for row in rows}
    assert len(expected) == len(rows), f"the reference has rows of {mart} twice"
    cursor = connection.execute(f"from marts.{mart}")
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    by_grain = {tuple(row[column] for column in grain): row for row in found}
    if len(by_grain) != len(found):
        yield f"{mart}: rows of one grain twice"
    for key in sorted(expected.keys() | by_grain.keys(), key=str):
        if key not in by_grain or key not in expected:
            yield f"{mart}: {key} only in the {'reference' if key in expected else 'warehouse'}"
            continue
        for column, value in expected[key].items():
            if column not in by_grain[key]:
                yield f"{mart}: no column {column}"
            elif by_grain[key][column] != value:
                yield f"{mart}: {key} {column}: {value} by the reference, {by_grain[key][column]} in the warehouse"
