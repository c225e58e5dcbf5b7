"""What each delivery changed in the figures of days before it, and why.

Here: the differences of the counts of Q1 to Q5 between consecutive deliveries, by cause, as files that hold counts
only; ``mart_revisions`` adds old and new to them. They are a function of the deliveries and the definitions: when they
were published has no part in it. Not here: whom a delivery touches (``scope.py``), the words (``explanation.py``).

A person's figures have one cause per delivery, the first of ``CAUSES`` that any row of the person or of somebody who
hangs together with it gives; so every changed unit x component x date has one, and the causes add up to the difference.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.answer import ANSWERED
from orchestration.compiled_models import load_seeds
from orchestration.disk import ends_as_parquet, write_whole
from orchestration.history import quarantined_keys_file, versions_file
from orchestration.ledger import Entry
from orchestration.marts import MARTS
from orchestration.scope import Scope, scratch_engine
from orchestration.settings import Settings
from orchestration.sql import quoted
from schemas import CHILDREN, EXTRACTS, PSEUDONYM_COLUMNS, Extract

CAUSES = (
    "replaced_number",
    "repaired_from_quarantine",
    "deleted_row",
    "corrected_decision",
    "late_registration",
    "other",
)
"""In order of precedence: the more is known of the reason, the earlier.

``replaced_number``: a number was replaced, or its replacement withdrawn, so histories merge or part.
``repaired_from_quarantine``: a row is accepted whose key was last seen in the quarantine.
``deleted_row``: a row is gone and nothing stands under its key.
``corrected_decision``: a decision, result or document that was there reads differently.
``late_registration``: something dated up to the delivery before is new, or a result that was empty is filled in.
``other``: whatever else changed, such as the target group or what a contract holds.
"""

DECISIONS: Mapping[str, tuple[str, ...]] = {
    "trajecten": ("besluit_code", "besluit_datum"),
    "trajectonderdelen": ("besluit_code", "besluit_datum"),
    "mo_cursussen": ("lesuren", "aanwezige_uren"),
    "nt2_cursussen": ("besluit", "niveau", "lesuren", "aanwezige_uren"),
    "afgelegde_testen": ("type", "resultaat", "niveau", "score_praktisch", "score_waarden"),
    "attesten": ("type", "datum_aanmaak", "datum_ondertekening"),
}
"""Columns that say what somebody has achieved."""

GRAIN = ("mart", "as_of_date", "counting_unit", "component", "participation_type", "reason")
SCHEMA = {
    "position": pl.Int32(),
    "delivery_id": pl.String(),
    "previous_delivery_id": pl.String(),
    "known_before": pl.Date(),
    "known_after": pl.Date(),
    **{column: pl.Date() if column == "as_of_date" else pl.String() for column in GRAIN},
    "measure": pl.String(),
    "cause": pl.String(),
    "difference": pl.Int64(),
}
"""Columns of a file. ``position``: of the delivery among those taken, from 1; grain columns a mart lacks are null."""


def update(
    settings: Settings,
    manifest: Mapping[str, Any],
    taken: Sequence[Entry],
    report: Callable[[str], None] = lambda message: None,
    scope: Scope | None = None,
) -> list[Path]:
    """Make the files of all deliveries after the first that are not there yet; return those of all.

    Args:
        manifest: dbt's manifest of the compiled project.
        taken: deliveries in the order in which they were taken.
        scope: spares finding again whom the last delivery touches, if it is of that delivery.
    """
    files = []
    for n in range(1, len(taken)):
        path = settings.revisions / f"{taken[n].delivery_id}-{_identity(manifest, taken[: n + 1])}.parquet"
        if not ends_as_parquet(path):
            report(f"{taken[n].delivery_id}: what it changes in figures of days before it")
            settings.revisions.mkdir(parents=True, exist_ok=True)
            found = io.BytesIO()
            _differences(settings, manifest, taken[:n], taken[n], scope).write_parquet(found)
            for outdated in settings.revisions.glob(f"{taken[n].delivery_id}-????????????????.parquet"):
                outdated.unlink(missing_ok=True)
            # A night and a build of an earlier state may be at it at once.
            write_whole(path, found.getvalue(), is_shared=True)
        files.append(path)
    return files


def _identity(manifest: Mapping[str, Any], taken: Sequence[Entry]) -> str:
    """Of the deliveries and the definitions that a file follows from."""
    digest = hashlib.sha256()
    for entry in taken:
        digest.update(f"{entry.delivery_id} {entry.archived_fingerprint} {entry.reconciliation}\n".encode())
    for name, node in sorted(manifest["nodes"].items()):
        digest.update(f"{name} {node.get('checksum', {}).get('checksum')}\n".encode())
    digest.update(repr((CAUSES, DECISIONS)).encode())
    return digest.hexdigest()[:16]


def _differences(
    settings: Settings, manifest: Mapping[str, Any], before: Sequence[Entry], entry: Entry, given: Scope | None
) -> pl.DataFrame:
    directories = [settings.validated / one.delivery_id for one in before]
    delivery = settings.validated / entry.delivery_id
    previous = before[-1]
    is_given = given is not None and given.is_of(directories, [delivery])
    with nullcontext(given) if is_given else _own_scope(settings, directories, delivery) as scope:
        scope.gather()
        _find_causes(scope.connection, directories, delivery, previous.date)
        dates = _reporting_dates(manifest, previous.date)
        found = []
        causes = scope.connection.execute("select distinct cause from causes order by cause").fetchall()
        # Before the first reporting date there is nothing to revise.
        for (cause,) in causes if dates else ():
            persons = (
                "select person_key from memory.touched "
                f"semi join (from memory.causes where cause = '{cause}') using (cluster)"
            )
            old = _counts(scope, manifest, persons, "before", previous.date, dates)
            new = _counts(scope, manifest, persons, "after", entry.date, dates)
            both = pl.concat([old.with_columns(-pl.col("difference")), new])
            changes = both.group_by([*GRAIN, "measure"]).agg(pl.col("difference").sum())
            found.append(changes.filter(pl.col("difference") != 0).with_columns(cause=pl.lit(cause)))
    nothing = pl.DataFrame(schema={name: SCHEMA[name] for name in (*GRAIN, "measure", "difference", "cause")})
    return (
        pl.concat([nothing, *found])
        .select(
            pl.lit(len(before) + 1, pl.Int32).alias("position"),
            pl.lit(entry.delivery_id).alias("delivery_id"),
            pl.lit(previous.delivery_id).alias("previous_delivery_id"),
            pl.lit(previous.date).alias("known_before"),
            pl.lit(entry.date).alias("known_after"),
            *GRAIN,
            "measure",
            "cause",
            "difference",
        )
        .sort([*GRAIN, "measure", "cause"])
    )


@contextmanager
def _own_scope(settings: Settings, before: Sequence[Path], delivery: Path) -> Iterator[Scope]:
    with duckdb.connect(":memory:", config=scratch_engine(settings)) as connection:
        yield Scope(connection, before, [delivery])


def _counts(
    scope: Scope, manifest: Mapping[str, Any], persons: str, state: str, known_on: date, dates: Sequence[date]
) -> pl.DataFrame:
    """The counts of some persons' marts, one per row: the grain, ``measure``, ``difference``."""
    counts = []
    for mart, rows in scope.counts(manifest, ANSWERED, persons, state, known_on, dates):
        frame = rows.pl().with_columns(mart=pl.lit(mart))
        grain = ["mart", *MARTS[mart]]
        frame = frame.with_columns(pl.lit(None, pl.String).alias(column) for column in GRAIN if column not in grain)
        measures = [name for name, kind in frame.schema.items() if kind.is_integer()]
        long = frame.unpivot(measures, index=list(GRAIN), variable_name="measure", value_name="difference")
        counts.append(long.with_columns(pl.col("difference").cast(pl.Int64)))
    return pl.concat(counts)


