"""Dagster's run history in SQLite, written without waiting for the disk after every event.

Dagster opens and closes a connection per event. Closing the last one makes SQLite fold its write-ahead log into the
database and wait for the disk, several times per event, and a night has some five hundred: on a busy disk that was most
of its time. Here: keeping one connection per database open meanwhile, and syncing at checkpoints only. A killed process
loses nothing by that; a power cut may lose the last events of the history, never data of the warehouse.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from sqlalchemy import Engine, event


@contextmanager
def swift_history() -> Iterator[None]:
    """Write to every SQLite database that is connected to inside without syncing each transaction."""
    kept_open: dict[str, sqlite3.Connection] = {}
    with ExitStack() as connections:

        def keep_open(connection: sqlite3.Connection, _record: object) -> None:
            if not isinstance(connection, sqlite3.Connection):
                return
            connection.execute("pragma synchronous = normal")
            if not (path := connection.execute("pragma database_list").fetchone()[2]):
                return  # in memory
            if path not in kept_open:
                kept_open[path] = connections.enter_context(closing(sqlite3.connect(path, check_same_thread=False)))
            # Only a connection that has read since the log was switched on keeps it open.
            kept_open[path].execute("pragma schema_version").fetchall()

        event.listen(Engine, "connect", keep_open)
        try:
            yield
        finally:
            event.remove(Engine, "connect", keep_open)
