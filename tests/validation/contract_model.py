"""What the delivery contract says of rows that depend on each other, in plain Python, a row at a time.

An independent model of spec section 3 for a few extracts and values: it shares nothing with the product and knows no
batch, no hash and no SQL. A row is a dict of text fields. What a single row can break is told from the value itself,
since the tests only use values whose verdict is plain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.deliveries import COLUMNS, insz

Row = dict[str, str | None]

NUMBERS = [insz(n) for n in range(1, 6)]
BAD_NUMBER = "12345678901"
BAD_DATE = "2016-02-30"
REVERSED = ("2016-05-01", "2016-04-01")

KEYS = {
    "personen": ("insz",),
    "insz_wijzigingen": ("oude_insz",),
    "doelgroepen": ("insz", "begin"),
    "contracten": ("contract_id",),
    "trajecten": ("traject_id",),
    "trajectonderdelen": ("onderdeel_id",),
}
REFERENCES = {
    "doelgroepen": {"insz": "personen"},
    "contracten": {"insz": "personen"},
    "trajecten": {"insz": "personen", "contract_id": "contracten"},
    "trajectonderdelen": {"traject_id": "trajecten"},
}
REQUIRED = {
    "personen": ("insz",),
    "insz_wijzigingen": ("oude_insz", "nieuwe_insz", "datum"),
    "doelgroepen": ("insz", "begin", "code"),
    "contracten": ("contract_id", "insz", "datum_registratie"),
    "trajecten": ("traject_id", "insz", "type", "begin"),
    "trajectonderdelen": ("onderdeel_id", "traject_id", "type", "begin"),
}
INSZ_COLUMNS = {"insz", "oude_insz", "nieuwe_insz"}


@dataclass
class Judged:
    """Per extract: codes per quarantined line, lines that are exact duplicates."""

    codes: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    duplicates: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


class Registry:
    """The state of the warehouse's knowledge, delivery after delivery."""

    def __init__(self) -> None:
        self.state: dict[str, dict[tuple[str | None, ...], Row]] = {extract: {} for extract in KEYS}

    def take_full(self, tables: Mapping[str, Sequence[Row]]) -> Judged:
        """Judge a full delivery and move on to the state with it."""
        judged = Judged()
        quarantined_keys: dict[str, set[tuple[str | None, ...]]] = defaultdict(set)
        for extract in KEYS:
            rows = list(enumerate(tables[extract], start=1))
            seen: set[tuple[str | None, ...]] = set()
            originals = []
            for line, row in rows:
                content = tuple(row.get(column) for column in COLUMNS[extract])
                if content in seen:
                    judged.duplicates[extract].add(line)
                else:
                    seen.add(content)
                    originals.append((line, row))
            codes = {line: _own_codes(extract, row) for line, row in originals}
            by_key = defaultdict(list)
            for line, row in originals:
                key = _key(extract, row)
                if None not in key:
                    by_key[key].append(line)
            for lines in by_key.values():
                if len(lines) > 1:
                    for line in lines:
                        codes[line].add("key_conflict")
            for line, row in originals:
                codes[line] |= self._parent_codes(extract, row, quarantined_keys)
            if extract == "insz_wijzigingen":
                self._add_cycles(originals, codes)
            self._move_on(extract, originals, codes)
            for line, row in originals:
                if codes[line]:
                    judged.codes[extract][line] = codes[line]
                    quarantined_keys[extract].add(_key(extract, row))
        return judged

    def _move_on(self, extract: str, originals: list[tuple[int, Row]], codes: dict[int, set[str]]) -> None:
        brought = {_key(extract, row) for _, row in originals}
        held = {key: row for key, row in self.state[extract].items() if key in brought}
        accepted = {_key(extract, row): row for line, row in originals if not codes[line]}
        self.state[extract] = {**held, **accepted}

    def _parent_codes(self, extract: str, row: Row, quarantined: Mapping[str, set[tuple[str | None, ...]]]) -> set[str]:
        codes = set()
        for column, parent in REFERENCES.get(extract, {}).items():
            value = row.get(column)
            if value is None or (column in INSZ_COLUMNS and value == BAD_NUMBER):
                continue
            if parent == "personen":
                wanted = self._current(value)
                present = any(self._current(key[0]) == wanted for key in self.state["personen"])
                was_quarantined = any(self._current(key[0]) == wanted for key in quarantined["personen"] if key[0])
            else:
                present = (value,) in self.state[parent]
                was_quarantined = (value,) in quarantined[parent]
            if not present:
                codes.add("parent_quarantined" if was_quarantined else "parent_missing")
        return codes

    def _current(self, number: str | None) -> str | None:
        while (number,) in self.state["insz_wijzigingen"]:
            number = self.state["insz_wijzigingen"][(number,)]["nieuwe_insz"]
        return number

    def _add_cycles(self, originals: list[tuple[int, Row]], codes: dict[int, set[str]]) -> None:
        brought = {row.get("oude_insz") for _, row in originals}
        known = {key[0]: row["nieuwe_insz"] for key, row in self.state["insz_wijzigingen"].items() if key[0] in brought}
        while True:
            follows = dict(known)
            follows.update({row["oude_insz"]: row["nieuwe_insz"] for line, row in originals if not codes[line]})
            found = [line for line, row in originals if "alias_cycle" not in codes[line] and _back(row, follows)]
            if not found:
                return
            for line in found:
                codes[line].add("alias_cycle")


def _back(row: Row, follows: Mapping[str | None, str | None]) -> bool:
    at, start, steps = row.get("nieuwe_insz"), row.get("oude_insz"), 0
    while at is not None and start is not None and steps <= len(follows):
        if at == start:
            return True
        at, steps = follows.get(at), steps + 1
    return False


def _key(extract: str, row: Row) -> tuple[str | None, ...]:
    return tuple(row.get(column) for column in KEYS[extract])


def _own_codes(extract: str, row: Row) -> set[str]:
    codes = set()
    if any(row.get(column) is None for column in REQUIRED[extract]):
        codes.add("required_missing")
    if BAD_DATE in row.values():
        codes.add("type_invalid")
    if any(row.get(column) == BAD_NUMBER for column in INSZ_COLUMNS):
        codes.add("insz_invalid")
    if "begin" in COLUMNS[extract] and (row.get("begin"), row.get("einde")) == REVERSED:
        codes.add("period_reversed")
    return codes
