"""The persons whom deliveries touch, and the figures of some persons alone.

Here: whom the changes of deliveries may concern, the registry reduced to them before and after, and the models run over
that. Every figure is a sum over persons, so what deliveries changed is the difference of two small runs. Not here: what
a change means (``revisions.py``), the warehouse (``patching.py``), the models (``dbt_project/``).

Persons hang together where one number replaces another, or where a row of one names a contract of another: what
concerns one may concern the others. A set of persons that is closed in this sense has figures of its own, which no row
of anybody else enters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from orchestration.compiled_models import CATALOG, load_seeds, models_for
from orchestration.history import changes_query, state_query
from orchestration.number_changes import find_clusters
from orchestration.settings import Settings
from schemas import CHILDREN, EXTRACTS, PSEUDONYM_COLUMNS

State = Literal["before", "after"]
_NAMING = ("trajecten", "attesten")
"""Extracts whose rows belong to a person and may name a contract of another."""


class Scope:
    """Consecutive deliveries, and the persons they touch, with their rows before and after.

    Relations in the connection, each in a schema with one table per extract: ``before``, ``after`` (the rows of the
    touched), ``changed`` (versions that began or ended, ``is_new``). Table ``touched``: ``person_key``, and
    ``cluster``, equal for persons who hang together.

    Args:
        before: directories in the validated zone of all deliveries before them, in order; at least one.
        deliveries: their own, in order.
        more: query of ``person_key``: who counts as touched too.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        before: Sequence[Path],
        deliveries: Sequence[Path],
        more: str | None = None,
    ) -> None:
        self._duckdb, self._before, self._deliveries = connection, tuple(before), tuple(deliveries)
        directories = [*before, *deliveries]
        for schema in ("all_after", "before", "after", "changed", "either"):
            self._run(f"create schema {schema}")
        for extract in EXTRACTS:
            self._run(f"create view all_after.{extract} as {state_query(directories, extract)}")
            # Read again and again, and small.
            self._run(f"create table changed.{extract} as {changes_query(before, deliveries, extract)}")
            self._run(
                f"create view either.{extract} as select * exclude (row_number) from all_after.{extract} "
                f"union all select * exclude (is_new) from changed.{extract} where not is_new"
            )
        self._run("create table touched (person_key varchar, cluster varchar)")
        self._touch(_union(self._owners_of_changes()))
        if more:
            self._touch(more)
        self._close()

    @property
    def n_touched(self) -> int:
        """How many numbers of persons are touched."""
        (n,) = self._duckdb.execute("select count(*) from touched").fetchone()
        return int(n)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Where the relations are."""
        return self._duckdb

    def is_of(self, before: Sequence[Path], deliveries: Sequence[Path]) -> bool:
        """Whether these are its deliveries."""
        return (self._before, self._deliveries) == (tuple(before), tuple(deliveries))

    def gather(self) -> None:
        """Make the tables ``before`` and ``after``, if they are not there.

        One scan of the registry gives both: what changed is known. With the row that a row names, before or after, it
        is taken along in both.
        """
        if self._duckdb.execute("select 1 from duckdb_tables() where schema_name = 'after' limit 1").fetchone():
            return
        new = ", ".join(f"'{directory.name}'" for directory in self._deliveries) or "null"
        for name in _parents_first():
            if parent := CHILDREN.get(name):
                link = EXTRACTS[parent].key[0]
                whose = (
                    f"(select {link} from before.{parent} union all select {link} from after.{parent}) using ({link})"
                )
            else:
                whose = f"touched on rows.{_person_of(name)} = touched.person_key"
            self._run(
                f"create table after.{name} as "
                f"select rows.* exclude (row_number) from all_after.{name} as rows semi join {whose}"
            )
            self._run(
                f"create table before.{name} as from after.{name} where delivered_in not in ({new}) "
                f"union all select * exclude (is_new) from changed.{name} where not is_new"
            )

    def _owners_of_changes(self) -> Iterator[str]:
        for extract in EXTRACTS.values():
            for column in extract.insz_columns:
                yield f"select {PSEUDONYM_COLUMNS[column]} as person_key from changed.{extract.name}"
        for child, parent in CHILDREN.items():
            link = EXTRACTS[parent].key[0]
            yield f"select person_key from either.{parent} semi join changed.{child} using ({link})"

    def _close(self) -> None:
        """Touch everybody who hangs together with the touched, and find the clusters."""
        self._run("""
            create table hanging as
            with links as (select old_person_key as one, new_person_key as other from either.insz_wijzigingen)
            select one, other from links union select other, one from links
        """)
        self._run("create table own (person_key varchar, contract_id varchar)")
        self._run("create table named (person_key varchar, contract_id varchar)")
        self._run("create table reached as from touched")
        either = _union(f"select person_key, contract_id from either.{name}" for name in _NAMING)
        while self._duckdb.execute("select 1 from reached limit 1").fetchone():
            # One scan of each extract tells both: which contracts the reached name, and who names theirs.
            self._run("""
                insert into own
                select person_key, contract_id from either.contracten semi join reached using (person_key)
            """)
            self._run(f"""
                create or replace table naming as
                select person_key, contract_id
                from ({either})
                where contract_id is not null
                    and (person_key in (select person_key from reached) or contract_id in (select contract_id from own))
            """)
            self._run("insert into named from naming")
            self._run("""
                create or replace table reached as
                with neighbours as (
                    select hanging.other as person_key
                    from hanging semi join reached on hanging.one = reached.person_key
                    union all
                    select person_key from naming
                    union all
                    select person_key from either.contracten semi join naming using (contract_id)
                )
                select distinct person_key from neighbours anti join touched using (person_key)
            """)
            self._touch("select person_key from reached")
        find_clusters(
            self._duckdb,
            "select person_key from touched",
            """
            select links.one, links.other from hanging as links semi join touched on links.one = touched.person_key
            union
            select named.person_key, own.person_key from named inner join own using (contract_id)
            """,
        )
        self._run("create or replace table touched as from clusters semi join touched using (person_key)")

    def _touch(self, persons: str) -> None:
        self._run(f"""
            insert into touched
            select distinct person_key, person_key from ({persons}) anti join touched using (person_key)
        """)

    def counts(
        self,
        manifest: Mapping[str, Any],
        marts: Collection[str],
        persons: str,
        state: State,
        known_on: date,
        dates: Sequence[date],
    ) -> Iterator[tuple[str, duckdb.DuckDBPyRelation]]:
        """The marts of some persons alone, as known before or after.

        Args:
            persons: query of ``person_key``: a closed set of touched persons.
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
        """A catalog of its own with schema ``registry`` reduced to some persons, for as long as the block lasts.

        The tables ``before`` and ``after`` must be there (``gather``).
        """
        self._run(f"attach ':memory:' as {CATALOG}")
        try:
            registry = f"{CATALOG}.registry"
            self._run(f"create schema {registry}")
            self._run(f"create table {registry}.persons as {persons}")
            for name in _parents_first():
                if parent := CHILDREN.get(name):
                    whose = f"{registry}.{parent} using ({EXTRACTS[parent].key[0]})"
                else:
                    whose = f"{registry}.persons as persons on rows.{_person_of(name)} = persons.person_key"
                self._run(
                    f"create table {registry}.{name} as select rows.* from {state}.{name} as rows semi join {whose}"
                )
            self._run(
                f"create table {registry}.knowledge as "
                f"select date '{known_on}' as known_on, cast(null as varchar) as last_delivery_id, "
                "cast(null as boolean) as synthetic"
            )
            yield
        finally:
            self._run(f"detach {CATALOG}")

    def _run(self, statement: str) -> None:
        self._duckdb.execute(statement)


def scratch_engine(settings: Settings) -> dict[str, Any]:
    """Configuration of a connection for a scope: what does not fit into memory is spilled."""
    spill = settings.work / "scope"
    spill.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {"memory_limit": settings.memory_limit, "temp_directory": str(spill), "preserve_insertion_order": False}


def _parents_first() -> list[str]:
    return sorted(EXTRACTS, key=lambda name: name in CHILDREN)


def _person_of(extract: str) -> str:
    """The column that tells whose a row is."""
    return PSEUDONYM_COLUMNS[EXTRACTS[extract].insz_columns[0]]


def _union(queries: Iterable[str]) -> str:
    return " union all ".join(queries)
