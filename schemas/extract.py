"""The vocabulary in which an extract is described, and the names of the columns that judging adds to it.

Here: the frozen classes that ``extracts.py`` fills in, and the names of everything a frame of rows holds beside the
columns of the contract. Not here: any particular extract (``extracts.py``), any rule (``rules.py``).

A *frame of rows* is what travels from reading to judging, one row per row of the file:

====================  ===============  =============================================================================
column                type             holds
====================  ===============  =============================================================================
``line_number``       Int64            1 = first data row
the extract's own     String           as delivered: stripped, empty = null, an ``einde`` of 9999-12-31 = null
``verwijderd``        String           only where ``DeliveryContext.delta``
``fact__…``           Boolean, String  what one row cannot know of itself (below); computed from whole files and state
``…__value``          natural type     added by ``typed()``: what the text says, null where it cannot be read
====================  ===============  =============================================================================

The double underscore keeps the additions apart from any column that the contract has or may get.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["id", "insz", "date", "bool", "int", "dec", "code", "text", "digits"]

LINE_NUMBER = "line_number"
DELETED = "verwijderd"

# Facts. Null is allowed only for a parent state (no reference to judge) and a dossier error (a good dossier).
KEY_CONFLICT = "fact__key_conflict"
"""Boolean: another row of the same file has this key and different content."""
ALIAS_CYCLE = "fact__alias_cycle"
"""Boolean, ``insz_wijzigingen`` only: following the replacements from this row leads back to its ``oude_insz``."""
DOSSIER_ERROR = "fact__dossier_error"
"""String, ``dossiers`` only: why the dossier cannot be taken; null = it can."""

PARENT_STATES = ("present", "missing", "quarantined")
PERIODS = (("begin", "einde"), ("datum_inschrijving", "datum_uitschrijving"))
"""The only pairs of dates whose order is judged, wherever an extract has both."""


def parent_state(column: str) -> str:
    """Name of the fact (one of ``PARENT_STATES``, or null) about the parent that ``column`` refers to."""
    return f"fact__parent_state__{column}"


def value_of(column: str) -> str:
    """Name of the column in which ``typed()`` puts what the text of ``column`` says."""
    return f"{column}__value"


@dataclass(frozen=True)
class Column:
    """One column of an extract.

    ``codes``: the closed list of a ``code``. ``digits``: how many a ``digits`` column has. ``minimum``, ``maximum``:
    inclusive range of a number. ``at_most``: name of the column whose number this one may not exceed. ``is_free``: a
    reason in words that no figure needs; people are named in such texts, so it stays in the restricted zones.
    """

    name: str
    kind: Kind
    required: bool = False
    codes: tuple[str, ...] = ()
    digits: int = 0
    minimum: int | None = None
    maximum: int | None = None
    at_most: str | None = None
    is_free: bool = False


@dataclass(frozen=True)
class Parent:
    """``column`` refers to the key of ``extract``."""

    column: str
    extract: str


@dataclass(frozen=True)
class Extract:
    """What a good row of one extract is.

    ``key``: primary key; empty where rows have none. ``one_of``: columns of which at least one is required.
    ``decision_dates``: where ``besluit_code`` is given, one of these dates must be readable. ``own_facts``: facts that
    only this extract has.
    """

    name: str
    title: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    parents: tuple[Parent, ...] = ()
    one_of: tuple[str, ...] = ()
    decision_dates: tuple[str, ...] = ()
    own_facts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of the contract."""
        return tuple(column.name for column in self.columns)

    @property
    def insz_columns(self) -> tuple[str, ...]:
        """The columns that hold a person's number: what must never leave the restricted zones."""
        return tuple(column.name for column in self.columns if column.kind == "insz")

    @property
    def event_dates(self) -> tuple[str, ...]:
        """The columns that date what happened: a birth is no event of the registry."""
        return tuple(column.name for column in self.columns if column.kind == "date" and column.name != "geboortedatum")

    @property
    def periods(self) -> tuple[tuple[str, str], ...]:
        """The pairs (first day, last day) of this extract."""
        return tuple(pair for pair in PERIODS if set(pair) <= set(self.names))

    @property
    def facts(self) -> tuple[str, ...]:
        """The fact columns that a frame of rows of this extract must hold."""
        return (
            *((KEY_CONFLICT,) if self.key else ()),
            *(parent_state(parent.column) for parent in self.parents),
            *self.own_facts,
        )


@dataclass(frozen=True)
class DeliveryContext:
    """What judging a row needs to know of its delivery.

    ``date``: calendar date of ``extracted_at`` in Brussels. ``synthetic``: no row is about a real person.
    ``delta``: the frames have ``verwijderd``, and of rows that delete only the key is judged.
    """

    date: date
    synthetic: bool
    delta: bool = False
