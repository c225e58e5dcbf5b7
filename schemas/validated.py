"""The shape in which accepted rows leave validation: natural types, pseudonyms, no INSZ.

Here: columns and types of the validated Parquet (docs/architecture.md), and the selection of them from judged rows.
Not here: computing pseudonyms, writing files (``orchestration/``).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from schemas.extract import Extract, value_of

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


def validated_schema(extract: Extract) -> dict[str, pl.DataType]:
    """Columns and types of the extract's validated rows, in order: every INSZ column gives way to its pseudonym."""
    return {
        **{PSEUDONYM_COLUMNS.get(c.name, c.name): _TYPES.get(c.kind, pl.String()) for c in extract.columns},
        DELIVERED_IN: pl.String(),
    }


def validated(extract: Extract, rows: pl.DataFrame) -> pl.DataFrame:
    """Accepted rows in the shape of ``validated_schema``.

    Args:
        extract: What the rows are rows of.
        rows: as ``typed()`` returns them, with ``delivered_in`` and, for each INSZ column, its pseudonym (names as in
            ``PSEUDONYM_COLUMNS``).
    """
    columns = []
    for column in extract.columns:
        if column.kind in _TYPES:
            # Not strict: a number that fits nowhere gets here only where its rule has been taken out of RULES.
            value = pl.col(value_of(column.name)).cast(_TYPES[column.kind], strict=False)
            columns.append(value.alias(column.name))
        else:
            columns.append(pl.col(PSEUDONYM_COLUMNS.get(column.name, column.name)))
    return rows.select(*columns, DELIVERED_IN)
