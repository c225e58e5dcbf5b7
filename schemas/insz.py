"""The INSZ, the national identification number of a person: what a correct one is.

Here: the form, the check digits and the month part, over whole columns. Not here: pseudonyms
(``orchestration/pseudonyms.py``), and whether the number is anybody's (the parent rules).

Eleven digits ``YYMMDDSSSCC``. Registry numbers of persons without a national register number (BIS) add 20 or 40 to the
month, synthetic numbers 60. Month and day may be 00: the birth date was not known when the number was given.
"""

from __future__ import annotations

import polars as pl

_MONTHS = ((0, 12), (20, 32), (40, 52))
_SYNTHETIC_MONTHS = (60, 72)


def parsed(text: pl.Expr) -> pl.Expr:
    """The number as Int64, null where the text is not exactly eleven ASCII digits."""
    return pl.when(text.str.contains("^[0-9]{11}$")).then(text.cast(pl.Int64, strict=False))


def is_correct(number: pl.Expr, *, synthetic: bool) -> pl.Expr:
    """Whether a parsed number has right check digits and a possible month part; false where it is null.

    The check digits are 97 − (first nine mod 97); for births from 2000 a 2 is put before the nine. The number does
    not tell the century, so either may match.
    """
    nine, check = number // 100, number % 100
    month = number // 10_000_000 % 100
    months = (*_MONTHS, _SYNTHETIC_MONTHS) if synthetic else _MONTHS
    checked = (check == 97 - nine % 97) | (check == 97 - (nine + 2_000_000_000) % 97)
    possible = pl.any_horizontal(month.is_between(first, last) for first, last in months)
    return (checked & possible).fill_null(value=False)