def _reporting_dates(manifest: Mapping[str, Any], known_before: date) -> list[date]:
    """The days that both states report: those of the seed and the ends of months, up to the delivery before."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("attach ':memory:' as warehouse")
        load_seeds(connection, manifest)
        return [
            day
            for (day,) in connection.execute(
                """
                select as_of_date from warehouse.seeds.reporting_dates where as_of_date <= $1
                union
                select last_day(month) as as_of_date
                from (
                    select unnest(generate_series(date_trunc('month', signed_from), $1, interval 1 month)) as month
                    from warehouse.seeds.policy_regimes where regime_code = 'result_2016'
                )
                where last_day(month) <= $1
                order by as_of_date
                """,
                [known_before],
            ).fetchall()
        ]


def _find_causes(
    connection: duckdb.DuckDBPyConnection, before: Sequence[Path], delivery: Path, known_before: date
) -> None:
    """Table ``causes``: ``cluster``, ``cause``: one row for each cluster of persons of whom a row changed."""
    queries = [query for extract in EXTRACTS.values() for query in _causes_in(extract, before, delivery, known_before)]
    ranks = " ".join(f"when '{cause}' then {rank}" for rank, cause in enumerate(CAUSES))
    connection.execute(f"""
        create table causes as
        select touched.cluster, arg_min(found.cause, case found.cause {ranks} end) as cause
        from touched inner join ({" union all ".join(queries)}) as found using (person_key)
        group by touched.cluster
    """)


def _causes_in(extract: Extract, before: Sequence[Path], delivery: Path, known_before: date) -> list[str]:
    """Queries of ``person_key``, ``cause``: what the changed rows of one extract give."""
    changed = f"changed.{extract.name}"
    if extract.name == "insz_wijzigingen":
        return [
            f"select {PSEUDONYM_COLUMNS[column]} as person_key, 'replaced_number' as cause from {changed}"
            for column in extract.insz_columns
        ]
    key = ", ".join(PSEUDONYM_COLUMNS.get(column, column) for column in extract.key)
    owner, owners = "rows.person_key", ""
    if parent := CHILDREN.get(extract.name):
        link = EXTRACTS[parent].key[0]
        owner, owners = "owners.person_key", f"inner join either.{parent} as owners on rows.{link} = owners.{link}"
    decisions = DECISIONS.get(extract.name, ())
    corrected = _any(f"old.{name} is not null and old.{name} is distinct from rows.{name}" for name in decisions)
    filled = _any(f"old.{name} is null and rows.{name} is not null" for name in decisions)
    is_late = (
        f"least({', '.join(f'rows.{name}' for name in extract.event_dates)}) <= date '{known_before}'"
        if extract.event_dates
        else "false"
    )
    return [
        f"""
        select {owner}, case
            when rows.is_repaired then 'repaired_from_quarantine'
            when old.is_old and ({corrected}) then 'corrected_decision'
            when old.is_old is null and {is_late} then 'late_registration'
            when old.is_old and ({filled}) then 'late_registration'
            else 'other'
        end as cause
        from ({_new_rows(extract, key, before)}) as rows
        left join (select *, true as is_old from {changed} where not is_new) as old using ({key})
        {owners}
        """,
        f"""
        select {owner}, 'deleted_row' as cause
        from (from {changed} where not is_new) as rows
        anti join (from {changed} where is_new) as new_rows using ({key})
        {owners}
        """,
    ]


def _new_rows(extract: Extract, key: str, before: Sequence[Path]) -> str:
    """The new versions of an extract, with ``is_repaired``: their key was last seen in the quarantine."""
    new = f"select * from changed.{extract.name} where is_new"
    seen = [
        (file, position, is_broken)
        for position, directory in enumerate(before)
        for file, is_broken in (
            (versions_file(directory, extract.name), False),
            (quarantined_keys_file(directory, extract.name), True),
        )
        if file.exists()
    ]
    if not any(is_broken for _, _, is_broken in seen):
        return f"select *, false as is_repaired from ({new})"
    sightings = " union all ".join(
        f"select distinct {key}, {position} as position, {is_broken} as is_broken from read_parquet({quoted(file)})"
        for file, position, is_broken in seen
    )
    return f"""
        select new_rows.*, coalesce(last_seen.is_broken, false) as is_repaired
        from ({new}) as new_rows
        left join (
            select {key}, arg_max(is_broken, (position, is_broken)) as is_broken
            from ({sightings}) semi join ({new}) using ({key})
            group by {key}
        ) as last_seen using ({key})
    """


def _any(conditions: Iterable[str]) -> str:
    return " or ".join(conditions) or "false"
