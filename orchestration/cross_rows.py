"""What a row's verdict needs to know of other rows: repeated keys, parents, number changes.

Here: those facts, computed in DuckDB (which spills) and joined to the rows as the columns that the checks of
``schemas`` judge. Not here: any verdict (``schemas``), the reading of files (``reading.py``, ``dossiers``), nor the
order in which extracts are judged (``validation.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

import schemas
from orchestration.history import ENDED_IN, ROW_NUMBER, ended_file, versions_file
from orchestration.merging import NEAREST_ROWS, waiting_beside_dossiers
from orchestration.number_changes import NumberChanges
from orchestration.sql import quoted
from schemas import CHILDREN, Extract

BATCH_ROWS = 250_000
"""Rows judged at a time: bounds the memory of a verdict."""

Pseudonymise = Callable[[pl.Series], pl.Series]
Rows = Literal["delivered", "waiting", "once_waiting"]
"""Which rows: this delivery's, or earlier ones that wait for their parents (``once_waiting``: before this delivery)."""


class CrossRows:
    """The rows of one delivery and what they know of each other.

    Args:
        texts: the delivery's text Parquet per extract.
        known: query of the state before it, per extract; empty for the first delivery.
        waiting: text Parquet of rows that wait for their parents, per extract that has any.
        pseudonymise: distinct numbers → 32 hex digits.
        is_delta: rows are changes and deletions rather than the whole registry.
        spill: folder for what does not fit into ``memory_limit``.
    """

    def __init__(
        self,
        texts: Mapping[str, Path],
        known: Mapping[str, str],
        waiting: Mapping[str, Path],
        pseudonymise: Pseudonymise,
        *,
        is_delta: bool,
        memory_limit: str,
        spill: Path,
    ) -> None:
        self._pseudonymise = pseudonymise
        self._is_delta, self._known, self._has_dossiers = is_delta, known, False
        spill.mkdir(parents=True, exist_ok=True)
        self._duckdb = duckdb.connect(
            config={
                "memory_limit": memory_limit,
                "temp_directory": str(spill),
                "threads": 2,
                "preserve_insertion_order": False,
            }
        )
        for name, path in texts.items():
            self._run(f"create view delivered_{name} as from read_parquet({quoted(path)})")
        self._texts = texts
        self._once_waiting = waiting
        for name, path in waiting.items():
            self._run(f"create view once_waiting_{name} as from read_parquet({quoted(path)})")
        for name, query in known.items():
            self._run(f"create view known_{name} as {query}")
        # Narrow, for they are joined to every row: of a registry of millions these tables are what fills the memory.
        self._run("create type standing as enum ('present', 'quarantined', 'missing')")
        self._run("create table numbers (number varchar, person_key varchar, parent_state standing)")
        self._run("create table current_keys (person_key varchar, current_key varchar, steps bigint)")
        self._run("create table person_states (person_key varchar, state standing)")

    def close(self) -> None:
        """Free the memory and the spilled files."""
        self._duckdb.close()

    # -- repeated rows ----------------------------------------------------------------------------------------------

    def find_repeated(self, extract: Extract) -> int:
        """Find exact duplicates and rows of one key that contradict each other; return how many duplicates there are.

        The first of equal rows stays. Of two deletions only the key counts.
        """
        deletes = "verwijderd is not distinct from 'true'" if self._is_delta else "false"
        content = [
            column if column in extract.key else f"case when not {deletes} then {column} end"
            for column in extract.names
        ] + (["verwijderd"] if self._is_delta else [])
        key = ", ".join(extract.key)
        complete = " and ".join(f"{column} is not null" for column in extract.key)
        # Keys are looked up by a 64-bit hash first: grouping every key as text would be the dearest step of the night.
        self._run(f"""
            create table repeated_{extract.name} as
            with twice as (
                select hash({key}) as key_hash from delivered_{extract.name} group by key_hash having count(*) > 1
            ),
            candidates as (
                select * from delivered_{extract.name} where hash({key}) in (select key_hash from twice)
            ),
            numbered as (
                select
                    *,
                    row_number() over (partition by {", ".join(content)} order by line_number) > 1 as is_duplicate
                from candidates
            )
            select
                line_number,
                is_duplicate,
                {complete} and count(*) filter (where not is_duplicate) over (partition by {key}) > 1 as key_conflict
            from numbered
        """)
        return self._count(f"repeated_{extract.name} where is_duplicate")

    # -- numbers and persons ----------------------------------------------------------------------------------------

    def meet_numbers(self, extract: Extract, rows: Rows = "delivered") -> None:
        """Give every number that these rows bring for the first time its pseudonym and its standing as a parent."""
        for column in extract.insz_columns:
            self._run(f"""
                create or replace table new_numbers as
                select distinct {column} as number from {rows}_{extract.name}
                where {column} is not null and {column} not in (select number from numbers)
            """)
            # Read through a cursor of its own, for what is done with a batch runs statements.
            for new in _batches(self._duckdb.cursor(), "from new_numbers"):
                met = new.with_columns(person_key=self._pseudonymise(new["number"]))
                with self._registered({"met": met}):
                    self._run("""
                        insert into numbers
                        select met.number, met.person_key, coalesce(states.state, 'missing')
                        from met
                        left join current_keys on met.person_key = current_keys.person_key
                        left join person_states as states
                            on coalesce(current_keys.current_key, met.person_key) = states.person_key
                    """)

    def follow_changes(self, changes: str) -> None:
        """From here on numbers are followed through these changes (query of the state of ``insz_wijzigingen``)."""
        edges = self._frame(f'select old_person_key as "old", new_person_key as "new" from ({changes})')
        self._duckdb.register("followed", NumberChanges(edges).current().to_arrow())
        self._run(
            "create or replace table current_keys as "
            "select number as person_key, current as current_key, steps from followed"
        )
        self._duckdb.unregister("followed")

    def settle_persons(self, persons: str, quarantined: pl.DataFrame) -> None:
        """From here on numbers stand for persons: present, quarantined or missing after following number changes.

        Args:
            persons: query of the state of ``personen`` with this delivery.
            quarantined: column ``person_key``, of the quarantined rows of ``personen``.
        """
        self._duckdb.register("held_back", quarantined.select("person_key").to_arrow())
        named = ""
        if self._is_delta:
            # A few rows name few persons: the others need no standing.
            self._meet_all_numbers()
            named = """
                where coalesce(current_keys.current_key, stated.person_key) in (
                    select coalesce(current_keys.current_key, numbers.person_key)
                    from numbers left join current_keys on numbers.person_key = current_keys.person_key
                )
            """
        self._run(f"""
            insert into person_states
            with stated as (
                select person_key, true as is_present from ({persons})
                union all
                select person_key, false as is_present from held_back where person_key is not null
            )
            select
                coalesce(current_keys.current_key, stated.person_key) as person_key,
                case when bool_or(stated.is_present) then 'present' else 'quarantined' end as state
            from stated
            left join current_keys on stated.person_key = current_keys.person_key
            {named}
            group by 1
        """)
        self._run("""
            update numbers set parent_state = coalesce(person_states.state, 'missing')
            from (
                select numbers.number, coalesce(current_keys.current_key, numbers.person_key) as person_key
                from numbers left join current_keys on numbers.person_key = current_keys.person_key
            ) as resolved
            left join person_states on resolved.person_key = person_states.person_key
            where numbers.number = resolved.number
        """)
        self._duckdb.unregister("held_back")

    def settle_dossiers(self, dossiers: pl.DataFrame) -> None:
        """Which persons' dossiers came, and which of them could not be read.

        Args:
            dossiers: columns ``number`` (INSZ, null where nobody can tell), ``is_readable``.
        """
        told = dossiers.drop_nulls("number")
        self._duckdb.register("told", told.with_columns(person_key=self._pseudonymise(told["number"])).to_arrow())
        self._run("""
            create table dossier_persons as
            select
                coalesce(current_keys.current_key, told.person_key) as person_key,
                case when bool_or(told.is_readable) then 'brought' else 'unreadable' end as status
            from told left join current_keys on told.person_key = current_keys.person_key
            group by 1
        """)
        self._duckdb.unregister("told")
        self._has_dossiers = True

    def settle_parents(self, extract: Extract, state: str, quarantined: pl.DataFrame) -> None:
        """From here on the keys of this extract stand as parents.

        Args:
            state: query of its state with this delivery.
            quarantined: its one key column, of the quarantined rows.
        """
        (key,) = extract.key
        self._duckdb.register("held_back", quarantined.select(key).to_arrow())
        self._run(f"""
            create table quarantined_{extract.name} as
            select {key} as parent from held_back where {key} is not null except select {key} from ({state})
        """)
        self._duckdb.unregister("held_back")
        # The few rows of a delta look their parents up; the rows of a full delivery share a table of all.
        self._run(f"""
            create {"view" if self._is_delta else "table"} parents_{extract.name} as
            select {key} as parent, cast('present' as standing) as state from ({state})
            union all
            select parent, cast('quarantined' as standing) as state from quarantined_{extract.name}
        """)

    def mark_cycles(self, sound: pl.DataFrame) -> None:
        """Find the number changes that lead back to where they begin.

        Args:
            sound: column ``line_number``, of those delivered rows that break no other rule.
        """
        extract = schemas.EXTRACTS["insz_wijzigingen"]
        old, new = extract.key[0], next(name for name in extract.insz_columns if name not in extract.key)
        rows = self._frame(f"""
            select rows.line_number, olds.person_key as "old", news.person_key as "new"
            from delivered_{extract.name} as rows
            left join numbers as olds on rows.{old} = olds.number
            left join numbers as news on rows.{new} = news.number
        """)
        deletions = self._frame(
            f"select line_number from delivered_{extract.name} where verwijderd = 'true'"
        ) if self._is_delta else rows.select("line_number").clear()  # fmt: skip
        changes = rows.join(deletions, on="line_number", how="anti").drop_nulls("old")
        bring = changes.join(sound, on="line_number", how="semi").drop_nulls("new").unique("old", keep="first")
        before = pl.DataFrame(schema={"old": pl.String, "new": pl.String})
        if extract.name in self._known:
            before = self._frame(f'select old_person_key as "old", new_person_key as "new" from known_{extract.name}')
        # Known rows stay where this delivery does not delete them: in a full one, where it brings their key at all.
        gone = rows.join(deletions, on="line_number", how="semi").join(sound, on="line_number", how="semi")
        before = before.join(gone, on="old", how="anti") if self._is_delta else before.join(rows, on="old", how="semi")
        marked: list[pl.DataFrame] = []
        while True:
            edges = [bring.select("old", "new"), before.join(bring, on="old", how="anti")]
            back = changes.filter(NumberChanges(pl.concat(edges)).leads_back(changes)).select("line_number")
            marked.append(back)
            # What goes in circles is not accepted; the row known under its key then holds, and may close another one.
            left = bring.join(back, on="line_number", how="anti")
            if left.height == bring.height:
                break
            bring = left
        self._duckdb.register("marked", pl.concat(marked).unique().to_arrow())
        self._run("create table cycles as select line_number from marked")
        self._duckdb.unregister("marked")

    # -- rows with their facts --------------------------------------------------------------------------------------

    def still_waiting(self, extract: Extract, touched: pl.DataFrame) -> pl.DataFrame:
        """Rows that wait for their parents and whose key this delivery does not bring (table ``waiting_<extract>``).

        A dossier speaks for its whole person: of that person no row waits any longer, but for target-group records
        earlier than the one it shows, which end before that.

        Args:
            touched: keys of this extract that the delivery's own rows have brought into the state.
        """
        name, waiting = extract.name, f"from once_waiting_{extract.name}"
        if self._has_dossiers:
            if "insz" in extract.insz_columns:
                self.meet_numbers(extract, "once_waiting")
            waiting = waiting_beside_dossiers(extract, brings_parents=CHILDREN.get(name) in self._texts)
        brought = "false"
        if name in self._texts:
            same = " and ".join(f"delivered.{column} = rows.{column}" for column in extract.key)
            brought = f"exists (select 1 from delivered_{name} as delivered where {same})"
        with self._registered({"touched": touched}):
            self._run(f"create table waiting_{name} as select * from ({waiting}) as rows where not {brought}")
        return self._frame(f"select * from waiting_{name}")

    def batches(
        self,
        extract: Extract,
        rows: Rows = "delivered",
        *,
        with_cycles: bool = True,
        known_fill_in: tuple[str, ...] = (),
    ) -> Iterator[pl.DataFrame]:
        """The rows but for exact duplicates, with pseudonyms and the fact columns of ``schemas``.

        ``known_fill_in``: columns that this delivery cannot carry: where empty, they stay as known.
        """
        name = extract.name
        columns, joins = [f"rows.{column}" for column in ("line_number", *extract.names)], []
        if self._is_delta:
            columns.append("rows.verwijderd" if rows == "delivered" else "cast(null as varchar) as verwijderd")
        for column in extract.insz_columns:
            joins.append(f"left join numbers as {column}_known on rows.{column} = {column}_known.number")
            columns.append(f"{column}_known.person_key as {schemas.PSEUDONYM_COLUMNS[column]}")
        if known_fill_in and name in self._known:
            as_known, known = self._as_known(extract)
            joins += known
            for column in known_fill_in:
                value = f"coalesce(rows.{column}, {as_known.format(column)}) as {column}"
                columns[columns.index(f"rows.{column}")] = value
        originals = "true"
        if rows == "delivered":
            joins.append(f"left join repeated_{name} as repeated on rows.line_number = repeated.line_number")
            columns.append(f"coalesce(repeated.key_conflict, false) as {schemas.KEY_CONFLICT}")
            originals = "not coalesce(repeated.is_duplicate, false)"
        else:
            columns.append(f"false as {schemas.KEY_CONFLICT}")
        for parent in extract.parents:
            if parent.extract == "personen":
                state = f"{parent.column}_known.parent_state"
            else:
                joins.append(
                    f"left join parents_{parent.extract} as {parent.column}_parent "
                    f"on rows.{parent.column} = {parent.column}_parent.parent"
                )
                state = f"coalesce({parent.column}_parent.state, 'missing')"
            columns.append(f"cast({state} as varchar) as {schemas.parent_state(parent.column)}")
        if name == "insz_wijzigingen":
            cycles = "rows.line_number in (select line_number from cycles)" if with_cycles else "false"
            columns.append(f"{cycles} as {schemas.ALIAS_CYCLE}")
        query = f"select {', '.join(columns)} from {rows}_{name} as rows {' '.join(joins)} where {originals}"
        yield from _batches(self._duckdb.cursor(), query)

    @staticmethod
    def _as_known(extract: Extract) -> tuple[str, list[str]]:
        """What is known of a row: an expression for a column ``{0}``, and the joins it needs."""
        same = [
            f"{column}_known.person_key = known.{schemas.PSEUDONYM_COLUMNS[column]}"
            if column in extract.insz_columns
            else f"rows.{column} = known.{column}"
            for column in extract.key
        ]
        joins = [f"left join known_{extract.name} as known on {' and '.join(same)}"]
        if extract.name != "personen":
            return "known.{0}", joins
        # A dossier may come under another number than the row that was known of its person.
        joins += [
            "left join current_keys on insz_known.person_key = current_keys.person_key",
            f"left join ({NEAREST_ROWS}) as nearest "
            "on coalesce(current_keys.current_key, insz_known.person_key) = nearest.owner",
        ]
        return "case when known.person_key is not null then known.{0} else nearest.{0} end", joins

    # -- what becomes of the state before ---------------------------------------------------------------------------

    def rows_of(self, query: str, **frames: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Rows of a query over ``known_<extract>`` and the given frames."""
        with self._registered(frames):
            yield from _batches(self._duckdb, query)

    def write_changes(
        self, extract: Extract, brought: Path, ceasing: str, into: Path, delivery_id: str, **frames: pl.DataFrame
    ) -> None:
        """Write what this delivery changes in the state of an extract (``history.py``); no change, no file.

        A row that is brought as it is known already is no change.

        Args:
            brought: Parquet of the rows that this delivery puts into the state.
            ceasing: query over ``known_<extract>`` and the given frames: rows that hold no longer unless brought again.
            into: the delivery's directory.
        """
        columns = [name for name in schemas.validated_schema(extract) if name != schemas.DELIVERED_IN]
        # A key has one row in the state, so two rows are the same if both of these are.
        identity = f"hash({', '.join(_key(extract))}) as key_hash, hash({', '.join(columns)}) as row_hash"
        rows = f"read_parquet({quoted(brought)}, file_row_number = true)"
        with self._registered(frames):
            self._run(f"""
                create or replace temp table ceasing as
                select {schemas.DELIVERED_IN}, {ROW_NUMBER}, {identity} from ({ceasing})
            """)
        self._run(f"create or replace temp table brought as select file_row_number as place, {identity} from {rows}")
        self._write(
            f"""
            select {", ".join(columns)}, {quoted(delivery_id)} as {schemas.DELIVERED_IN}
            from {rows}
            where file_row_number in (select place from brought anti join ceasing using (key_hash, row_hash))
            """,
            versions_file(into, extract.name),
        )
        self._write(
            f"select {schemas.DELIVERED_IN}, {ROW_NUMBER}, {quoted(delivery_id)} as {ENDED_IN} "
            "from ceasing anti join brought using (key_hash, row_hash)",
            ended_file(into, extract.name),
        )
        self._run("drop table ceasing")
        self._run("drop table brought")

    def count_known(self, extract: str) -> int:
        """Rows of the state before this delivery."""
        return self._count(f"known_{extract}") if extract in self._known else 0

    def _meet_all_numbers(self) -> None:
        for extract in schemas.EXTRACTS.values():
            if extract.name in self._texts:
                self.meet_numbers(extract)
            if extract.name in self._once_waiting:
                self.meet_numbers(extract, "once_waiting")

    def _write(self, query: str, path: Path) -> None:
        """Write the rows of a query, if there are any."""
        path.parent.mkdir(exist_ok=True)
        self._run(f"copy ({query}) to {quoted(path)} (format parquet, compression zstd, compression_level 1)")
        if not self._count(f"read_parquet({quoted(path)})"):
            path.unlink()

    @contextmanager
    def _registered(self, frames: Mapping[str, pl.DataFrame]) -> Iterator[None]:
        for name, frame in frames.items():
            self._duckdb.register(name, frame.to_arrow())
        try:
            yield
        finally:
            for name in frames:
                self._duckdb.unregister(name)

    def _count(self, relation: str) -> int:
        (n,) = self._duckdb.execute(f"select count(*) from {relation}").fetchone()
        return int(n)

    def _frame(self, query: str) -> pl.DataFrame:
        return self._duckdb.execute(query).pl()

    def _run(self, statement: str) -> None:
        self._duckdb.execute(statement)


def _batches(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[pl.DataFrame]:
    for batch in connection.execute(query).to_arrow_reader(BATCH_ROWS):
        if batch.num_rows:
            yield pl.DataFrame(pl.from_arrow(batch))


def _key(extract: Extract) -> list[str]:
    return [schemas.PSEUDONYM_COLUMNS.get(column, column) for column in extract.key]
