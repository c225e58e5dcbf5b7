"""Persons erased: one who asked for it, or all about whom nothing is known from a day on.

Here: who that is, the archive without them (and without who was erased before), and what has to be taken again. Not
here: whose a row is (``redacting.py``), how they are known again (``tombstones.py``), the exchange (``exchange.py``),
building and publishing afterwards, which the night does. Releases stay as they are: they hold counts.

The caller holds the night's lock. Until the exchange nothing in ``KBI_DATA`` has changed, whatever fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from orchestration import records
from orchestration.deliveries import delivery_directories
from orchestration.exchange import new_zones, remove, scratch
from orchestration.history import history_query, state_query
from orchestration.intake import archived_without
from orchestration.ledger import Entry, Ledger
from orchestration.manifest import Refusal
from orchestration.number_changes import find_clusters
from orchestration.pseudonyms import Key, load_key
from orchestration.quarantine import quarantine_query
from orchestration.redacting import LeftOut, numbers_written
from orchestration.retaking import NotTaken, Report, RetakingFailed, keep, made_aside, replace_zones, retake
from orchestration.settings import Settings
from orchestration.tombstones import PERSON, SCHEMA, Tombstones, stones
from schemas import CHILDREN, EXTRACTS, PSEUDONYM_COLUMNS


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
    (pseudonym,) = key.pseudonyms(pl.Series([number]))
    with _database(settings) as connection:
        clusters = _clusters(connection, settings, taken, f"select '{pseudonym}'")
    (own,) = clusters.filter(pl.col("person_key") == pseudonym)["cluster"]
    keys = clusters.filter(pl.col("cluster") == own)["person_key"]
    return _erase(settings, key, taken, _stones(key, keys), 1, records.now("erase", reason=reason), report)


def purge(settings: Settings, before: date, reason: str, report: Report) -> Erasure:
    """Erase every person about whom nothing is dated on that day or later, in any row ever taken.

    What is still open has no date and keeps nobody. Of whom nothing is dated at all, the delivery counts that brought
    them first: they may have come only yesterday. Who later has something dated on that day or after it is back.

    Raises:
        NotTaken, RetakingFailed, SettingsError: as ``erase``.
    """
    taken, key = _taken(settings)
    with _database(settings) as connection:
        _find_last_days(connection, settings, taken, key)
        clusters = _clusters(connection, settings, taken, "select person_key from days")
        days = connection.sql("from days").pl()
    by_person = clusters.join(days, on="person_key", how="inner")
    last = by_person.group_by("cluster").agg(pl.coalesce(pl.col("day").max(), pl.col("came").min()))
    gone = last.filter(pl.col("day") < before)
    keys = by_person.join(gone, on="cluster", how="semi")["person_key"]
    record = records.now("purge", before=before.isoformat(), reason=reason)
    return _erase(settings, key, taken, _stones(key, keys, before), gone.height, record, report)


def erase_again(settings: Settings, report: Report) -> Erasure:
    """Erase what is there of persons who were erased before: restored from a backup, or under a number told later.

    Raises:
        NotTaken, RetakingFailed, SettingsError: as ``erase``.
    """
    if not len(Tombstones.read(settings.tombstones)):
        return Erasure(0, (), 0)
    taken, key = _taken(settings)
    return _erase(settings, key, taken, pl.DataFrame(schema=SCHEMA), None, records.now("erase"), report)


def _stones(key: Key, keys: pl.Series, until: date | None = None) -> pl.DataFrame:
    return pl.DataFrame({"stone": stones(key, PERSON, keys)}).with_columns(until=pl.lit(until, pl.Date))


def _erase(
    settings: Settings,
    key: Key,
    taken: Sequence[Entry],
    more: pl.DataFrame,
    n_persons: int | None,
    record: records.Record,
    report: Report,
) -> Erasure:
    """Make the archive without the persons of all tombstones, and what follows from it, and have that take its place.

    Args:
        more: tombstones that are new.
        n_persons: how many persons these are; None: as many as there are numbers in what is left out.
    """
    aside = made_aside(settings, taken)
    tombstones = Tombstones.read(settings.tombstones).with_more(more)
    redacted = scratch(settings) / "redacted"
    # What was withdrawn, and what a killed night left, do not count, and hold persons all the same.
    lies_at: dict[Path, Entry | None] = dict.fromkeys(delivery_directories(settings.archive))
    lies_at |= {settings.archive / entry.delivery_id: entry for entry in taken}
    lies_at |= dict.fromkeys(sorted(settings.withdrawn.glob("*/*")))
    # What one delivery tells of their rows may show others in another: again, until nothing more is told.
    n_known = -1
    while n_known != len(tombstones):
        n_known, affected, numbers, is_held = len(tombstones), {}, set(), False
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
            is_held |= bool(left_out.rows or left_out.texts)
            if left_out.archived:
                affected[path] = entry and _redacted(entry, left_out)
                numbers.update(left_out.numbers)
            else:
                remove(target)
    deliveries = tuple(sorted({Path(path).name for path in affected}))
    # Only columns that nobody knows may have gone.
    n_persons = 0 if not is_held else len(numbers) if n_persons is None else n_persons
    if not affected and not more.height:
        remove(scratch(settings))
        return Erasure(0, (), 0)
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
    told = {"persons": n_persons, "deliveries": list(deliveries), **record.details}
    record = records.Record(record.at, record.by, record.act, told)
    replace_zones(settings, aside, zones, record, more=[*affected, settings.tombstones.name])
    return Erasure(n_persons, deliveries, n_retaken)


def _redacted(entry: Entry, left_out: LeftOut) -> Entry:
    before, now = entry.left_out, left_out.rows
    rows = {name: before.get(name, 0) + now.get(name, 0) for name in {**before, **now}}
    return entry.model_copy(update={"archived": left_out.archived, "left_out": rows})


def _taken(settings: Settings) -> tuple[list[Entry], Key]:
    taken = Ledger(settings.ledger).taken()
    if not taken:
        raise NotTaken("No delivery was taken: there is nobody to erase.")
    return taken, load_key(settings, bool(taken[0].synthetic))


@contextmanager
def _database(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """One in memory, which spills where the next night sweeps."""
    limits = {"memory_limit": settings.memory_limit, "temp_directory": str(scratch(settings) / "spill")}
    scratch(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    with duckdb.connect(":memory:", config=limits) as connection:
        yield connection


def _clusters(
    connection: duckdb.DuckDBPyConnection, settings: Settings, taken: Sequence[Entry], keys: str
) -> pl.DataFrame:
    """``person_key``, ``cluster``: the numbers of a query, and every one known to be of the same persons."""
    changes = state_query([settings.validated / entry.delivery_id for entry in taken], "insz_wijzigingen")
    find_clusters(connection, keys, f"select old_person_key, new_person_key from ({changes})")
    return connection.sql("from clusters").pl()


def _find_last_days(
    connection: duckdb.DuckDBPyConnection, settings: Settings, taken: Sequence[Entry], key: Key
) -> None:
    """Table ``days``: everybody in any row taken or quarantined, as ``person_key``.

    ``day``: the last one in these rows, null where none is dated; ``came``: date of the delivery that first had one.
    """
    ids = [entry.delivery_id for entry in taken]
    connection.register("deliveries", pl.DataFrame({"delivery_id": ids, "came": [e.date for e in taken]}).to_arrow())
    connection.execute(f"create view quarantined as {quarantine_query(settings.quarantine, ids)}")
    connection.register("named", _named_in_quarantine(connection, key).to_arrow())
    directories = [settings.validated / delivery_id for delivery_id in ids]
    rows = []
    # Parents first: a row that names nobody is of the person of the row that it names.
    for extract in sorted(EXTRACTS.values(), key=lambda extract: extract.name in CHILDREN):
        name, known = extract.name, f"({history_query(directories, extract.name)}) as rows"
        held_back = f"(select delivery_id, row as fields from quarantined where extract = '{name}') as rows"
        dates = extract.event_dates
        day = _latest(f"rows.{column}" for column in dates)
        day_held_back = _latest(f"try_cast({_field(column)} as date)" for column in dates)
        owners = []
        for column in extract.insz_columns:
            owner, named = f"rows.{PSEUDONYM_COLUMNS[column]}", f"inner join named on {_field(column)} = named.number"
            rows.append(f"select {owner} as person_key, {day} as day, rows.known_from as delivery_id from {known}")
            rows.append(f"select named.person_key, {day_held_back}, rows.delivery_id from {held_back} {named}")
            if name in CHILDREN.values():
                owners.append(f"select rows.{extract.key[0]} as id, {owner} as person_key from {known}")
                owners.append(f"select {_field(extract.key[0])}, named.person_key from {held_back} {named}")
        if owners:
            connection.execute(f"create view owners_of_{name} as {' union '.join(owners)}")
        if parent := CHILDREN.get(name):
            link = EXTRACTS[parent].key[0]
            owner = f"inner join owners_of_{parent} as owners on owners.id ="
            rows.append(f"select owners.person_key, {day}, rows.known_from from {known} {owner} rows.{link}")
            rows.append(
                f"select owners.person_key, {day_held_back}, rows.delivery_id from {held_back} {owner} {_field(link)}"
            )
    connection.execute(
        "create table days as select person_key, max(day) as day, min(came) as came "
        f"from ({' union all '.join(rows)}) inner join deliveries using (delivery_id) "
        "where person_key is not null group by person_key"
    )


def _named_in_quarantine(connection: duckdb.DuckDBPyConnection, key: Key) -> pl.DataFrame:
    """Numbers as they are written in quarantined rows, ``number``, and their ``person_key``."""
    columns = sorted({column for extract in EXTRACTS.values() for column in extract.insz_columns})
    fields = " union ".join(f"select row->>'{column}' as number from quarantined" for column in columns)
    named = connection.sql(f"from ({fields}) where number is not null").pl()
    return named.with_columns(key.pseudonyms(numbers_written(named["number"])).alias("person_key"))


def _latest(days: Iterable[str]) -> str:
    return f"greatest({', '.join(there)})" if (there := list(days)) else "null::date"


def _field(name: str) -> str:
    return f"(rows.fields->>'{name}')"
