"""The answer to written question 714 for any one day.

Here: keeping the definitions of the marts with the warehouse (``record_definitions``), and running them again for one
day (``answer``). An answer follows the rules of the marts because it runs their SQL, to the letter. Not here: those
rules (``dbt_project/``), nor the words in which an answer is given (``answer_text.py``).

How the definitions run: compiled SQL names its relations in full, ``"warehouse"."facts"."fct_certificate"``. The
answer therefore opens an empty database in memory under the name ``warehouse``, and the stored one, read-only, under
another name. Every stored table shows through as a view of its own name; ``int_reporting_dates`` is replaced by the one
day; the definitions then fill the rest. No text of SQL is rewritten, and nothing is written to the stored file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from orchestration.compiled_models import CATALOG, is_view, statement
from orchestration.marts import MARTS
from orchestration.settings import Settings
from orchestration.sql import quoted

ANSWERED = tuple(mart for mart in MARTS if mart not in ("mart_outcome_cube", "mart_revisions"))
"""The marts an answer holds. The cube is for exploring, and dear for a day outside its window; revisions are of days
that are reported."""

_REPORTING_DATES = "int_reporting_dates"
_STORED = "stored"


class AnswerError(Exception):
    """No answer can be given; the message says what to do."""


class DateOutOfRange(AnswerError):
    """The day lies after the last delivery: what will have happened by then is not known."""


@dataclass(frozen=True)
class Answer:
    """The rows of the six marts for one day.

    ``marts``: mart → its rows in the order of its grain, as column → value (rates are Decimal with six decimals).
    ``n_later``: deliveries after ``known_on`` that are left out, because an earlier state of knowledge was asked for.
    """

    as_of_date: date
    known_on: date
    synthetic: bool
    marts: Mapping[str, tuple[Mapping[str, Any], ...]]
    n_later: int = 0

    def rows(self, mart: str, **where: str) -> list[Mapping[str, Any]]:
        """The rows of a mart in which the given columns hold the given values."""
        return [row for row in self.marts[mart] if all(row[column] == value for column, value in where.items())]

    def as_json(self) -> str:
        """``{"as_of_date", "known_on", "marts": {mart: [row, …]}}``: dates ISO 8601, rates exact numbers."""
        return _json(self._document())

    def _document(self) -> dict[str, Any]:
        return {"as_of_date": self.as_of_date, "known_on": self.known_on, "marts": self.marts}

    @staticmethod
    def side_by_side(old: Answer, new: Answer) -> str:
        """``{"as_of_date", "answers": [old, new]}``: each as ``as_json`` has it."""
        return _json({"as_of_date": new.as_of_date, "answers": [old._document(), new._document()]})


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, default=_json_value, indent=2, ensure_ascii=False)


def _json_value(value: Any) -> Any:
    # A double holds six decimals exactly enough to print them back: its shortest form is the decimal itself.
    return float(value) if isinstance(value, Decimal) else value.isoformat()


def record_definitions(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Keep the statements that make the marts from the reporting dates in ``quality.mart_definitions``.

    ``connection``: writable, on the file dbt has just built (its catalog is named ``warehouse``); ``target``: dbt's
    target directory of that build, whose ``manifest.json`` holds the graph and the compiled SQL. The table has one row
    per relation, ``model`` (its name), ``position`` (the order in which to run them, from 1), ``sql`` (the statement).
    """
    manifest = json.loads((target / "manifest.json").read_bytes())
    nodes = manifest["nodes"]
    definitions = [
        (nodes[node]["name"], position, statement(nodes[node]))
        for position, node in enumerate(_definitions(manifest), start=1)
    ]
    connection.execute("create schema if not exists quality")
    table = "quality.mart_definitions"
    connection.execute(
        f"create table if not exists {table} (model varchar not null, position integer not null, sql varchar not null)"
    )
    # A large file takes seconds to change, however little.
    if connection.execute(f"select model, position, sql from {table} order by position").fetchall() != definitions:
        connection.execute(f"delete from {table}")
        connection.executemany(f"insert into {table} values (?, ?, ?)", definitions)


