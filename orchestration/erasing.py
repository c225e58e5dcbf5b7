"""Persons erased: one who asked for it, or all about whom nothing is known from a day on.

Here: who that is, the archive without them, and what has to be taken again. Not here: whose a row is
(``redacting.py``), how they are known again (``tombstones.py``), the exchange (``exchange.py``), building and
publishing afterwards, which the night does. Releases stay as they are: they hold counts.

The caller holds the night's lock. Until the exchange nothing in ``KBI_DATA`` has changed, whatever fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from orchestration import records
from orchestration.exchange import new_zones, remove, scratch
from orchestration.history import history_query, state_query
from orchestration.intake import archived_without
from orchestration.ledger import Entry, Ledger
from orchestration.manifest import Refusal
from orchestration.pseudonyms import Key, load_key
from orchestration.redacting import LeftOut
from orchestration.retaking import NotTaken, Report, RetakingFailed, keep, made_aside, replace_zones, retake
from orchestration.settings import Settings
from orchestration.tombstones import PERSON, Tombstones, stones
from schemas import EXTRACTS, PSEUDONYM_COLUMNS

_NOT_AN_EVENT = "geboortedatum"


@dataclass(frozen=True)
class Erasure:
    """What an erasure came to: how many persons, from which deliveries, and those taken again."""

    n_persons: int
    deliveries: tuple[str, ...]
    n_retaken: int


def erase(settings: Settings, number: str, reason: str, report: Report) -> Erasure:
    """Erase the person who has this number or has had it, for good: rows of theirs are never taken again.

    Raises:
        NotTaken: no delivery was taken.
        RetakingFailed: the archive does not give what was taken from it.
        SettingsError: the key is not the one they were taken with.
    """
    taken, key = _taken(settings)
    with duckdb.connect() as connection:
        (pseudonym,) = key.pseudonyms(pl.Series([number]))
        connection.execute("create table persons as select ? as person_key", [pseudonym])
        clusters = _clusters(connection, settings, taken)
    (own,) = clusters.filter(pl.col("person_key") == pseudonym)["cluster"]
    keys = clusters.filter(pl.col("cluster") == own)["person_key"]
    record = records.now("erase", reason=reason)
    return _erase(settings, key, taken, keys, 1, None, record, report)


def purge(settings: Settings, before: date, reason: str, report: Report) -> Erasure:
    """Erase every person about whom nothing is dated on that day or later, in any row ever taken.

    What is still open has no date and keeps nobody. Who later has something dated on that day or after it is back.

    Raises:
        NotTaken, RetakingFailed, SettingsError: as ``erase``.
    """
    taken, key = _taken(settings)
    with duckdb.connect() as connection:
        _find_last_days(connection, settings, taken, key)
        connection.execute("create table persons as select person_key from days")
        clusters = _clusters(connection, settings, taken)
        days = connection.sql("from days").pl()
    by_person = clusters.join(days, on="person_key", how="left")
    last = by_person.group_by("cluster").agg(pl.col("day").max())
    gone = last.filter(pl.col("day").is_null() | (pl.col("day") < before))
    keys = by_person.join(gone, on="cluster", how="semi")["person_key"]
    record = records.now("purge", before=before.isoformat(), reason=reason)
    return _erase(settings, key, taken, keys, gone.height, before, record, report)


def _erase(
    settings: Settings,
    key: Key,
    taken: Sequence[Entry],
    keys: pl.Series,
    n_persons: int,
    until: date | None,
    record: records.Record,
    report: Report,
) -> Erasure:
    """Make the archive without these persons, and what follows from it, and have that take its place."""
    aside = made_aside(settings, taken)
    own = pl.DataFrame({"stone": stones(key, PERSON, keys)}).with_columns(until=pl.lit(until, pl.Date))
    tombstones = Tombstones.read(settings.tombstones).with_more(own)
    redacted = scratch(settings) / "redacted"
    lies_at: dict[Path, Entry | None] = {settings.archive / entry.delivery_id: entry for entry in taken}
    lies_at |= dict.fromkeys(sorted(settings.withdrawn.glob("*/*")))
    # What one delivery tells of their rows may show others in another: again, until nothing more is told.
    n_known = -1
    while n_known != len(tombstones):
        n_known, affected = len(tombstones), {}
        remove(redacted)
        for directory, entry in lies_at.items():
            report(f"{directory.name}: looking for rows of theirs")
            path = str(directory.relative_to(settings.data))
            target = redacted / path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                left_out = archived_without(aside, directory, target, key, tombstones)
            except Refusal as refusal:
                raise RetakingFailed(f"{directory} cannot be read. {refusal.code}: {refusal.detail}") from None
            tombstones = tombstones.with_more(left_out.identifiers)
            if left_out.rows:
                affected[path] = entry and _redacted(entry, left_out)
            else:
                remove(target)
    deliveries = tuple(sorted({Path(path).name for path in affected}))
    n_retaken = 0
    zones = []
    if any(affected.values()):
        entries = [affected.get(f"{settings.archive.name}/{entry.delivery_id}") or entry for entry in taken]
        first = next(n for n, entry in enumerate(entries) if entry != taken[n])
        keep(settings, aside, taken[:first])
        bytes_of = {Path(path).name: redacted / path for path, entry in affected.items() if entry}
        retake(settings, aside, entries[first:], report, bytes_of)
        zones, n_retaken = entries[first:], len(entries) - first
    else:
        keep(settings, aside, taken)
    remove(aside.archive)
    for path in affected:
        target = new_zones(settings) / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (redacted / path).rename(target)
    remove(redacted)
    tombstones.write(aside.tombstones)
    told = {"persons": n_persons if affected else 0, "deliveries": list(deliveries), **record.details}
    record = records.Record(record.at, record.by, record.act, told)
    replace_zones(settings, aside, zones, record, more=[*affected, settings.tombstones.name])
    return Erasure(n_persons if affected else 0, deliveries, n_retaken)


def _redacted(entry: Entry, left_out: LeftOut) -> Entry:
    before, now = entry.left_out, left_out.rows
    rows = {name: before.get(name, 0) + now.get(name, 0) for name in {**before, **now}}
    return entry.model_copy(update={"archived": left_out.archived, "left_out": rows})


def _taken(settings: Settings) -> tuple[list[Entry], Key]:
    taken = Ledger(settings.ledger).taken()
    if not taken:
        raise NotTaken("No delivery was taken: there is nobody to erase.")
    return taken, load_key(settings, bool(taken[0].synthetic))


def _clusters(connection: duckdb.DuckDBPyConnection, settings: Settings, taken: Sequence[Entry]) -> pl.DataFrame:
    """``person_key``, ``cluster``: the table ``persons`` and every number known to be of the same persons."""
    changes = state_query([settings.validated / entry.delivery_id for entry in taken], "insz_wijzigingen")
    connection.execute(f"""
        create table links as
        with changes as ({changes})
        select old_person_key as one, new_person_key as other from changes
        union select new_person_key, old_person_key from changes
    """)
    connection.execute("""
        create table clusters as
        with keys as (select person_key from persons union select one from links)
        select person_key, person_key as cluster from keys
    """)
    while connection.execute("""
        update clusters set cluster = nearest.cluster
        from (
            select links.other as person_key, min(clusters.cluster) as cluster
            from links inner join clusters on links.one = clusters.person_key
            group by links.other
        ) as nearest
        where clusters.person_key = nearest.person_key and nearest.cluster < clusters.cluster
    """).fetchone()[0]:
        pass
    return connection.sql("from clusters").pl()


def _find_last_days(
    connection: duckdb.DuckDBPyConnection, settings: Settings, taken: Sequence[Entry], key: Key
) -> None:
    """Table ``days``: ``person_key`` of everybody in any row taken or quarantined, and the last ``day`` in these."""
    directories = [settings.validated / entry.delivery_id for entry in taken]
    for name in EXTRACTS:
        connection.execute(f"create view {name} as {history_query(directories, name)}")
    queries = []
    for name, extract in EXTRACTS.items():
        dates = [c.name for c in extract.columns if c.kind == "date" and c.name != _NOT_AN_EVENT]
        day = f"greatest({', '.join(f'rows.{column}' for column in dates)})" if dates else "null::date"
        for column in extract.insz_columns:
            queries.append(f"select {PSEUDONYM_COLUMNS[column]} as person_key, {day} as day from {name} as rows")
        if not extract.insz_columns:
            (link, parent) = next((p.column, p.extract) for p in extract.parents)
            owners = f"(select distinct {link}, person_key from {parent}) as owners"
            queries.append(f"select owners.person_key, {day} from {name} as rows inner join {owners} using ({link})")
    connection.register("quarantined", _days_in_quarantine(settings, taken, key).to_arrow())
    queries.append("select person_key, day from quarantined")
    connection.execute(
        f"create table days as select person_key, max(day) as day from ({' union all '.join(queries)}) "
        "where person_key is not null group by person_key"
    )


def _days_in_quarantine(settings: Settings, taken: Sequence[Entry], key: Key) -> pl.DataFrame:
    """``person_key``, ``day``: of quarantined rows, every number that stands in one, with every date that does."""
    files = [path for e in taken for path in sorted((settings.quarantine / e.delivery_id).glob("*.parquet"))]
    rows = pl.concat([pl.DataFrame(schema={"row": pl.String}), *(pl.read_parquet(f, columns=["row"]) for f in files)])
    read = rows.select(
        pl.col("row").str.extract_all(r'"(?:insz|oude_insz|nieuwe_insz)":"[^"]*"').alias("number"),
        pl.col("row")
        .str.replace_all(r'"geboortedatum":"[^"]*"', "")
        .str.extract_all(r'"\d{4}-\d{2}-\d{2}"')
        .list.eval(pl.element().str.strip_chars('"').str.to_date(strict=False))
        .list.max()
        .alias("day"),
    ).explode("number")
    numbers = read.drop_nulls("number").with_columns(pl.col("number").str.replace_all(r"\D", ""))
    distinct = numbers["number"].unique()
    keyed = pl.DataFrame({"number": distinct, "person_key": key.pseudonyms(distinct)})
    return numbers.join(keyed, on="number").select("person_key", "day")
