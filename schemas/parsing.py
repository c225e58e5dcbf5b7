"""From text as delivered to typed values.

Here: which texts the contract takes for a date, a number, a truth value (spec, extracts section 1), each column read
once, over whole columns. Not here: whether a value is acceptable (``rules.py``). Text that cannot be read gives null
and is never an error here: the rule ``type_invalid`` sees it beside the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import polars as pl

from schemas import insz
from schemas.extract import DELETED, PARENT_STATES, Column, Extract, parent_state, value_of

DECIMAL = pl.Decimal(38, 19)
"""Numbers are judged exactly to 19 decimals, more than any delivery needs; further ones are rounded."""
TOO_LARGE = Decimal(10**18)
"""Decimals of this size or more do not fit the warehouse's DECIMAL(28,10): out of range whatever the column."""

PARENT_STATE = pl.Enum(PARENT_STATES)
VALUE_TYPES: Mapping[str, pl.DataType] = {
    "insz": pl.Int64(),
    "date": pl.Date(),
    "bool": pl.Boolean(),
    "int": pl.Int64(),
    "dec": DECIMAL,
}
"""Type of the value per kind; the other kinds are text and stay as they are."""


def _date(text: pl.Expr) -> pl.Expr:
    # to_date alone also takes "2016-9-8", "+216-09-08", "2016- 9- 8" and a year 0, which is in no calendar.
    written = text.str.contains("^[0-9]{4}-[0-9]{2}-[0-9]{2}$") & ~text.str.starts_with("0000")
    # Without its cache to_date is twice as fast here.
    return pl.when(written).then(text.str.to_date("%Y-%m-%d", strict=False, cache=False))


def _bool(text: pl.Expr) -> pl.Expr:
    return pl.when(text == "true").then(True).when(text == "false").then(False)


def _int(text: pl.Expr) -> pl.Expr:
    return _number(text, "^-?[0-9]+$", pl.Int64(), 2**63 - 1)


def _dec(text: pl.Expr) -> pl.Expr:
    return _number(text, r"^-?[0-9]+(\.[0-9]+)?$", DECIMAL, TOO_LARGE)


def _number(text: pl.Expr, form: str, dtype: pl.DataType, bound: int | Decimal) -> pl.Expr:
    """The number; one of valid form that does not fit the type becomes ±``bound``, for it is out of range, not
    unreadable."""
    too_large = pl.when(text.str.starts_with("-")).then(pl.lit(-bound, dtype)).otherwise(pl.lit(bound, dtype))
    return pl.when(text.str.contains(form)).then(text.cast(dtype, strict=False).fill_null(too_large))


_PARSERS: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "insz": insz.parsed,
    "date": _date,
    "bool": _bool,
    "int": _int,
    "dec": _dec,
}


def with_values(extract: Extract, *, delta: bool) -> list[Column]:
    """The columns that get a value beside their text."""
    deleted = (Column(DELETED, "bool"),) if delta else ()
    return [column for column in (*extract.columns, *deleted) if column.kind in VALUE_TYPES]


def typed(extract: Extract, rows: pl.DataFrame) -> pl.DataFrame:
    """A frame of rows with a value column beside every column that is not text, ready to be judged.

    Args:
        extract: What the rows are rows of.
        rows: ``line_number``, the extract's columns as String, its facts, and ``verwijderd`` in a delta.

    Raises:
        polars.exceptions.PolarsError: a column is missing, or a parent state is none of ``PARENT_STATES``.
    """
    values = (
        _PARSERS[column.kind](pl.col(column.name)).alias(value_of(column.name))
        for column in with_values(extract, delta=DELETED in rows.columns)
    )
    states = (pl.col(parent_state(parent.column)).cast(PARENT_STATE) for parent in extract.parents)
    return rows.with_columns(*values, *states)
