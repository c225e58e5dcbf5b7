"""Judging rows with pandera.

Here: the pandera schema of an extract, built from its description and ``RULES``, and the fold of what pandera reports
into rule codes per row. Not here: what the rules are (``rules.py``).

What pandera reports of a row is a failure case with the row's position; what it reports without one (a missing column,
a wrong type, a check that raised) is about the frame. Those are defects of the program: they are raised, since a fold
by position would lose them and accept every row.
"""

from __future__ import annotations

from functools import lru_cache

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context
from pandera.errors import SchemaErrorReason, SchemaErrors

from schemas import rules
from schemas.extract import (
    ALIAS_CYCLE,
    DELETED,
    DOSSIER_ERROR,
    KEY_CONFLICT,
    LINE_NUMBER,
    DeliveryContext,
    Extract,
    value_of,
)
from schemas.parsing import PARENT_STATE, VALUE_TYPES, with_values
from schemas.rules import Rule, Verdict

RULE_CODES = "rule_codes"


class JudgingDefect(Exception):
    """The rows could not be judged: the frame is not what the schema describes, or a check does not work.

    A mistake in the program, never a bad row. The message holds no value of a row.
    """


def schema_of(extract: Extract, delivery: DeliveryContext) -> pa.DataFrameSchema:
    """The pandera schema for typed rows of an extract; one check per rule and column, named by the rule's code."""
    return _schema(extract, delivery, tuple(rules.RULES.values()))


@lru_cache(maxsize=32)
def _schema(extract: Extract, delivery: DeliveryContext, registered: tuple[Rule, ...]) -> pa.DataFrameSchema:
    checks: dict[str, list[pa.Check]] = {name: [] for name in _types(extract, delivery)}
    for rule in registered:
        for verdict in rule.verdicts(extract, delivery):
            checks[verdict.column].append(_check(rule, verdict, delivery))
    return pa.DataFrameSchema(
        {
            # Empty fields are for required_missing to judge. A null verdict of another step would pass for a good one.
            name: pa.Column(dtype, checks[name], nullable=name not in (LINE_NUMBER, KEY_CONFLICT, ALIAS_CYCLE))
            for name, dtype in _types(extract, delivery).items()
        },
        name=extract.name,
        title=extract.title,
    )


def _types(extract: Extract, delivery: DeliveryContext) -> dict[str, pl.DataType]:
    """Every column of a typed frame of rows that is judged, with its type."""
    facts = {KEY_CONFLICT: pl.Boolean(), ALIAS_CYCLE: pl.Boolean(), DOSSIER_ERROR: pl.String()}
    return {
        LINE_NUMBER: pl.Int64(),
        **dict.fromkeys((*extract.names, *((DELETED,) if delivery.delta else ())), pl.String()),
        **{value_of(c.name): VALUE_TYPES[c.kind] for c in with_values(extract, delta=delivery.delta)},
        **{fact: facts.get(fact, PARENT_STATE) for fact in extract.facts},
    }


def _check(rule: Rule, verdict: Verdict, delivery: DeliveryContext) -> pa.Check:
    good = verdict.good
    if delivery.delta and not verdict.of_deletions:
        good = good | pl.col(value_of(DELETED)).fill_null(value=False)
    # Checks across columns hang on one column too: pandera would report the whole row for a check on the frame.
    return pa.Check(
        lambda data: data.lazyframe.select(good), name=rule.code, title=rule.title, description=rule.sentence
    )


def judge(extract: Extract, rows: pl.DataFrame, delivery: DeliveryContext) -> pl.DataFrame:
    """All rules that each row breaks.

    Args:
        extract: What the rows are rows of.
        rows: as ``typed()`` returns them.
        delivery: The delivery that brought them.

    Returns:
        ``line_number`` Int64 and ``rule_codes`` List(String), in the order of the rows; only rows that break a rule.
        The codes are distinct and in the order of ``CODES``.

    Raises:
        JudgingDefect: rows that cannot be judged.
    """
    schema = schema_of(extract, delivery)
    try:
        # Not left to the environment: PANDERA_VALIDATION_ENABLED or _DEPTH would make every row good.
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(rows, lazy=True)
    except SchemaErrors as failure:
        cases = failure.failure_cases.select("index", "check")
        if cases["index"].has_nulls() or not cases["check"].is_in(rules.CODES).all():
            # `from None`: pandera's own message shows values of rows.
            raise JudgingDefect(_explanation(extract, failure)) from None
        return _folded(cases, rows[LINE_NUMBER])
    return pl.DataFrame(schema={LINE_NUMBER: pl.Int64, RULE_CODES: pl.List(pl.String)})


def _folded(cases: pl.DataFrame, line_numbers: pl.Series) -> pl.DataFrame:
    return (
        cases.with_columns(pl.col("check").cast(pl.Enum(rules.CODES)))
        .unique()
        .sort("index", "check")
        .group_by("index", maintain_order=True)
        .agg(pl.col("check").cast(pl.String).alias(RULE_CODES))
        .select(pl.lit(line_numbers).gather(pl.col("index")).alias(LINE_NUMBER), RULE_CODES)
    )


def _explanation(extract: Extract, failure: SchemaErrors) -> str:
    """Which checks did not work on which columns; what a check said when it raised may show values and is left out."""
    found = []
    for error in failure.schema_errors:
        check = error.check.name if isinstance(error.check, pa.Check) else error.check
        if error.reason_code is SchemaErrorReason.CHECK_ERROR:
            found.append(f"{check} raised on {error.column_name}")
        elif not isinstance(error.failure_cases, pl.DataFrame):
            found.append(f"{check} on {error.column_name or extract.name}: {error.failure_cases}")
        elif check not in rules.CODES:
            found.append(f"{check} on {error.column_name}: {error.failure_cases.height} rows")
    return (
        f"Rows of {extract.name} cannot be judged, and none was: {'; '.join(found)}. This is a defect of the program "
        "(schemas/, or the step that computes the facts), not of a row."
    )
