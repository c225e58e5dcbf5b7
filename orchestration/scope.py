"""The persons whom a delivery touches, and the figures of some persons alone.

Here: whom the changes of a delivery may concern, the registry reduced to some of them before or after it, and the
models run over that. Every figure is a sum over persons, so what a delivery changed is the difference of two small
runs. Not here: what a change means (``revisions.py``), the models (``dbt_project/``).

Persons hang together where one number replaces another, or where a row of one names a contract of another: what
concerns one may concern the others. A set of persons that is closed in this sense has figures of its own, which no row
of anybody else enters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from orchestration.compiled_models import CATALOG, load_seeds, models_for
from orchestration.history import changes_query, state_query
from schemas import EXTRACTS, PSEUDONYM_COLUMNS

State = Literal["before", "after"]
_NAMING = ("trajecten", "attesten")
"""Extracts whose rows belong to a person and may name a contract of another."""
CHILDREN = {"addenda": "contracten", "opschortingen": "contracten", "trajectonderdelen": "trajecten"}
"""Extracts whose rows belong to the person of the row they name."""


class Scope:
    """One delivery, the states of the registry before and after it, and the persons it touches.

    Relations in the connection, each in a schema with one view per extract: ``before``, ``after`` (states), ``changed``
    (versions that began or ended, ``is_new``), ``either`` (what is in one of the states or both). Table ``touched``:
    ``person_key``, and ``cluster``, equal for persons who hang together.

    Args:
        before: directories in the validated zone of all deliveries before it, in order; at least one.
        delivery: its own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, before: Sequence[Path], delivery: Path) -> None:
        self._duckdb = connection
        for schema in ("before", "after", "changed", "either"):
            self._run(f"create schema {schema}")
        for extract in EXTRACTS:
            self._run(f"create view before.{extract} as {state_query(before, extract)}")
            self._run(f"create view after.{extract} as {state_query([*before, delivery], extract)}")
            # Read again and again, and small.
            self._run(f"create table changed.{extract} as {changes_query([*before, delivery], extract)}")
            self._run(
                f"create view either.{extract} as select * exclude (row_number) from after.{extract} "
                f"union all select * exclude (is_new) from changed.{extract} where not is_new"
            )
        self._find_touched()

    @property
    def n_touched(self) -> int:
        """How many numbers of persons are touched."""
        (n,) = self._duckdb.execute("select count(*) from touched").fetchone()  # type: ignore[misc]
        return int(n)

    def _find_touched(self) -> None:
        """Owners of the changed rows, and everybody who hangs together with them."""
        owners = [
            f"select {PSEUDONYM_COLUMNS[column]} as person_key from changed.{extract.name}"
            for extract in EXTRACTS.values()
            for column in extract.insz_columns
        ] + [
            f"select person_key from either.{parent} semi join changed.{child} using ({EXTRACTS[parent].key[0]})"
            for child, parent in CHILDREN.items()
        ]
        self._run(f"create table touched as select distinct person_key, person_key as cluster from ({_union(owners)})")
        naming = [
            f"select rows.person_key as one, contracts.person_key as other from either.{extract} as rows "
            "inner join either.contracten as contracts using (contract_id) "
            "where rows.person_key <> contracts.person_key"
            for extract in _NAMING
        ]
        replaced = ["select old_person_key as one, new_person_key as other from either.insz_wijzigingen"]
        self._run(f"""
            create table links as
            with links as ({_union([*replaced, *naming])})
            select distinct one, other from links
            union
            select other, one from links
        """)
        while self._changes("""
            insert into touched
            select distinct links.other, links.other
            from links semi join touched on links.one = touched.person_key
            anti join touched on links.other = touched.person_key
        """):
            pass
        while self._changes("""
            update touched set cluster = nearest.cluster
            from (
                select links.other as person_key, min(touched.cluster) as cluster
                from links inner join touched on links.one = touched.person_key
                group by links.other
            ) as nearest
            where touched.person_key = nearest.person_key and nearest.cluster < touched.cluster
        """):
            pass

    def counts(
        self,
        manifest: Mapping[str, Any],
        marts: Collection[str],
        persons: str,
        state: State,
        known_on: date,
        dates: Sequence[date],
    ) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
        """The marts of some persons alone, as known before or after the delivery.

        Args:
            persons: query of ``person_key``: a closed set of persons.
            known_on: the date of the last delivery of that state.
            dates: the days to report.
        """
        with self.registry_of(persons, state, known_on):
            load_seeds(self._duckdb, manifest)
            models = models_for(manifest, marts, given=("int_reporting_dates",))
            for schema in {model.schema for model in models}:
                self._run(f'create schema if not exists {CATALOG}."{schema}"')
            self._run(f"create table {CATALOG}.intermediate.int_reporting_dates (as_of_date date, in_cube boolean)")
            self._duckdb.executemany(
                f"insert into {CATALOG}.intermediate.int_reporting_dates values (?, false)", [[day] for day in dates]
            )
            for model in models:
                self._run(model.statement)
            for mart in marts:
                yield mart, self._duckdb.sql(f"from {CATALOG}.marts.{mart}")

    @contextmanager
    def registry_of(self, persons: str, state: State, known_on: date) -> Iterator[None]:
        """A catalog of its own with schema ``registry`` reduced to some persons, for as long as the block lasts."""
        self._run(f"attach ':memory:' as {CATALOG}")
        try:
            registry = f"{CATALOG}.registry"
            self._run(f"create schema {registry}")
            self._run(f"create table {registry}.persons as {persons}")
            for name, extract in EXTRACTS.items():
                if name in CHILDREN:
                    parent = CHILDREN[name]
                    belongs = f"semi join {registry}.{parent} using ({EXTRACTS[parent].key[0]})"
                else:
                    column = PSEUDONYM_COLUMNS[extract.insz_columns[0]]
                    belongs = f"semi join {registry}.persons as persons on rows.{column} = persons.person_key"
                self._run(f"create table {registry}.{name} as select rows.* from {state}.{name} as rows {belongs}")
            self._run(
                f"create table {registry}.knowledge as "
                f"select date '{known_on}' as known_on, cast(null as varchar) as last_delivery_id, "
                "cast(null as boolean) as synthetic"
            )
            yield
        finally:
            self._run(f"detach {CATALOG}")

    def _changes(self, statement: str) -> bool:
        (n,) = self._duckdb.execute(statement).fetchone()  # type: ignore[misc]
        return bool(n)

    def _run(self, statement: str) -> None:
        self._duckdb.execute(statement)


def _union(queries: Sequence[str]) -> str:
    return " union all ".join(queries)
