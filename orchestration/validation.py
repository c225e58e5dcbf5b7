"""From delivered rows to the state of the registry with this delivery, and the quarantine.

Here: the order in which extracts are judged, which row goes where, and the account of all rows. Not here: the rules
(``schemas``), the facts that cross rows (``cross_rows.py``), reading files, or committing a delivery (``intake.py``).
Every delivered row ends up accepted, quarantined or an exact duplicate; the account balances or nothing is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import schemas
from orchestration.cross_rows import CrossRows
from orchestration.dossiers import IS_DUPLICATE
from orchestration.history import quarantined_keys_file, state_query, versions_file
from orchestration.ledger import RowAccount
from orchestration.manifest import Manifest, Refusal
from orchestration.merging import ceasing_in_delta, ceasing_in_full, kept_beside_dossiers
from orchestration.quarantine import QuarantineFile
from orchestration.waiting import WaitingRows, waiting_files, write_released
from schemas import EXTRACTS, Extract, insz

LEAST_QUARANTINED = 20
"""A delivery is never refused for fewer quarantined rows of an extract than this."""
LEAST_DROPPED = 20
"""A delivery is never refused for fewer missing rows of an extract than this."""
NOT_IN_DOSSIERS = {"personen": ("nationaliteit_code", "nis_gemeente"), "contracten": ("nis_gemeente",)}
"""Columns that a dossier does not carry: they stay as known."""


@dataclass(frozen=True)
class Limits:
    """What an operator tolerates: shares (0–1) of an extract's rows, and deliveries whose drop was accepted by hand."""

    max_quarantine_rate: float
    max_volume_drop: float
    accept_volume: Collection[str] = ()


@dataclass(frozen=True)
class DeliveredRows:
    """What reading made of a delivery: text Parquet and data rows per extract.

    ``dossiers``: where dossiers were delivered, the file of ``schemas.DOSSIERS`` rows; the tables are flattened from
    the readable ones.
    """

    texts: Mapping[str, Path]
    rows: Mapping[str, int]
    dossiers: Path | None = None


@dataclass
class Verdict:
    """Accounts of all rows, and quarantined rows per extract and rule code."""

    accounts: list[RowAccount] = field(default_factory=list)
    rule_counts: dict[str, dict[str, int]] = field(default_factory=dict)


def validate(
    manifest: Manifest,
    delivered: DeliveredRows,
    known: Sequence[Path],
    known_quarantine: Path | None,
    pseudonymise: Callable[[pl.Series], pl.Series],
    limits: Limits,
    *,
    validated: Path,
    quarantine: Path,
    spill: Path,
    memory_limit: str,
    report: Callable[[str], None] = lambda message: None,
) -> Verdict:
    """Judge every row of a delivery; write into ``validated`` what it changes in the state, and its quarantine.

    Args:
        known: directories in the validated zone of all deliveries taken before, in order; none for the first.
        known_quarantine: directory in the quarantine of the delivery taken before, None for the first.
        validated, quarantine: directories to write, outside any zone that readers see.
        spill: a folder for what does not fit into memory.

    Raises:
        Refusal: ``volume_dropped`` or ``quarantine_rate_exceeded``.
    """
    validated.mkdir(parents=True)
    quarantine.mkdir(parents=True, mode=0o700)
    before = {name: state_query(known, name) for name in EXTRACTS} if known else {}
    # A full delivery holds everything: it ends all waiting.
    is_delta = manifest.kind == "delta"
    waiting = waiting_files(known_quarantine, list(EXTRACTS)) if known_quarantine and is_delta else {}
    cross = CrossRows(
        delivered.texts,
        before,
        waiting,
        pseudonymise,
        is_delta=is_delta,
        memory_limit=memory_limit,
        spill=spill,
    )
    try:
        return _Validation(
            manifest, delivered, known, waiting, limits, cross, validated, quarantine, spill, report
        ).run()
    finally:
        cross.close()


