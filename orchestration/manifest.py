"""What a delivery says of itself, and how one is refused.

Here: the parsed form of ``manifest.json`` (spec, extracts section 1) and the one exception by which any step refuses a
delivery whole. Not here: finding deliveries (``deliveries.py``), their bytes (``landing.py``), their rows
(``validation.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

BRUSSELS = ZoneInfo("Europe/Brussels")

FileFormat = Literal["csv", "parquet", "kbi-xml"]
DeliveryKind = Literal["full", "delta"]


class Refusal(Exception):
    """A delivery is refused whole: nothing of it enters the warehouse.

    ``code`` is one of the contract's refusal codes, ``detail`` says for people which file and what to do next and holds
    no row value; ``rule_counts`` gives quarantined rows per (extract, rule) where the refusal is about them.
    """

    def __init__(self, code: str, detail: str, rule_counts: Mapping[tuple[str, str], int] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.rule_counts = dict(rule_counts or {})


@dataclass(frozen=True)
class DeliveredFile:
    """One entry of ``files``: ``rows`` counts data rows (dossier files for ``kbi-xml``), ``path`` is relative."""

    extract: str
    path: str
    format: FileFormat
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A valid ``manifest.json``. ``extracted_at`` carries its offset."""

    delivery_id: str
    extracted_at: datetime
    kind: DeliveryKind
    synthetic: bool
    files: tuple[DeliveredFile, ...] = field(default_factory=tuple)

    @property
    def date(self) -> date:
        """The date of the delivery: the calendar date of ``extracted_at`` in Brussels."""
        return self.extracted_at.astimezone(BRUSSELS).date()

    @property
    def order(self) -> tuple[datetime, str]:
        """Deliveries are taken in this order."""
        return self.extracted_at, self.delivery_id

    def file_of(self, extract: str) -> DeliveredFile | None:
        """The file that brings ``extract``, or None where a delta leaves it out."""
        return next((file for file in self.files if file.extract == extract), None)
