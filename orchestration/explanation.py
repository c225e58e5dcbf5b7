"""Why two releases give other figures for the same day: for people who compare what was published then and later.

Here: the differences between two releases on one reporting date, and what of each the revision log explains, in words
(Dutch) or JSON. Everything is read from the two releases: an explanation needs neither the warehouse nor the registry.
Not here: how causes are found (``revisions.py``, ``mart_revisions``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
from babel.dates import format_date
from babel.numbers import format_decimal

from orchestration.answer import ANSWERED
from orchestration.marts import MARTS
from orchestration.publication import Release, named
from orchestration.revisions import CAUSES, GRAIN
from orchestration.settings import Settings

_LOCALE = "nl_BE"
_CAUSES = {
    "replaced_number": "vervangen nummer",
    "repaired_from_quarantine": "hersteld uit quarantaine",
    "deleted_row": "geschrapte rij",
    "corrected_decision": "verbeterde beslissing",
    "late_registration": "late registratie",
    "other": "andere wijziging",
}
_MARTS = {
    "mart_q1_pass_rate": "Vraag 1. Geslaagd",
    "mart_q2_pass_rate_by_participation": "Vraag 2. Geslaagd, per soort deelname",
    "mart_q3_certificates": "Vraag 3. Attesten",
    "mart_q4_completed_and_certified": "Vraag 4. Voltooid, geslaagd en attest",
    "mart_q5_completed_not_certified": "Vraag 5. Voltooid, niet geslaagd en geen attest",
    "mart_non_success_reasons": "Redenen van niet slagen",
}
_DIMENSIONS = [column for column in GRAIN if column not in ("mart", "as_of_date")]


class NotExplained(Exception):
    """The two releases cannot be compared on that day; the message says why."""


@dataclass(frozen=True)
class Difference:
    """One figure that differs. ``causes``: what of the difference of a count each explains; of a rate nothing.

    ``unexplained``: what is left of the difference of a count: another definition, or deliveries that were withdrawn.
    """

    mart: str
    dimensions: Mapping[str, str]
    measure: str
    old: Decimal | int | None
    new: Decimal | int | None
    causes: Mapping[str, int]
    unexplained: int


@dataclass(frozen=True)
class Explanation:
    """All differences on a day. ``notes``: what must be known to read them, in Dutch."""

    as_of_date: date
    old_release: str
    new_release: str
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]

    def as_json(self) -> str:
        """Dates ISO 8601, rates as numbers."""
        return json.dumps(
            asdict(self),
            default=lambda value: float(value) if isinstance(value, Decimal) else value.isoformat(),
            indent=2,
            ensure_ascii=False,
        )

    def as_text(self) -> str:
        """In Dutch, question by question; each figure with old, new and what caused the difference."""
        title = (
            f"Stand van zaken op {format_date(self.as_of_date, 'd MMMM y', locale=_LOCALE)}: wat veranderde, en waarom"
        )
        lines = [title, "=" * len(title), f"van  {self.old_release}", f"naar {self.new_release}", *self.notes]
        if not self.differences:
            lines += ["", "Geen enkel cijfer verschilt."]
        for mart, heading in _MARTS.items():
            of_mart = [difference for difference in self.differences if difference.mart == mart]
            if of_mart:
                lines += ["", heading]
            for difference in of_mart:
                where = ", ".join(difference.dimensions.values())
                lines.append(f"  {difference.measure} ({where}): {_figure(difference.old)} → {_figure(difference.new)}")
                told = [f"{_CAUSES[cause]} {n:+d}" for cause, n in difference.causes.items() if n]
                if difference.unexplained:
                    told.append(f"niet verklaard door leveringen {difference.unexplained:+d}")
                if told:
                    lines.append(f"      {'; '.join(told)}")
        return "\n".join(lines)


def explain(settings: Settings, as_of: date, old_id: str, new_id: str) -> Explanation:
    """What differs between two releases on a reporting date, and why.

    Raises:
        UnknownRelease: there is no release of that name.
        NotExplained: one of them does not report that day.
    """
    old, new = named(settings, old_id), named(settings, new_id)
    before, after = _figures(old, as_of), _figures(new, as_of)
    causes = _causes(old, new, as_of)
    differences = []
    for key in sorted(before.keys() | after.keys(), key=repr):
        mart, *dimensions, measure = key
        was, now = before.get(key), after.get(key)
        if was == now:
            continue
        is_count = isinstance(was, int) and isinstance(now, int)
        explained = causes.get(key, {}) if is_count else {}
        named_dimensions = {name: value for name, value in zip(_DIMENSIONS, dimensions, strict=True) if value}
        unexplained = (now - was - sum(explained.values())) if is_count else 0
        differences.append(Difference(mart, named_dimensions, measure, was, now, explained, unexplained))
    return Explanation(as_of, old.release_id, new.release_id, tuple(_notes(old, new)), tuple(differences))


def _figures(release: Release, as_of: date) -> dict[tuple[str | None, ...], Decimal | int | None]:
    """(mart, dimensions …, measure) → value."""
    found: dict[tuple[str | None, ...], Decimal | int | None] = {}
    for mart in ANSWERED:
        rows = pl.read_parquet(_parquet(release, mart)).filter(pl.col("as_of_date") == as_of)
        if not rows.height:
            raise NotExplained(
                f"{release.release_id} does not report {as_of}. Reported are the ends of months from 2016-02-29, "
                "2016-09-08, and the date of its last delivery."
            )
        for row in rows.iter_rows(named=True):
            key = (mart, *(row.get(column) if column in MARTS[mart] else None for column in _DIMENSIONS))
            found |= {(*key, name): row[name] for name in row if name not in (*MARTS[mart], "known_on")}
    return found


def _causes(old: Release, new: Release, as_of: date) -> dict[tuple[str | None, ...], dict[str, int]]:
    """What the deliveries that the newer release has beyond the older one changed, by cause."""
    known = {delivery["delivery_id"] for delivery in old.manifest["deliveries"]}
    between = [d["delivery_id"] for d in new.manifest["deliveries"] if d["delivery_id"] not in known]
    columns = [f"n_{cause}" for cause in CAUSES]
    rows = (
        pl.read_parquet(_parquet(new, "mart_revisions"))
        .filter(pl.col("as_of_date") == as_of, pl.col("delivery_id").is_in(between))
        .group_by("mart", *_DIMENSIONS, "measure")
        .agg(pl.col(columns).sum())
    )
    return {
        tuple(row[name] for name in ("mart", *_DIMENSIONS, "measure")): {c: row[f"n_{c}"] for c in CAUSES}
        for row in rows.iter_rows(named=True)
    }


def _notes(old: Release, new: Release) -> list[str]:
    notes = []
    if old.manifest["synthetic"]:
        notes.append("SYNTHETISCHE GEGEVENS: geen enkele rij gaat over een echte persoon.")
    fingerprints = [
        [(delivery["delivery_id"], delivery["sha256"]) for delivery in release.manifest["deliveries"]]
        for release in (old, new)
    ]
    if fingerprints[1][: len(fingerprints[0])] != fingerprints[0]:
        notes.append(
            "De jongere publicatie bouwt niet voort op alle leveringen van de oudere (omgekeerde volgorde, of een "
            "levering is ingetrokken): wat daaruit volgt, staat als niet verklaard."
        )
    if old.manifest["code_version"] != new.manifest["code_version"]:
        notes.append(
            f"De programmatuur verschilt ({old.manifest['code_version']} en {new.manifest['code_version']}): een "
            "gewijzigde definitie staat als niet verklaard, en in het wijzigingslog van de publicatie."
        )
    return notes


def _parquet(release: Release, mart: str) -> Path:
    return release.directory / "internal" / "parquet" / f"{mart}.parquet"


def _figure(value: Decimal | int | None) -> str:
    if value is None:
        return "n.v.t."
    if isinstance(value, Decimal):
        return f"{format_decimal(value * 100, '#,##0.0000', locale=_LOCALE)} %"
    return format_decimal(value, locale=_LOCALE)
