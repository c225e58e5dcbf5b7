"""The shape in which accepted rows leave validation: natural types, pseudonyms, no INSZ, no reasons in words.

Here: columns and types of the validated Parquet (docs/architecture.md), and the selection of them from judged rows.
Not here: computing pseudonyms, writing files (``orchestration/``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from schemas.extract import Column, Extract, value_of

PSEUDONYM_COLUMNS: Mapping[str, str] = {
    "insz": "person_key",
    "oude_insz": "old_person_key",
    "nieuwe_insz": "new_person_key",
}
DELIVERED_IN = "delivered_in"

_TYPES: Mapping[str, pl.DataType] = {
    "date": pl.Date(),
    "bool": pl.Boolean(),
    "int": pl.Int32(),
    "dec": pl.Decimal(28, 10),
}


_NUMBER = r"\b[0-9]{2}[. ]?[0-9]{2}[. ]?[0-9]{2}[-. ]?[0-9]{3}[. ]?[0-9]{2}\b"
"""Eleven digits by themselves, also as people write a number: 85.07.30-033.28."""
_MASK = "*" * 11


def validated_schema(extract: Extract) -> dict[str, pl.DataType]:
    """Columns and types of the extract's validated rows, in order.

    Every INSZ column gives way to its pseudonym, and columns of free text are left out.
    """
    return {
        **{PSEUDONYM_COLUMNS.get(c.name, c.name): _TYPES.get(c.kind, pl.String()) for c in _kept(extract)},
        DELIVERED_IN: pl.String(),
    }


def validated(extract: Extract, rows: pl.DataFrame) -> pl.DataFrame:
    """Accepted rows in the shape of ``validated_schema``. What looks like a person's number in a text is masked.

    Args:
        extract: What the rows are rows of.
        rows: as ``typed()`` returns them, with ``delivered_in`` and, for each INSZ column, its pseudonym (names as in
            ``PSEUDONYM_COLUMNS``).
    """
    columns = []
    for column in _kept(extract):
        if column.kind in _TYPES:
            # Not strict: a number that fits nowhere gets here only where its rule has been taken out of RULES.
            value = pl.col(value_of(column.name)).cast(_TYPES[column.kind], strict=False)
            columns.append(value.alias(column.name))
        elif column.kind == "text":
            columns.append(pl.col(column.name).str.replace_all(_NUMBER, _MASK))
        else:
            columns.append(pl.col(PSEUDONYM_COLUMNS.get(column.name, column.name)))
    return rows.select(*columns, DELIVERED_IN)


def _kept(extract: Extract) -> Iterator[Column]:
    return (column for column in extract.columns if not column.is_free)
