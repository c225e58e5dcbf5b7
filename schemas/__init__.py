"""What a good row is: the delivery contract's extracts and row rules, judged by pandera.

``EXTRACTS`` describes the extracts, ``RULES`` the rules; from both a pandera schema per extract is built. Rows pass
through ``typed()`` (text → values), ``judge()`` (values → the rule codes each row breaks) and, once accepted,
``validated()`` (the shape the warehouse reads). Nothing here knows a file, Dagster or dbt.
"""

from schemas.extract import (
    ALIAS_CYCLE,
    DELETED,
    DOSSIER_ERROR,
    KEY_CONFLICT,
    LINE_NUMBER,
    PARENT_STATES,
    Column,
    DeliveryContext,
    Extract,
    Parent,
    parent_state,
    value_of,
)
from schemas.extracts import CHILDREN, DOSSIERS, EXTRACTS
from schemas.judging import RULE_CODES, JudgingDefect, judge, schema_of
from schemas.parsing import typed
from schemas.rules import CODES, RULES, Rule, applicable
from schemas.validated import DELIVERED_IN, PSEUDONYM_COLUMNS, validated, validated_schema

__all__ = [
    "ALIAS_CYCLE",
    "CHILDREN",
    "CODES",
    "DELETED",
    "DELIVERED_IN",
    "DOSSIERS",
    "DOSSIER_ERROR",
    "EXTRACTS",
    "KEY_CONFLICT",
    "LINE_NUMBER",
    "PARENT_STATES",
    "PSEUDONYM_COLUMNS",
    "RULES",
    "RULE_CODES",
    "Column",
    "DeliveryContext",
    "Extract",
    "JudgingDefect",
    "Parent",
    "Rule",
    "applicable",
    "judge",
    "parent_state",
    "schema_of",
    "typed",
    "validated",
    "validated_schema",
    "value_of",
]
