"""Dagster's event log in SQLite, with one open connection per database.

Dagster's own storage makes an engine and a connection for every access: every statement is compiled anew, and closing
the last connection makes SQLite fold its write-ahead log into the database and wait for the disk, several times. A
night logs some eight hundred events; that was a third of its processor time beside the real work, and on a busy disk
most of its wall time. Here: the same storage, the same files, keeping what it opened. Not here: what is logged.

A killed process loses nothing by this; a power cut may lose the last events of the history, never data of the
warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, StaticPool

_OPEN_AT_ONCE = 8


class RunHistory(SqliteEventLogStorage):
    """Named in ``dagster.yaml``. One database per run and one index over all, as its base class keeps them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(*args, **kwargs)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> RunHistory:
        """Called by Dagster with the section of ``dagster.yaml``."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # The lock is the base class's: one thread at a time, so that one connection is enough.
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            if shard not in self._initialized_dbs:
                self._initdb(self._new_engine(shard, NullPool))
                self._initialized_dbs.add(shard)
            engine = self._new_engine(shard, StaticPool)
        self._engines[shard] = engine
        while len(self._engines) > _OPEN_AT_ONCE:
            self._engines.pop(next(iter(self._engines))).dispose()
        return engine

    def _new_engine(self, shard: str, pool: type[NullPool | StaticPool]) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=pool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        event.listen(engine, "connect", lambda connection, _: connection.execute("pragma synchronous = normal"))
        return engine

    def has_table(self, table_name: str) -> bool:
        """Asked before every event of a check; a table that was seen once is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        """Close what is open: Dagster calls this when it is done with the instance."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()
