"""Damage: rows that break the rules of the delivery contract, on purpose.

Here: which rows of a delivery are damaged, and how, for every rule code that a row of the extract can break. Not here:
how damage is found (``schemas/``). A damaged row is one that breaks at least the rule it was damaged for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from orchestration.simulation import parameters as p
from orchestration.simulation.draws import Draws
from orchestration.simulation.layout import Column, Extract
from orchestration.simulation.persons import orphan_numbers
from orchestration.simulation.table import ROW, RegistryTable

Damage = Callable[[pl.DataFrame, Extract, Draws], pl.DataFrame]

_NOT_OF_TYPE = {
    "date": ("31/02/2016", "2016-02-30", "onbekend", "20160908"),
    "bool": ("ja", "1", "WAAR"),
    "int": ("12.5", "twaalf"),
    "dec": ("60,5", "zestig"),
    "digits": ("9000", "B-2000", "0543.307.391"),
}
_UNKNOWN_CODE = ("ONBEKEND", "ZZZ", "0", "plicht")
_IMPLAUSIBLE = ("1816-09-08", "0016-05-01", "2916-01-04", "1753-01-01")
_OUT_OF_RANGE = {
    "lesuren": "-60",
    "aanwezige_uren": "-4.5",
    "score_praktisch": "31",
    "score_waarden": "12",
    "boete_bedrag": "50000",
}


def _columns(extract: Extract, *kinds: str) -> list[Column]:
    return [column for column in extract.columns if column.kind in kinds]


def _one_of_columns(
    rows: pl.DataFrame, names: list[str], draws: Draws, values: Callable[[str, int], pl.Series]
) -> pl.DataFrame:
    """In each row, one of the columns takes another value."""
    which = draws.whole(0, len(names) - 1, rows.height)
    return rows.with_columns(
        pl.when(pl.Series(which == rank)).then(values(name, rows.height)).otherwise(pl.col(name)).alias(name)
        for rank, name in enumerate(names)
    )


def _among(draws: Draws, values: tuple[str, ...], n: int) -> pl.Series:
    return pl.Series(values).gather(draws.whole(0, len(values) - 1, n))


def _empty(n: int) -> pl.Series:
    return pl.Series([None] * n, dtype=pl.String)


def _required_missing(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    if extract.name == "attesten":
        names = ["datum_aanmaak", "datum_ondertekening"]
        half = draws.chance(0.5, rows.height)
        undated = rows.with_columns(pl.when(pl.Series(half)).then(None).otherwise(pl.col(name)).alias(name)
                                    for name in names)  # fmt: skip
        return undated.with_columns(pl.when(pl.Series(half)).then(pl.col("type")).alias("type"))
    names = [column.name for column in extract.columns if column.required]
    return _one_of_columns(rows, names, draws, lambda _, n: _empty(n))


def _type_invalid(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    kinds = extract.kinds
    names = [column.name for column in _columns(extract, *_NOT_OF_TYPE)]
    return _one_of_columns(rows, names, draws, lambda name, n: _among(draws, _NOT_OF_TYPE[kinds[name]], n))


def _code_unknown(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    names = [column.name for column in _columns(extract, "code")]
    return _one_of_columns(rows, names, draws, lambda _, n: _among(draws, _UNKNOWN_CODE, n))


def _insz_invalid(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    names = [column.name for column in _columns(extract, "insz")]
    how = draws.whole(0, 2, rows.height)

    def _wrong(name: str, _: int) -> pl.Series:
        number = rows[name]
        check = number.str.slice(9, 2).cast(pl.Int64)
        # 98 and 99 are never check digits; a month part of 80 or 99 is never one; ten digits are no number.
        digits = number.str.slice(0, 9) + (98 + check % 2).cast(pl.String)
        month = number.str.slice(0, 2) + "99" + number.str.slice(4)
        return pl.select(
            pl.when(pl.Series(how == 0)).then(digits).when(pl.Series(how == 1)).then(month)
            .otherwise(number.str.slice(0, 10))
        ).to_series()  # fmt: skip

    return _one_of_columns(rows, names, draws, _wrong)


def _date_implausible(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    names = [column.name for column in _columns(extract, "date")]
    return _one_of_columns(rows, names, draws, lambda _, n: _among(draws, _IMPLAUSIBLE, n))


def _period_reversed(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    pairs = []
    if extract.period:
        pairs.append(extract.period)
    if "datum_uitschrijving" in extract.names:
        pairs.append(("datum_inschrijving", "datum_uitschrijving"))
    which = draws.whole(0, len(pairs) - 1, rows.height)
    early = draws.whole(1, 400, rows.height)
    for rank, (first, last) in enumerate(pairs):
        # Where the first day is empty (it may be, in a course) the pair cannot be reversed without it.
        begin = pl.coalesce(pl.col(first), pl.lit("2016-09-08"))
        before = (begin.str.to_date() - pl.duration(days=pl.Series(early))).cast(pl.String)
        chosen = pl.Series(which == rank)
        rows = rows.with_columns(
            pl.when(chosen).then(begin).otherwise(pl.col(first)).alias(first),
            pl.when(chosen).then(before).otherwise(pl.col(last)).alias(last),
        )
    return rows


def _value_out_of_range(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    names = [name for name in extract.names if name in _OUT_OF_RANGE]
    return _one_of_columns(rows, names, draws, lambda name, n: pl.repeat(_OUT_OF_RANGE[name], n, eager=True))


def _decision_undated(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    decided = _among(draws, ("VO", "NVO"), rows.height)
    return rows.with_columns(
        pl.coalesce(pl.col("besluit_code"), decided).alias("besluit_code"),
        pl.lit(None, dtype=pl.String).alias("besluit_datum"),
        pl.lit(None, dtype=pl.String).alias("einde"),
    )


def _key_conflict(rows: pl.DataFrame, extract: Extract, draws: Draws) -> pl.DataFrame:
    """The row twice, the second time with another content."""
    names = [name for name in extract.names if name not in extract.key]
    changed = next(name for name in (*_PLAIN, *names) if name in names)
    other = _among(draws, _PLAIN.get(changed, ("anders",)), rows.height)
    another = _among(draws, tuple(reversed(_PLAIN.get(changed, ("anders",)))), rows.height)
    second = rows.with_columns(
        pl.when(pl.col(changed).eq_missing(other)).then(another).otherwise(other).alias(changed)
    )
    second = second.filter(second[changed].ne_missing(rows[changed]))
    return pl.concat([rows, second])


_PLAIN = {
    "geboortedatum": ("1970-01-01", "1971-07-17"),
    "datum": ("2015-05-05", "2015-06-06"),
    "type": ("RECHT", "PLICHT"),
    "reden": ("ANDERE", "ONGEKEND"),
    "begin": ("2015-05-05", "2015-06-06"),
    "module_code": ("10102", "10104"),
}
