"""The ways in which a row can break the delivery contract: one function per rule.

Here: how a rule is broken. Not here: which rows are damaged and how often (``dirt.py``). Every function takes rows as
text and returns them broken, so that each breaks at least the rule named. Some return more rows than they took: a
conflict of keys needs two. None changes what another row needs, unless that row is a child of the damaged one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from orchestration.simulation.draws import Draws
from orchestration.simulation.layout import Extract
from orchestration.simulation.persons import orphan_numbers
from orchestration.simulation.table import numbered

Damage = Callable[[pl.DataFrame, Extract, Draws], pl.DataFrame]

_NOT_OF_TYPE = {
    "date": ("31/02/2016", "2016-02-30", "onbekend", "20160908"),
    "bool": ("ja", "1", "WAAR"),
    "int": ("12.5", "twaalf"),
    "dec": ("60,5", "zestig"),
    "digits": ("9000", "B-2000", "0543.307.391"),
}
_UNKNOWN_CODES = ("ONBEKEND", "ZZZ", "0", "plicht")
_IMPLAUSIBLE_DATES = ("1816-09-08", "0016-05-01", "2916-01-04", "1753-01-01")
_OUT_OF_RANGE = {
    "lesuren": "-60",
    "aanwezige_uren": "-4.5",
    "score_praktisch": "31",
    "score_waarden": "12",
    "boete_bedrag": "50000",
}
_SOME_DAY = "2016-03-01"
_FIRST_ORPHAN = 9_000_000_000
"""Identifiers from here on are given to nothing."""


def _in_one_column(
    rows: pl.DataFrame, names: Sequence[str], draws: Draws, values: Callable[[str], pl.Series | None]
) -> pl.DataFrame:
    """In each row, one of the columns takes another value."""
    which = pl.Series(draws.whole(0, len(names) - 1, rows.height))
    return rows.with_columns(
        pl.when(which == rank).then(values(name)).otherwise(pl.col(name)).alias(name) for rank, name in enumerate(names)
    )


def _among(draws: Draws, values: Sequence[str], n: int) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(draws.whole(0, len(values) - 1, n))


def _moved(name: str, days: pl.Series) -> pl.Expr:
    """A date some days later; an empty one counts as some day."""
    return (pl.col(name).fill_null(_SOME_DAY).str.to_date() + pl.duration(days=days)).cast(pl.String)


def _required_missing(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    groups = [[column.name] for column in extract.columns if column.required]
    if extract.name == "attesten":
        groups.append(["datum_aanmaak", "datum_ondertekening"])
    which = pl.Series(draws.whole(0, len(groups) - 1, rows.height))
    return rows.with_columns(
        pl.when(which != rank).then(pl.col(name)).alias(name) for rank, names in enumerate(groups) for name in names
    )


def _type_invalid(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    kinds = extract.kinds
    names = extract.of_kind(*_NOT_OF_TYPE)
    return _in_one_column(rows, names, draws, lambda name: _among(draws, _NOT_OF_TYPE[kinds[name]], rows.height))


def _code_unknown(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    return _in_one_column(
        rows, extract.of_kind("code"), draws, lambda _: _among(draws, _UNKNOWN_CODES, rows.height)
    )  # fmt: skip


def _insz_invalid(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    how = pl.Series(draws.whole(0, 2, rows.height))

    def _wrong(name: str) -> pl.Series:
        number = pl.col(name)
        # 98 and 99 are never check digits, 99 is never a month part, and ten digits are no number.
        check = number.str.slice(0, 9) + (98 + number.str.slice(9, 2).cast(pl.Int64) % 2).cast(pl.String)
        month = number.str.slice(0, 2) + "99" + number.str.slice(4)
        short = number.str.slice(0, 10)
        return rows.select(pl.when(how == 0).then(check).when(how == 1).then(month).otherwise(short)).to_series()

    return _in_one_column(rows, extract.of_kind("insz"), draws, _wrong)


def _date_implausible(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    return _in_one_column(
        rows, extract.of_kind("date"), draws, lambda _: _among(draws, _IMPLAUSIBLE_DATES, rows.height)
    )  # fmt: skip


def _period_reversed(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    periods = extract.periods
    which = pl.Series(draws.whole(0, len(periods) - 1, rows.height))
    earlier = -pl.Series(draws.whole(1, 400, rows.height))
    return rows.with_columns(
        expression
        for rank, (first, last) in enumerate(periods)
        for expression in (
            pl.when(which == rank).then(pl.col(first).fill_null(_SOME_DAY)).otherwise(pl.col(first)).alias(first),
            pl.when(which == rank).then(_moved(first, earlier)).otherwise(pl.col(last)).alias(last),
        )
    )


def _value_out_of_range(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    names = [name for name in extract.names if name in _OUT_OF_RANGE]
    return _in_one_column(rows, names, draws, lambda name: _among(draws, [_OUT_OF_RANGE[name]], rows.height))


def _decision_undated(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    decided = _among(draws, ("VO", "NVO"), rows.height)
    return rows.with_columns(
        pl.col("besluit_code").fill_null(decided),
        pl.lit(None, dtype=pl.String).alias("besluit_datum"),
        pl.lit(None, dtype=pl.String).alias("einde"),
    )


def _key_conflict(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    """The row twice, the second time with another text, or where it has none another date."""
    texts = [name for name in extract.of_kind("text") if name not in extract.key]
    if texts:
        other = (pl.col(texts[0]).fill_null("") + "-2").alias(texts[0])
    else:
        date = next(name for name in extract.of_kind("date") if name not in extract.key)
        other = _moved(date, -pl.Series(draws.whole(1, 30, rows.height))).alias(date)
    return pl.concat([rows, rows.with_columns(other)])


def _parent_missing(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    """A reference to a person, a contract or a track that the registry does not have."""
    kinds = extract.kinds

    def _orphan(name: str) -> pl.Series:
        if kinds[name] == "insz":
            return orphan_numbers(draws, rows.height)
        return numbered(name[0].upper(), _FIRST_ORPHAN + draws.whole(0, 999_999_999, rows.height).astype(np.int64))

    return _in_one_column(rows, extract.references, draws, _orphan)


def _alias_cycle(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    """A number replaced by itself, or two that replace each other (the other one belongs to nobody)."""
    itself = pl.Series(draws.chance(0.5, rows.height))
    other = orphan_numbers(draws, rows.height)
    there = rows.with_columns(pl.when(itself).then("oude_insz").otherwise(other).alias("nieuwe_insz"))
    back = there.filter(~itself).with_columns(oude_insz=pl.col("nieuwe_insz"), nieuwe_insz=pl.col("oude_insz"))
    return pl.concat([there, back])


def _exact_duplicate(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    """The row twice, as it is: no rule is broken, but the second is one too many."""
    return pl.concat([rows, rows])


def damages_of(extract: Extract) -> dict[str, Damage]:
    """Rule code → how to break it, for every rule that a row of the extract can break by itself.

    ``duplicate`` stands for the exact duplicate, which has no code. ``parent_quarantined`` is not among them: it
    befalls the children of damaged persons, contracts and tracks.
    """
    possible: dict[str, tuple[Damage, bool]] = {
        "required_missing": (_required_missing, True),
        "type_invalid": (_type_invalid, True),
        "code_unknown": (_code_unknown, bool(extract.of_kind("code"))),
        "insz_invalid": (_insz_invalid, bool(extract.of_kind("insz"))),
        "date_implausible": (_date_implausible, True),
        "period_reversed": (_period_reversed, bool(extract.periods)),
        "value_out_of_range": (_value_out_of_range, not _OUT_OF_RANGE.keys().isdisjoint(extract.names)),
        "decision_undated": (_decision_undated, extract.name == "trajectonderdelen"),
        "key_conflict": (_key_conflict, True),
        "parent_missing": (_parent_missing, bool(extract.references)),
        "alias_cycle": (_alias_cycle, extract.name == "insz_wijzigingen"),
        "duplicate": (_exact_duplicate, True),
    }
    return {code: damage for code, (damage, can_happen) in possible.items() if can_happen}
