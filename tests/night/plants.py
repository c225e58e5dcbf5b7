"""One registry in which every rule is broken in every extract that it can be broken in, and what must become of it.

Here: rows with the codes that they break. Unlike in ``tests/validation``, what crosses rows is planted as rows: keys
that contradict, parents that are not there or are broken, numbers replaced in circles. Not here: running anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

from tests.deliveries import COLUMNS, insz, minimal_registry
from tests.validation.schemas_frames import DAMAGES, PARENTS

Row = dict[str, Any]

EXTRACTED_AT = "2016-09-08T23:00:00+02:00"
"""The day for which the damages of ``schemas_frames`` are written."""

ANCESTORS = {
    **{extract: ["personen"] for extract in COLUMNS if extract not in ("personen", "insz_wijzigingen")},
    "addenda": ["personen", "contracten"],
    "opschortingen": ["personen", "contracten"],
    "trajecten": ["personen", "contracten"],
    "trajectonderdelen": ["personen", "contracten", "trajecten"],
    "attesten": ["personen", "contracten"],
}
ANOTHER_CONTENT = {
    "personen": {"nis_gemeente": "44021"},
    "insz_wijzigingen": {"datum": "2014-01-11"},
    "doelgroepen": {"code": "NEE"},
    "contracten": {"nis_gemeente": "44021"},
    "addenda": {"onderdeel_mo": "true"},
    "opschortingen": {"reden": "ANDERE"},
    "trajecten": {"status_code": "OP"},
    "trajectonderdelen": {"status_code": "TO_STA_09"},
    "mo_cursussen": {"taal": "nld"},
    "nt2_cursussen": {"module_code": "M2"},
    "afgelegde_testen": {"versie": "3"},
    "attesten": {"datum_aanmaak": "2015-07-02"},
    "inbreuken": {"boete_bedrag": "51"},
    "wachtlijst": {"module_code": "M2"},
}
"""Of every extract, a change outside the key after which the row is as good as before."""

_BROKEN_BY = "date_implausible"
_BROKEN = {"personen": "geboortedatum", "contracten": "datum_registratie", "trajecten": "begin"}
"""A date of each parent: with it before 1900 the parent is quarantined, under its key."""


@dataclass
class Plants:
    """``tables``: what to deliver. ``broken``: codes by (extract, line). ``duplicates``: how many per extract.

    ``through``: for rows that break a rule because another row does, the rule that the other row breaks.
    """

    tables: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    through: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, extract: str, row: Mapping[str, Any], *codes: str) -> tuple[str, int]:
        self.tables[extract].append(dict(row))
        place = (extract, len(self.tables[extract]))
        if codes:
            self.broken[place] = set(codes)
        return place

    def without_rule(self, code: str) -> dict[tuple[str, int], set[str]]:
        """What is still broken if nobody judges this rule."""
        left = {place: codes - {code} for place, codes in self.broken.items() if self.through.get(place) != code}
        return {place: codes for place, codes in left.items() if codes}


@cache
def every_rule() -> Plants:
    """Every damage of one row, every rule across rows, and an exact duplicate in every extract."""
    plants, numbers = Plants(), count(1)
    for extract in COLUMNS:
        for damage in DAMAGES[extract]:
            if not any(change.startswith("fact__") for change in damage.changes):
                row = _with_ancestors(plants, extract, next(numbers))
                plants.add(extract, row | damage.changes, damage.code)
        _repeat(plants, extract, numbers)
        for column, parent in PARENTS.get(extract, {}).items():
            _break_parent(plants, extract, column, parent, numbers)
    for _ in range(3):  # something to report on
        n = next(numbers)
        for extract, rows in minimal_registry(n).items():
            plants.add(extract, rows[0])
    _replace_in_circles(plants)
    return plants


def _with_ancestors(plants: Plants, extract: str, n: int, *left_out: str) -> Row:
    """The n-th row of an extract; what it refers to is added."""
    registry = minimal_registry(n)
    for ancestor in ANCESTORS.get(extract, []):
        if ancestor not in left_out:
            plants.add(ancestor, registry[ancestor][0])
    return registry[extract][0]


def _repeat(plants: Plants, extract: str, numbers: Iterator[int]) -> None:
    row = _with_ancestors(plants, extract, next(numbers))
    plants.add(extract, row, "key_conflict")
    plants.add(extract, row | ANOTHER_CONTENT[extract], "key_conflict")
    row = _with_ancestors(plants, extract, next(numbers))
    plants.add(extract, row)
    plants.add(extract, row)
    # A duplicate of a row that is quarantined is a duplicate all the same.
    damage = next(damage for damage in DAMAGES[extract] if damage.code == _BROKEN_BY)
    row = _with_ancestors(plants, extract, next(numbers)) | damage.changes
    plants.add(extract, row, damage.code)
    plants.add(extract, row)
    plants.duplicates[extract] += 2


def _break_parent(plants: Plants, extract: str, column: str, parent: str, numbers: Iterator[int]) -> None:
    row = _with_ancestors(plants, extract, next(numbers))
    elsewhere = minimal_registry(next(numbers))
    key = "insz" if parent == "personen" else column
    plants.add(extract, row | {column: elsewhere[parent][0][key]}, "parent_missing")
    n = next(numbers)
    row = _with_ancestors(plants, extract, n)
    elsewhere = minimal_registry(next(numbers))
    broken = elsewhere[parent][0] | {_BROKEN[parent]: "1899-12-31"}
    for ancestor in ANCESTORS.get(parent, []):
        plants.add(ancestor, elsewhere[ancestor][0])
    plants.add(parent, broken, _BROKEN_BY)
    place = plants.add(extract, row | {column: broken[key]}, "parent_quarantined")
    plants.through[place] = _BROKEN_BY


def _replace_in_circles(plants: Plants) -> None:
    a, b, c, lonely = (insz(n) for n in range(100_001, 100_005))
    for old, new in ((a, b), (b, c), (c, a), (lonely, lonely)):
        plants.add("insz_wijzigingen", {"oude_insz": old, "nieuwe_insz": new, "datum": "2014-01-10"}, "alias_cycle")