class _Validation:
    """One delivery being judged, extract by extract in the contract's order."""

    def __init__(
        self,
        manifest: Manifest,
        delivered: DeliveredRows,
        known: Sequence[Path],
        waiting: Collection[str],
        limits: Limits,
        cross: CrossRows,
        validated: Path,
        quarantine: Path,
        scratch: Path,
        report: Callable[[str], None],
    ) -> None:
        self._manifest, self._delivered, self._known, self._waiting = manifest, delivered, known, waiting
        self._limits, self._cross, self._report = limits, cross, report
        self._validated, self._quarantine, self._scratch = validated, quarantine, scratch
        self._context = schemas.DeliveryContext(
            manifest.date, synthetic=manifest.synthetic, delta=manifest.kind == "delta"
        )
        self._is_delta = self._context.delta
        self._verdict = Verdict()

    def run(self) -> Verdict:
        duplicates = {
            name: self._cross.find_repeated(extract)
            for name, extract in EXTRACTS.items()
            if name in self._delivered.texts
        }
        self._refuse_dropped_volume(duplicates)
        self._judge_dossiers()
        held_back: dict[str, pl.DataFrame] = {}
        for name, extract in EXTRACTS.items():
            held_back[name] = _no_keys(extract)
            if name in self._delivered.texts or name in self._waiting:
                held_back[name] = self._judge(extract, duplicates.get(name, 0))
            elif not self._known:
                _RowFile(versions_file(self._validated, name), extract).close()
            if name == "insz_wijzigingen":
                self._cross.follow_changes(self._state(name))
                self._cross.settle_persons(self._state("personen"), held_back["personen"])
            elif name in _PARENTS:
                self._cross.settle_parents(extract, self._state(name), held_back[name])
        self._refuse_quarantine_rate()
        return self._verdict

    def _state(self, extract: str) -> str:
        """The state of an extract with this delivery."""
        return state_query([*self._known, self._validated], extract)

    def _judge(self, extract: Extract, n_duplicates: int) -> pl.DataFrame:
        """Judge the rows of one extract and write what changes; return the keys of its quarantined rows."""
        held_back, touched, waiting = [_no_keys(extract)], [_no_keys(extract)], WaitingRows(extract)
        versions = versions_file(self._validated, extract.name)
        brought = self._scratch / f"{extract.name}.parquet" if self._known else versions
        with _RowFile(brought, extract) as rows:
            if extract.name in self._delivered.texts:
                self._judge_delivered(extract, rows, held_back, touched, waiting, n_duplicates)
            if extract.name in self._waiting:
                self._judge_waiting(extract, rows, touched, waiting)
            waiting.write(self._quarantine, extract.name)
            keys = {"held_back": pl.concat(held_back), "touched": pl.concat(touched)}
            if self._known and self._delivered.dossiers:
                kept = kept_beside_dossiers(extract, _key_columns(extract), is_delta=self._is_delta)
                for batch in self._cross.rows_of(kept, **keys):
                    rows.add(batch)
        quarantined = keys["held_back"].drop_nulls()
        if quarantined.height:
            path = quarantined_keys_file(self._validated, extract.name)
            path.parent.mkdir(exist_ok=True)
            quarantined.unique(maintain_order=True).write_parquet(path)
        if self._known:
            ceasing = self._ceasing(extract)
            self._cross.write_changes(extract, brought, ceasing, self._validated, self._manifest.delivery_id, **keys)
            brought.unlink()
        return keys["held_back"]

    def _ceasing(self, extract: Extract) -> str:
        """Which rows known before hold no longer, unless this delivery brings them again."""
        if self._delivered.dossiers:
            return f"from known_{extract.name}"
        query = ceasing_in_delta if self._is_delta else ceasing_in_full
        return query(extract, _key_columns(extract))

    def _judge_delivered(
        self,
        extract: Extract,
        rows: _RowFile,
        held_back: list[pl.DataFrame],
        touched: list[pl.DataFrame],
        waiting: WaitingRows,
        n_duplicates: int,
    ) -> None:
        """This delivery's own rows: into the state, or into the quarantine, where some of them wait."""
        self._report(f"{extract.name}: judging {self._delivered.rows[extract.name]:,} rows")
        self._cross.meet_numbers(extract)
        if extract.name == "insz_wijzigingen":
            self._cross.mark_cycles(self._sound_rows(extract))
        fill_in = NOT_IN_DOSSIERS.get(extract.name, ()) if self._delivered.dossiers else ()
        quarantined = QuarantineFile(self._quarantine, self._manifest.delivery_id, extract.name)
        n_accepted, n_quarantined, codes = 0, 0, Counter[str]()
        fields = [*extract.names, *([schemas.DELETED] if self._is_delta else [])]
        for batch in self._cross.batches(extract, known_fill_in=fill_in):
            good, broken = self._verdict_on(extract, batch)
            n_accepted, n_quarantined = n_accepted + good.height, n_quarantined + broken.height
            codes.update(dict(broken["rule_codes"].explode().value_counts().iter_rows()))
            quarantined.add(broken, fields)
            waiting.add_new(broken, self._manifest.delivery_id)
            held_back.append(_keys_of(extract, broken))
            # A full delivery of tables may be the whole registry, and needs no list of its keys.
            if self._is_delta or self._delivered.dossiers:
                touched.append(_keys_of(extract, good))
            if self._is_delta:
                good = good.filter(~pl.col(schemas.value_of(schemas.DELETED)).fill_null(value=False))
            rows.add(schemas.validated(extract, self._delivered_now(good)))
        quarantined.close()
        self._account(extract.name, n_accepted, n_quarantined, n_duplicates, codes)

    def _judge_waiting(
        self, extract: Extract, rows: _RowFile, touched: list[pl.DataFrame], waiting: WaitingRows
    ) -> None:
        """Rows that waited for their parents: accepted as of this delivery where these are there now."""
        candidates = self._cross.still_waiting(extract, pl.concat(touched))
        self._cross.meet_numbers(extract, "waiting")
        released = [candidates.clear()]
        for batch in self._cross.batches(extract, "waiting"):
            good, _ = self._verdict_on(extract, batch)
            touched.append(_keys_of(extract, good))
            rows.add(schemas.validated(extract, self._delivered_now(good)))
            released.append(candidates.join(good, on=schemas.LINE_NUMBER, how="semi"))
        freed = pl.concat(released)
        waiting.add_still(candidates.join(freed, on=schemas.LINE_NUMBER, how="anti"))
        write_released(self._quarantine, extract.name, freed, self._manifest.delivery_id)
        if freed.height:
            self._report(f"{extract.name}: {freed.height:,} rows that waited for their parents are accepted")

    def _verdict_on(self, extract: Extract, batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows that break no rule, and the others with their codes."""
        rows = schemas.typed(extract, batch)
        broken = rows.join(schemas.judge(extract, rows, self._context), on=schemas.LINE_NUMBER, how="inner")
        return rows.join(broken, on=schemas.LINE_NUMBER, how="anti"), broken

    def _delivered_now(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.lit(self._manifest.delivery_id).alias(schemas.DELIVERED_IN))

    def _sound_rows(self, extract: Extract) -> pl.DataFrame:
        """Line numbers of the rows that break no rule but perhaps that on cycles."""
        sound = []
        for batch in self._cross.batches(extract, with_cycles=False):
            good, _ = self._verdict_on(extract, batch)
            sound.append(good.select("line_number"))
        return pl.concat([pl.DataFrame(schema={"line_number": pl.Int64}), *sound])

    def _judge_dossiers(self) -> None:
        """Dossiers that could not be read are quarantined whole, and count as rows of the extract ``dossiers``."""
        if self._delivered.dossiers is None:
            return
        rows = pl.read_parquet(self._delivered.dossiers)
        originals = rows.filter(~pl.col(IS_DUPLICATE))
        # A dossier is never a deletion, whatever the kind of delivery.
        judged = schemas.judge(schemas.DOSSIERS, originals, replace(self._context, delta=False))
        broken = originals.join(judged, on="line_number", how="inner")
        file = QuarantineFile(self._quarantine, self._manifest.delivery_id, schemas.DOSSIERS.name)
        file.add(broken.rename({schemas.DOSSIER_ERROR: "message"}), ["file_name", "message"])
        file.close()
        codes = Counter[str](dict(broken["rule_codes"].explode().value_counts().iter_rows()))
        n_duplicates = rows.height - originals.height
        self._account(schemas.DOSSIERS.name, originals.height - broken.height, broken.height, n_duplicates, codes)
        self._settle_dossiers(originals, broken)

    def _settle_dossiers(self, dossiers: pl.DataFrame, broken: pl.DataFrame) -> None:
        """Whose dossiers came. Dossiers bring no number changes: those known hold from the start.

        Of an unreadable dossier the file's name may still tell whose it is: what is known of that person then holds.
        """
        if self._known:
            self._cross.follow_changes(state_query(self._known, "insz_wijzigingen"))
        named = pl.col("file_name").str.extract(r"([^/]*)\.[xX][mM][lL]$")
        is_number = insz.is_correct(insz.parsed(named), synthetic=self._manifest.synthetic)
        told = dossiers.select(
            pl.coalesce("insz", pl.when(is_number).then(named)).alias("number"),
            (~pl.col("line_number").is_in(broken["line_number"].implode())).alias("is_readable"),
        )
        self._cross.settle_dossiers(told)

    def _account(
        self, extract: str, n_accepted: int, n_quarantined: int, n_duplicates: int, codes: Counter[str]
    ) -> None:
        n_delivered = self._delivered.rows[extract]
        if n_delivered != n_accepted + n_quarantined + n_duplicates:
            raise RuntimeError(
                f"Delivery {self._manifest.delivery_id}, extract {extract}: {n_delivered} rows delivered, but "
                f"{n_accepted} accepted, {n_quarantined} quarantined and {n_duplicates} duplicates. Rows got lost in "
                "validation: this is a defect of the warehouse, nothing was taken."
            )
        self._verdict.accounts.append(
            RowAccount(
                extract=extract,
                n_delivered=n_delivered,
                n_accepted=n_accepted,
                n_quarantined=n_quarantined,
                n_duplicates=n_duplicates,
            )
        )
        if codes:
            self._verdict.rule_counts[extract] = {code: codes[code] for code in schemas.RULES if codes[code]}

    def _refuse_dropped_volume(self, duplicates: Mapping[str, int]) -> None:
        """A full delivery that brings far fewer rows than are known is more likely cut off than true."""
        if self._is_delta or self._manifest.delivery_id in self._limits.accept_volume:
            return
        # A dossier shows the present target-group record only: its rows say nothing of the history that is known.
        compared = [name for name in duplicates if not (self._delivered.dossiers and name == "doelgroepen")]
        dropped = []
        for name in compared:
            known = self._cross.count_known(name)
            missing = known - (self._delivered.rows[name] - duplicates[name])
            if missing >= LEAST_DROPPED and missing > self._limits.max_volume_drop * known:
                dropped.append(f"{name}: {known - missing:,} rows against {known:,} known")
        if dropped:
            raise Refusal(
                "volume_dropped",
                f"{'; '.join(dropped)}; a full delivery may lack at most {self._limits.max_volume_drop:.0%} of the "
                "known rows. Ask the registry whether the extract is complete; if it is, run "
                f"`kbi night --accept-volume {self._manifest.delivery_id}`.",
            )

    def _refuse_quarantine_rate(self) -> None:
        exceeded = [
            f"{account.extract}: {account.n_quarantined:,} of {account.n_delivered:,} rows"
            for account in self._verdict.accounts
            if account.n_quarantined >= LEAST_QUARANTINED
            and account.n_quarantined > self._limits.max_quarantine_rate * account.n_delivered
        ]
        if exceeded:
            raise Refusal(
                "quarantine_rate_exceeded",
                f"{'; '.join(exceeded)} break a rule; at most {self._limits.max_quarantine_rate:.1%} of an extract's "
                "rows may. `kbi status` shows the counts per rule. Have the registry repair the delivery and deliver "
                "it again under the same name.",
                {
                    (extract, code): n
                    for extract, counts in self._verdict.rule_counts.items()
                    for code, n in counts.items()
                },
            )


class _RowFile:
    """Validated rows of one extract, written batch by batch."""

    def __init__(self, path: Path, extract: Extract) -> None:
        empty = pl.DataFrame(schema=schemas.validated_schema(extract))
        self._schema: pa.Schema = empty.to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        # A dictionary of what hardly repeats costs time and space.
        identifiers = {
            schemas.PSEUDONYM_COLUMNS.get(column.name, column.name)
            for column in extract.columns
            if column.kind in ("id", "insz")
        }
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in self._schema.names if name not in identifiers],
        )

    def add(self, rows: pl.DataFrame) -> None:
        if rows.height:
            arrow = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            self._writer.write_table(arrow.select(self._schema.names).cast(self._schema))

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> _RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_PARENTS = {parent.extract for extract in EXTRACTS.values() for parent in extract.parents} - {"personen"}


def _key_columns(extract: Extract) -> list[str]:
    """The key as the state names it: numbers by their pseudonyms."""
    return [schemas.PSEUDONYM_COLUMNS.get(name, name) for name in extract.key]


def _keys_of(extract: Extract, rows: pl.DataFrame) -> pl.DataFrame:
    """Keys of rows, typed as in the state; a key that cannot be read is null and matches nothing."""
    shaped = schemas.validated(extract, rows.with_columns(pl.lit(None, pl.String).alias(schemas.DELIVERED_IN)))
    return shaped.select(_key_columns(extract))


def _no_keys(extract: Extract) -> pl.DataFrame:
    types = schemas.validated_schema(extract)
    return pl.DataFrame(schema={name: types[name] for name in _key_columns(extract)})
