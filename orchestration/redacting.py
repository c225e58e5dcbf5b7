"""Rows of erased persons left out of a delivery: before it is judged, and of the bytes that are kept.

Here: which rows of a delivery are a person's, by its tombstones, and the archived files without them. Not here: who is
erased (``erasing.py``), how tombstones lie on disk (``tombstones.py``), any verdict on a row.

Whose a row is, its number tells. A row that names nobody belongs to the person of the contract or track that it names;
one that only deletes, to the person whose rows had its identifier. An identifier that somebody else's row has too is
nobody's: what hangs on it stays. A number that replaces an erased person's, or is replaced by it, is that person's too.

In a text of a row that is somebody else's an erased number may stand too: its tombstone takes its place there.

Of a file that is changed the text is kept, as Parquet, so line numbers count what is left. Columns that the contract
does not know are not kept, once anybody is erased: nobody reads them, and nobody can say whom they name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import duckdb
import polars as pl

from orchestration.deliveries import MANIFEST
from orchestration.dossiers import contents, rewrite
from orchestration.landing import fingerprint, sha256_of
from orchestration.manifest import DeliveredFile, Manifest
from orchestration.mentions import mentions_query, numbers_in_bytes, replaced_query, with_replaced
from orchestration.number_changes import find_clusters
from orchestration.pseudonyms import Key
from orchestration.sql import quoted
from orchestration.tombstones import PERSON, SCHEMA, Tombstones, stones
from orchestration.validation import DeliveredRows
from schemas import CHILDREN, DELETED, DOSSIERS, EXTRACTS, LINE_NUMBER, Extract, insz

NO_CHANGES = "select null::varchar as old_person_key, null::varchar as new_person_key where false"
"""Replaced numbers known before the first delivery, as ``history.state_query`` would tell them."""


@dataclass(frozen=True)
class LeftOut:
    """What was left out of a delivery, and what there is without it.

    ``rows``: how many per extract (of dossiers, files), and ``texts``: how many about others were changed, of those
    that have any. ``numbers``: pseudonyms of the persons they name.
    ``identifiers``: tombstones of identifiers of those rows, as ``tombstones.SCHEMA``; ``joined``: those of further
    numbers of persons erased for good; ``lifted``: those of persons who have come back since they were purged.
    ``manifest``: of what is left; ``archived``: identity of its bytes, None where they are those delivered.
    """

    rows: Mapping[str, int]
    texts: Mapping[str, int]
    numbers: pl.Series
    identifiers: pl.DataFrame
    joined: pl.DataFrame
    lifted: pl.Series
    manifest: Manifest
    archived: str | None

    def remember(self, path: Path) -> None:
        """Bring the tombstones at a path up to what this delivery told."""
        more = pl.concat([self.identifiers, self.joined])
        if more.height or len(self.lifted):
            Tombstones.read(path).with_more(more).without(self.lifted).write(path)


def leave_out(
    landed: Path,
    manifest: Manifest,
    rows: DeliveredRows,
    unexpected: Collection[str],
    key: Key,
    tombstones: Tombstones,
    memory_limit: str,
    known_changes: str | None = None,
) -> LeftOut:
    """Take erased persons out of a delivery that was archived and read; where that changes it, it is to be read again.

    Args:
        landed: its archived files, which are replaced where they tell of them.
        rows: its text Parquet.
        unexpected: extracts whose files have columns that the contract does not know.
        known_changes: query of the replaced numbers known before it, as validated, for a delivery that is news. Where
            None, its own replacements tell nothing: whose number was whose when it came, others may have corrected.
    """
    texts = {**rows.texts, **({DOSSIERS.name: rows.dossiers} if rows.dossiers else {})}
    spill = landed.with_name(f"{landed.name}-spill")
    with duckdb.connect(":memory:", config={"memory_limit": memory_limit, "temp_directory": str(spill)}) as connection:
        return _Delivery(landed, manifest, texts, unexpected, key, tombstones, connection).without_the_erased(
            known_changes
        )


class _Delivery:
    """A delivery as text and as bytes, held against tombstones."""

    def __init__(
        self,
        landed: Path,
        manifest: Manifest,
        texts: Mapping[str, Path],
        unexpected: Collection[str],
        key: Key,
        tombstones: Tombstones,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self._landed, self._manifest, self._texts, self._key = landed, manifest, texts, key
        self._unexpected, self._tombstones, self._duckdb = unexpected, tombstones, connection
        self._dossiers = manifest.file_of(DOSSIERS.name)
        for name, path in texts.items():
            self._run(f"create view text_{name} as from read_parquet({quoted(path)})")

    def without_the_erased(self, known_changes: str | None) -> LeftOut:
        """Find their rows, and take them out."""
        self._find_numbers()
        joined = self._join_numbers(known_changes)
        for name in sorted(EXTRACTS, key=lambda name: name in CHILDREN):
            self._find_rows(EXTRACTS[name])
        lifted = self._lift()
        identifiers = self._identifiers()
        found = self._frame("select number, value from numbers")
        self._stands_for = dict(zip(found["number"], stones(self._key, PERSON, found["value"]), strict=True))
        before = self._manifest
        if self._dossiers:
            told = {DOSSIERS.name: self._leave_out_dossiers(self._dossiers)}
        else:
            told = {name: self._leave_out_rows(name) for name in EXTRACTS if name in self._texts}
        rows, texts = ({name: n[i] for name, n in told.items() if n[i]} for i in (0, 1))
        archived = fingerprint(self._landed) if self._manifest is not before else None
        numbers = found["value"].unique()
        return LeftOut(rows, texts, numbers, identifiers, joined, lifted, self._manifest, archived)

    def _find_numbers(self) -> None:
        """Tables ``written``: numbers as they are written in this delivery, each with its ``value``, a pseudonym.

        ``numbers``: those of erased persons, with their ``until``. ``mentions_<extract>``: of what is no dossier.
        """
        queries = []
        for extract in (extract for name, extract in EXTRACTS.items() if name in self._texts):
            queries += [f"select {column} as number from text_{extract.name}" for column in extract.insz_columns]
            if not self._dossiers:
                # Not in identifiers: by these, rows that tell of nobody are known again, now and later.
                others = [column.name for column in extract.columns if column.kind not in ("insz", "id")]
                self._run(f"create table mentions_{extract.name} as {mentions_query(f'text_{extract.name}', others)}")
                queries.append(f"select number from mentions_{extract.name}")
        if self._dossiers:
            queries.append(f"select insz as number from text_{DOSSIERS.name}")
        written = self._frame(
            f"select distinct number from ({' union all '.join(queries)}) where number is not null"
            if queries
            else "select null::varchar as number where false"
        )
        if self._dossiers:
            in_bytes = pl.DataFrame({"number": list(self._numbers_in_dossiers())}, schema={"number": pl.String})
            written = pl.concat([written, in_bytes]).unique()
        keyed = written.with_columns(self._key.pseudonyms(numbers_written(written["number"])).alias("value"))
        erased = self._tombstones.of(self._key, PERSON, keyed["value"].unique())
        self._take("written", keyed)
        self._take("numbers", keyed.join(erased, on="value", how="inner").select("number", "value", "until"))

    def _join_numbers(self, known_changes: str | None) -> pl.DataFrame:
        """Have the erased be whole persons: table ``clusters``, and ``numbers`` with those that this delivery tells of.

        A number of somebody erased for good is erased too. Where one that was purged is one person's with one that was
        not, the person is there: table ``mixed`` holds such clusters. Returns the tombstones of the further numbers.
        """
        links = "select null::varchar, null::varchar where false"
        if known_changes and "insz_wijzigingen" in self._texts:
            self._take("changes", self._sound_changes())
            touching = "one in (select value from numbers) or other in (select value from numbers)"
            if self._frame(f"select one from changes where {touching} limit 1").height:
                links = f"from changes union all select old_person_key, new_person_key from ({known_changes})"
        find_clusters(self._duckdb, "select value from numbers", links)
        members = self._frame(
            "select person_key as value, cluster from clusters "
            "where cluster in (select cluster from clusters where person_key in (select value from numbers))"
        )
        marks = self._tombstones.of(self._key, PERSON, members["value"]).with_columns(is_marked=pl.lit(True))
        members = members.join(marks, on="value", how="left").with_columns(
            is_for_good=(pl.col("is_marked") & pl.col("until").is_null()).fill_null(False)
        )
        for_good = members.filter("is_for_good")
        others = members.join(for_good, on="cluster", how="anti").filter(pl.col("is_marked").is_null())
        joined = members.join(for_good, on="cluster", how="semi").filter(~pl.col("is_for_good"))["value"]
        self._take("mixed", others.select("cluster").unique())
        self._take("joined", joined.to_frame())
        self._run("delete from numbers where value in (select value from joined)")
        self._run("insert into numbers select *, null from written where value in (select value from joined)")
        return pl.DataFrame({"stone": stones(self._key, PERSON, joined), "until": None}, schema=SCHEMA)

    def _sound_changes(self) -> pl.DataFrame:
        """Replacements in this delivery that break no rule by themselves, as pseudonyms: ``one``, ``other``."""
        text = "text_insz_wijzigingen"
        deleted = f"coalesce(lower({DELETED}), '') <> 'true'" if self._manifest.kind == "delta" else "true"
        rows = self._frame(
            f"select old.number as old, old.value as one, new.number as new, new.value as other from {text} "
            "inner join written as old on oude_insz = old.number inner join written as new on nieuwe_insz = new.number "
            f"where try_cast(datum as date) is not null and {deleted} "
            "qualify count(distinct nieuwe_insz) over (partition by oude_insz) = 1"
        )
        is_sound = [
            insz.is_correct(insz.parsed(pl.col(column)), synthetic=self._manifest.synthetic)
            for column in ("old", "new")
        ]
        return rows.filter(pl.all_horizontal(is_sound)).select("one", "other")

    def _numbers_in_dossiers(self) -> set[str]:
        """What may be a person's number in the names and bytes of dossiers."""
        return {
            number for name, content in self._contents() for number in numbers_in_bytes(name.encode() + b" " + content)
        }

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        """Dossiers by name, in their order: of equal ones the one that was read comes first."""
        names = self._frame(f"select file_name from text_{DOSSIERS.name} order by {LINE_NUMBER}")["file_name"].to_list()
        return contents(self._landed / self._dossiers.path, names)

    def _find_rows(self, extract: Extract) -> None:
        """Table ``erased_<extract>``: lines of erased persons, ``id``, ``owner`` (a number), ``dated``, ``until``."""
        name, id = extract.name, _identifier(extract)
        table, text = f"erased_{name}", f"text_{name}"
        self._run(f"create table {table} (line bigint, id varchar, owner varchar, dated date, until date)")
        self._run(f"create table shared_{name} (id varchar)")
        if name not in self._texts:
            return
        dates = extract.event_dates
        dated = f"greatest({', '.join(f'try_cast(rows.{c} as date)' for c in dates)})" if dates else "null::date"
        row = f"rows.{LINE_NUMBER}, {f'rows.{id}' if id else 'null'}"
        for column in extract.insz_columns:
            self._run(
                f"insert into {table} select {row}, numbers.number, {dated}, numbers.until "
                f"from {text} as rows inner join numbers on rows.{column} = numbers.number"
            )
        parent = CHILDREN.get(name)
        naming = extract.insz_columns or [EXTRACTS[parent].key[0]]
        nobody = " and ".join(f"rows.{column} is null" for column in naming)
        if parent:
            (link,) = naming
            self._run(
                f"insert into {table} select {row}, parents.owner, {dated}, parents.until from {text} as rows "
                f"inner join (from erased_{parent} where id not in (select id from shared_{parent})) as parents "
                f"on rows.{link} = parents.id"
            )
            there = f"and rows.{link} not in (select {link} from text_{parent} where {link} is not null)"
            self._find_by_identifier(table, text, parent, link, row, dated, there if parent in self._texts else "")
        if id:
            self._find_by_identifier(table, text, name, id, row, dated, f"and {nobody}")
            others = f"{nobody} or rows.{LINE_NUMBER} in (select line from {table})"
            self._run(
                f"insert into shared_{name} select distinct {id} from {text} as rows "
                f"where {id} in (select id from {table}) and not ({others})"
            )

    def _find_by_identifier(
        self, table: str, text: str, kind: str, column: str, row: str, dated: str, where: str
    ) -> None:
        """Rows that tell of no person by themselves, by the tombstones of an identifier in one of their columns."""
        wanted = f"rows.{column} is not null {where} and rows.{LINE_NUMBER} not in (select line from {table})"
        values = self._frame(f"select distinct {column} as value from {text} as rows where {wanted}")["value"]
        if len(values):
            self._take("stones", self._tombstones.of(self._key, kind, values))
            self._run(
                f"insert into {table} select {row}, null, {dated}, stones.until from {text} as rows "
                f"inner join stones on rows.{column} = stones.value where {wanted}"
            )

    def _lift(self) -> pl.Series:
        """Keep the rows of persons purged who have something dated later, or a number that was not purged.

        Returns their tombstones, those of the identifiers of these rows among them.
        """
        every = " union all ".join(f"select owner, dated, until from erased_{name}" for name in EXTRACTS)
        self._run(
            "create table back as "
            "with later as ("
            f"  select distinct clusters.cluster from ({every}) as rows "
            "   inner join numbers on rows.owner = numbers.number "
            "   inner join clusters on numbers.value = clusters.person_key where rows.dated >= rows.until"
            ") select person_key from clusters "
            "where cluster in (select cluster from later union select cluster from mixed)"
        )
        self._run(
            "create table owners_back as select number from numbers "
            "where until is not null and value in (select person_key from back)"
        )
        lifted = [stones(self._key, PERSON, self._frame("select person_key from back")["person_key"])]
        for name in EXTRACTS:
            is_back = "owner in (select number from owners_back)"
            ids = self._frame(f"select distinct id from erased_{name} where {is_back} and id is not null")["id"]
            lifted.append(stones(self._key, name, ids))
            self._run(
                f"delete from erased_{name} where {is_back} or (owner is null and until is not null and dated >= until)"
            )
        self._run("delete from numbers where number in (select number from owners_back)")
        return pl.concat(lifted)

    def _identifiers(self) -> pl.DataFrame:
        """Of rows in tables: those in dossiers are derived ones, which nobody delivers."""
        found = [
            self._frame(
                f"select distinct id, until from erased_{name} "
                f"where id is not null and id not in (select id from shared_{name})"
            ).with_columns(pl.lit(name).alias("kind"))
            for name in EXTRACTS
            if _identifier(EXTRACTS[name]) and not self._dossiers
        ]
        marked = [
            pl.DataFrame({"stone": stones(self._key, frame["kind"][0], frame["id"]), "until": frame["until"]})
            for frame in found
            if frame.height
        ]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *marked])

    def _leave_out_rows(self, name: str) -> tuple[int, int]:
        """Of one table: how many rows were left out, and how many texts in the others were changed."""
        (n,) = self._duckdb.execute(f"select count(distinct line) from erased_{name}").fetchone()
        fields = self._replace_mentions(name)
        if not (n or fields or name in self._unexpected):
            return 0, 0
        text, file = self._texts[name], self._manifest.file_of(name)
        left = text.with_suffix(".left")
        columns = "".join(f", coalesce(in_{field}.text, rows.{field}) as {field}" for field in fields)
        joins = " ".join(
            f"left join (from replaced where field = '{field}') as in_{field} on rows.{LINE_NUMBER} = in_{field}.line"
            for field in fields
        )
        number = f"row_number() over (order by rows.{LINE_NUMBER}) as {LINE_NUMBER}"
        self._run(
            f"copy (select rows.* replace ({number}{columns}) from text_{name} as rows {joins} "
            f"where rows.{LINE_NUMBER} not in (select line from erased_{name}) order by {LINE_NUMBER}) "
            f"to {quoted(left)} (format parquet)"
        )
        left.replace(text)
        kept = replace(file, path=f"{name}.left.parquet", format="parquet", rows=file.rows - n)
        target = self._landed / kept.path
        self._run(
            f"copy (select * exclude ({LINE_NUMBER}) from read_parquet({quoted(text)}) order by {LINE_NUMBER}) "
            f"to {quoted(f'{target}.new')} (format parquet)"
        )
        (self._landed / file.path).unlink()
        Path(f"{target}.new").rename(target)
        target.chmod(0o400)
        self._replace_file(file, replace(kept, sha256=sha256_of(target)))
        return int(n), sum(fields.values())

    def _replace_mentions(self, name: str) -> dict[str, int]:
        """Table ``replaced``: texts of rows that stay, without erased numbers. How many there are per column."""
        numbers = [[*pair] for pair in self._stands_for.items()]
        self._take("stand_ins", pl.DataFrame(numbers, {"number": pl.String, "stands_for_it": pl.String}, orient="row"))
        staying = f"from mentions_{name} where line not in (select line from erased_{name})"
        self._run(f"create or replace table replaced as {replaced_query(staying, 'stand_ins')}")
        return dict(self._frame("select field, count(*) from replaced group by field order by field").rows())

    def _leave_out_dossiers(self, file: DeliveredFile) -> tuple[int, int]:
        """How many files were left out, and in how many others something was changed."""
        gone, changed = self._find_dossiers()
        if not (gone or changed):
            return 0, 0
        path = self._landed / file.path
        rewrite(
            path,
            lambda name, content: None if name in gone else with_replaced(content, self._stands_for),
            {*gone, *changed},
        )
        self._replace_file(file, replace(file, rows=file.rows - len(gone), sha256=sha256_of(path)))
        return len(gone), len(changed)

    def _find_dossiers(self) -> tuple[set[str], set[str]]:
        """Names of dossiers of erased persons, and of others that mention one.

        One that cannot be read is of whoever it mentions; one that is equal to another is of the same person.
        """
        owners = dict(self._frame(f"select file_name, insz from text_{DOSSIERS.name}").rows())
        gone, changed, is_erased = set(), set(), {}
        for name, content in self._contents():
            digest = hashlib.sha256(content).digest()
            mentions = self._stands_for.keys() & numbers_in_bytes(content)
            if owners[name] is not None:
                is_erased[digest] = owners[name] in self._stands_for
            if is_erased.get(digest, mentions or self._stands_for.keys() & numbers_in_bytes(name.encode())):
                gone.add(name)
            elif mentions:
                changed.add(name)
        return gone, changed

    def _replace_file(self, old: DeliveredFile, new: DeliveredFile) -> None:
        """Have the manifest say what is left, in the archive too."""
        said = json.loads(self._manifest.content.decode("utf-8-sig"))
        said["files"] = [entry | asdict(new) if entry["extract"] == old.extract else entry for entry in said["files"]]
        files = tuple(new if file.extract == old.extract else file for file in self._manifest.files)
        content = (json.dumps(said, indent=2) + "\n").encode()
        self._manifest = replace(self._manifest, files=files, content=content)
        aside = self._landed / f"{MANIFEST}.new"
        aside.write_bytes(content)
        aside.chmod(0o400)
        aside.replace(self._landed / MANIFEST)

    def _take(self, table: str, frame: pl.DataFrame) -> None:
        self._duckdb.register("given", frame.to_arrow())
        self._run(f"create or replace table {table} as from given")
        self._duckdb.unregister("given")

    def _frame(self, query: str) -> pl.DataFrame:
        return self._duckdb.sql(query).pl()

    def _run(self, statement: str) -> None:
        self._duckdb.execute(statement)


def numbers_written(texts: pl.Series) -> pl.Series:
    """The numbers that texts mean: one that is broken may still be somebody's, with dots or without leading zeros."""
    return texts.str.replace_all(r"\D", "").str.zfill(11)


def _identifier(extract: Extract) -> str | None:
    """The column that identifies a row by itself, if it is not a person's number."""
    (first, *more) = extract.key or (None,)
    return None if more or first is None or first in extract.insz_columns else first
