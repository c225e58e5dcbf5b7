"""A build that makes anew what the deliveries since the last one can have changed, and gives the same as a whole one.

Here: when that is possible, and how. Below the counts every row of the warehouse belongs to a person, and what the
models make of persons who hang together (``scope.py``) no row of anybody else enters: so the rows of the touched
persons are taken out, and those that the same compiled models give for them alone are put in. Counts are sums over
persons: what the touched added before is taken off, what they add now is put on. For everybody else only the day
changes up to which they are told of; whoever has a date on one of the days since counts as touched. Not here: what a
number means (dbt), and which data tests there are: all are run on the result, as after any build, but for those
that look at persons one by one (``of_single_persons``), which see the touched.

How a model follows, it says itself in its ``meta``, as ``patched_by``: a column that tells whose its rows are;
``counts`` of the column ``count``, or ``cells`` if only those that are not 0 are kept, for ``days`` that meet a
condition; ``whole``, made anew from the others, being small; or ``never``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration import warehouse
from orchestration.compiled_models import CATALOG, Model, is_view, load_seeds, models_for
from orchestration.dbt_runner import NodeResult
from orchestration.scope import Scope, scratch_engine
from orchestration.settings import Settings
from orchestration.sql import quoted
from orchestration.warehouse import Base

MAX_SHARE = 0.1
"""Of the numbers of persons known: where more are touched, a whole build costs hardly more."""

# By the name of a column: its values in rows of touched persons, as they were known before.
_WHOSE = {
    "person_key_delivered": "select person_key as person_key_delivered from memory.touched",
    "person_no": "select person_no from memory.persons",
    "person_key": "select person_key from memory.persons",
    "contract_no": "select contract_no from memory.contracts",
    "contract_id": "select contract_id from memory.contracts",
    "track_id": "select traject_id as track_id from memory.before.trajecten",
    "component_id": "select onderdeel_id as component_id from memory.before.trajectonderdelen",
    "certificate_id": "select attest_id as certificate_id from memory.before.attesten",
    "infringement_id": "select inbreuk_id as infringement_id from memory.before.inbreuken",
}
_COUNTS = ("counts", "cells")
_DATES = "int_reporting_dates"
_AHEAD = "int_dates_ahead"


@contextmanager
def attempt(settings: Settings, manifest: Mapping[str, Any]) -> Iterator[Patch | None]:
    """A patch of the warehouse in place for what has come since, for as long as the block lasts; None: build it whole.

    Args:
        manifest: dbt's manifest of the compiled project.
    """
    base = warehouse.base(settings)
    if base is None:
        yield None
        return
    with duckdb.connect(":memory:", config=scratch_engine(settings)) as connection:
        patch = Patch(settings, manifest, base, connection)
        yield patch if patch.n_touched <= MAX_SHARE * patch.n_known else None


class Patch:
    """One build. Schemas of the connection beside those of ``scope``: ``old`` and ``new``, a table per model.

    ``n_touched``, ``n_known``: numbers of persons.
    """

    def __init__(
        self, settings: Settings, manifest: Mapping[str, Any], base: Base, connection: duckdb.DuckDBPyConnection
    ) -> None:
        self._settings, self._manifest, self._base, self._duckdb = settings, manifest, base, connection
        self._known_on: date = base.taken[-1].date
        self._results: list[NodeResult] = []
        self._models = {node["name"]: node for node in self._nodes_of("model")}
        self._patched_by: dict[str, str] = {
            name: node["config"]["meta"]["patched_by"] for name, node in self._models.items() if not is_view(node)
        }
        self._run(f"attach {quoted(settings.warehouse)} as present (read_only)")
        self.scope = self._scope()
        self.n_touched = self.scope.n_touched
        self.n_known = self._count("present.intermediate.int_person_numbers")

    def results(self, revised: Sequence[Path]) -> list[NodeResult]:
        """Make the build file, and test it: one result per node, as after a build by dbt.

        Args:
            revised: files of ``revisions.update``, for the same deliveries.
        """
        self.scope.gather()
        self._compute_new()
        self._compute_old()
        self._run("detach present")
        file = warehouse.prepare(self._settings, revised, on=self._base)
        self._run(f"attach {quoted(file)} as {CATALOG}")
        # What is interrupted is thrown away: nothing need be folded into the file before the end.
        self._run("set wal_autocheckpoint = '1TB'")
        # To try it is a quarter of what folding in takes; the room it would save comes back with the next whole build.
        self._run("set disabled_compression_methods = 'fsst'")
        self._results += [self._timed(node, self._patch) for node in self._in_order()]
        self._run(f"checkpoint {CATALOG}")
        self._results += [self._timed(node, self._test) for node in self._tests(of_single_persons=False)]
        return self._results

    def _scope(self) -> Scope:
        """Who is touched by the deliveries, or by the days, since."""
        directories = [self._settings.validated / entry.delivery_id for entry in self._base.taken]
        n, was_known_on = self._base.n_built, self._base.was_known_on
        # What begins or ends on a day shows on it, or on the day after.
        dated = (
            f"select person_key_delivered as person_key from {self._relation(_AHEAD, 'present')} "
            f"where dated_on between date '{was_known_on}' and date '{self._known_on}'"
        )
        return Scope(self._duckdb, directories[:n], directories[n:], dated if was_known_on < self._known_on else None)

    def _compute_new(self) -> None:
        """``new``: everything below the marts, and the cube, of the touched persons alone, as known now."""
        wanted = [*self._patched(*_WHOSE, *_COUNTS), _DATES]
        self._run("create schema new")
        with self.scope.registry_of("select person_key from memory.touched", "after", self._known_on):
            load_seeds(self._duckdb, self._manifest)
            self._make(models_for(self._manifest, wanted))
            for name in wanted:
                self._run(f"create table new.{name} as from {self._relation(name)}")
            self._results += [self._timed(node, self._test) for node in self._tests(of_single_persons=True)]

    def _compute_old(self) -> None:
        """``old``: counts of the touched persons alone, as they were known before, on the days reported then."""
        self._run("""
            create table persons as
            select distinct person_no, person_key from present.intermediate.int_person_numbers
            semi join (select person_key as person_key_delivered from touched) using (person_key_delivered)
        """)
        self._run("""
            create table contracts as
            select contract_no, contract_id from present.intermediate.int_contracts semi join persons using (person_no)
        """)
        self._run("create schema old")
        self._run(f"attach ':memory:' as {CATALOG}")
        load_seeds(self._duckdb, self._manifest)
        for schema in {node["schema"] for node in self._models.values()}:
            self._run(f"create schema if not exists {CATALOG}.{schema}")
        theirs = self._patched(*_WHOSE)
        for name in theirs:
            way = self._patched_by[name]
            self._run(
                f"create view {self._relation(name)} as "
                f"from {self._relation(name, 'present')} semi join ({_WHOSE[way]}) using ({way})"
            )
        self._run(f"create table {self._relation(_DATES)} as from {self._relation(_DATES, 'present')}")
        self._run(f"create schema {CATALOG}.registry")
        self._run(f"create table {CATALOG}.registry.knowledge as from present.registry.knowledge")
        counts = self._patched(*_COUNTS)
        self._make(models_for(self._manifest, counts, given=[*theirs, _DATES]))
        for name in [*counts, _DATES]:
            self._run(f"create table old.{name} as from {self._relation(name)}")
        self._run(f"detach {CATALOG}")

    def _patch(self, node: Mapping[str, Any]) -> int | None:
        """Bring one table of the build file up to date. Nothing is left to do of seeds and views."""
        way = self._patched_by.get(node["name"], "never")
        table = node["relation_name"]
        if way in _WHOSE:
            self._run(f"delete from {table} where {way} in ({_WHOSE[way]})")
            self._run(f"insert into {table} by name from new.{node['name']}")
        elif way in _COUNTS:
            self._patch_counts(node)
        elif way == "whole":
            self._run(f"delete from {table}")
            self._run(f"insert into {table} by name select * from ({node['compiled_code']})")
        return None

    def _patch_counts(self, node: Mapping[str, Any]) -> None:
        """Counts per day and more: those of everybody before, less those of the touched before, and theirs now.

        A day that was not reported follows on the last day known then: of the others nothing happened in between.
        """
        name, table, meta = node["name"], node["relation_name"], node["config"]["meta"]
        count, days = meta["count"], f"where {meta['days']}" if "days" in meta else ""
        columns = [column for column, *_ in self._duckdb.execute(f"select * from new.{name} limit 0").description]
        grain = [column for column in columns if column not in (count, "known_on")]
        others = ", ".join(column for column in grain if column != "as_of_date")
        self._run(f"""
            create or replace table follows as
            select now.as_of_date, coalesce(before.as_of_date, date '{self._base.was_known_on}') as follows_on
            from (from new.{_DATES} {days}) as now
            left join (from old.{_DATES} {days}) as before on now.as_of_date = before.as_of_date
        """)
        self._run(f"""
            create or replace table difference as
            select {", ".join(grain)}, cast(sum(change) as bigint) as change
            from (
                select {", ".join(grain)}, {count} as change from new.{name}
                union all
                select follows.as_of_date, {others}, -{count}
                from old.{name} as counts inner join follows on counts.as_of_date = follows.follows_on
            )
            group by all
            having sum(change) <> 0
        """)
        self._run(f"""
            insert into {table}
            select counts.* replace (follows.as_of_date as as_of_date)
            from {table} as counts inner join memory.follows on counts.as_of_date = follows.follows_on
            where follows.as_of_date <> follows.follows_on
        """)
        self._run(f"delete from {table} where as_of_date not in (select as_of_date from memory.follows)")
        is_empty_cell = f"counts.{count} + difference.change = 0" if meta["patched_by"] == "cells" else "false"
        self._run(f"""
            merge into {table} as counts using memory.difference as difference
            on ({" and ".join(f"counts.{column} = difference.{column}" for column in grain)})
            when matched and {is_empty_cell} then delete
            when matched then update set {count} = counts.{count} + difference.change
            when not matched then insert ({", ".join([*grain, count])})
                values ({", ".join(f"difference.{column}" for column in [*grain, "change"])})
        """)
        if "known_on" in columns:
            self._run(f"update {table} set known_on = date '{self._known_on}'")

    def _test(self, node: Mapping[str, Any]) -> int:
        """Run a data test; return how many rows it found."""
        return self._count(f"({node['compiled_code']})")

    def _timed(self, node: Mapping[str, Any], do: Callable[[Mapping[str, Any]], int | None]) -> NodeResult:
        started = time.perf_counter()
        failures = do(node)
        status = {None: "success", 0: "pass"}.get(failures, "fail")
        seconds = time.perf_counter() - started
        return NodeResult(node["unique_id"], node["name"], node["resource_type"], status, failures, seconds, None)

    def _in_order(self) -> list[Mapping[str, Any]]:
        """Seeds and models, each after those it is made from."""
        return [
            *self._nodes_of("seed"),
            *(self._models[model.name] for model in models_for(self._manifest, self._models)),
        ]

    def _nodes_of(self, kind: str) -> list[Mapping[str, Any]]:
        return [node for node in self._manifest["nodes"].values() if node["resource_type"] == kind]

    def _tests(self, *, of_single_persons: bool) -> list[Mapping[str, Any]]:
        """Data tests. What they say of single persons need only be seen of those for whom something was made anew."""
        marked = [(node, node["config"]["meta"].get("of_single_persons", False)) for node in self._nodes_of("test")]
        return [node for node, is_of_single_persons in marked if is_of_single_persons == of_single_persons]

    def _patched(self, *ways: str) -> list[str]:
        """Names of the tables that are patched in one of these ways."""
        return [name for name, way in self._patched_by.items() if way in ways]

    def _relation(self, name: str, catalog: str = CATALOG) -> str:
        return f"{catalog}.{self._models[name]['schema']}.{name}"

    def _make(self, models: Sequence[Model]) -> None:
        for model in models:
            self._run(f"create schema if not exists {CATALOG}.{model.schema}")
            self._run(model.statement)

    def _count(self, rows: str) -> int:
        (n,) = self._duckdb.execute(f"select count(*) from {rows}").fetchone()
        return int(n)

    def _run(self, statement: str) -> None:
        self._duckdb.execute(statement)