def _definitions(manifest: Mapping[str, Any]) -> list[str]:
    """Node ids to run, parents first: what lies between the reporting dates and the marts, and the views it reads."""
    nodes, children = manifest["nodes"], manifest["child_map"]
    ids = {node["name"]: id for id, node in nodes.items() if node["resource_type"] == "model"}
    dated: set[str] = set()
    waiting = [ids[_REPORTING_DATES]]
    while waiting:
        fresh = set(children[waiting.pop()]) - dated
        dated |= fresh
        waiting += fresh
    ordered: dict[str, None] = {}

    def visit(node: str) -> None:
        # Anything else is a stored table (or seed, or source) and shows through as it is.
        if node in ordered or not (node in dated or is_view(nodes.get(node, {}))):
            return
        for parent in nodes[node]["depends_on"]["nodes"]:
            visit(parent)
        ordered[node] = None

    for mart in ANSWERED:
        visit(ids[mart])
    return list(ordered)


def answer(settings: Settings, as_of: date | None = None) -> Answer:
    """Answer for one day, from the warehouse as it is now. Takes seconds, and may run during a night.

    ``as_of``: any day up to the last delivery, which is the default. Before 2016-02-29 the population is empty: counts
    are 0, rates NULL.

    Raises:
        DateOutOfRange: ``as_of`` lies after the date of the last delivery.
        AnswerError: there is no warehouse yet, or it cannot be read.
    """
    if not settings.warehouse.exists():
        raise AnswerError(
            f"There is no warehouse yet at {settings.warehouse}. Run `kbi night` (or `make night`) first."
        )
    with TemporaryDirectory(prefix="kbi-answer-") as spill:
        engine = {"memory_limit": settings.memory_limit, "temp_directory": spill}
        with duckdb.connect(":memory:", config=engine) as connection:
            known_on, synthetic, definitions = _open(connection, settings.warehouse)
            as_of = as_of or known_on
            if as_of > known_on:
                raise DateOutOfRange(
                    f"{as_of} lies after the last delivery, of {known_on}: give a date up to then, or deliver first."
                )
            _show_through(connection, {_REPORTING_DATES, *definitions})
            connection.execute(
                f"create table {CATALOG}.intermediate.{_REPORTING_DATES} as"
                " select ?::date as as_of_date, false as in_cube",
                [as_of],
            )
            for sql in definitions.values():
                connection.execute(sql)
            return Answer(as_of, known_on, synthetic, {mart: _rows(connection, mart) for mart in ANSWERED})


def _open(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> tuple[date, bool, dict[str, str]]:
    """Attach both databases. Returns the date of the last delivery, whether it is synthetic, and the definitions."""
    try:
        connection.execute(f"attach {quoted(warehouse)} as {_STORED} (read_only)")
        connection.execute(f"attach ':memory:' as {CATALOG}")
        ((known_on, synthetic),) = connection.execute(
            f"select known_on, synthetic from {_STORED}.registry.knowledge"
        ).fetchall()
        definitions = connection.execute(
            f"select model, sql from {_STORED}.quality.mart_definitions order by position"
        ).fetchall()
    except duckdb.Error as error:
        raise AnswerError(
            f"The warehouse at {warehouse} cannot be asked: it is damaged or of another version. `kbi night` builds it "
            f"anew. DuckDB says: {error}"
        ) from error
    return known_on, synthetic, dict(definitions)


def _show_through(connection: duckdb.DuckDBPyConnection, except_for: Iterable[str]) -> None:
    """A view in the empty database for every stored table, except those that are made again."""
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables()"
        " where database_name = ? and not list_contains(?, table_name)",
        [_STORED, list(except_for)],
    ).fetchall()
    schemas = connection.execute(
        "select schema_name from duckdb_schemas() where database_name = ? and not internal", [_STORED]
    ).fetchall()
    for (schema,) in schemas:
        connection.execute(f'create schema if not exists {CATALOG}."{schema}"')
    for schema, table in tables:
        connection.execute(f'create view {CATALOG}."{schema}"."{table}" as from {_STORED}."{schema}"."{table}"')


def _rows(connection: duckdb.DuckDBPyConnection, mart: str) -> tuple[dict[str, Any], ...]:
    rows = connection.execute(f"from {CATALOG}.marts.{mart} order by {', '.join(MARTS[mart])}")
    columns = [column[0] for column in rows.description]
    return tuple(dict(zip(columns, row, strict=True)) for row in rows.fetchall())
