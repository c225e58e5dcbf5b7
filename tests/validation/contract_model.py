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
Key = tuple[str | None, ...]

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
    """Per extract: codes per quarantined line, lines that are exact duplicates, and earlier rows that were released."""

    codes: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(dict))
    duplicates: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    released: dict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))


@dataclass(frozen=True)
class Waiting:
    """A row that waits for its parents, and where it was quarantined."""

    delivery_id: str
    line: int
    row: Row


class Registry:
    """The state of the warehouse's knowledge, delivery after delivery."""

    def __init__(self) -> None:
        self.state: dict[str, dict[Key, Row]] = {extract: {} for extract in KEYS}
        self.waiting: dict[str, dict[Key, Waiting]] = {extract: {} for extract in KEYS}

    def take(self, delivery_id: str, tables: Mapping[str, Sequence[Row]], kind: str) -> Judged:
        """Judge a delivery and move on to the state with it."""
        judged = Judged()
        quarantined_keys: dict[str, set[Key]] = defaultdict(set)
        for extract in KEYS:
            originals = []
            if extract in tables:
                originals = _originals(extract, tables[extract], judged.duplicates[extract])
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
                if not _deletes(row):
                    codes[line] |= self._parent_codes(extract, row, quarantined_keys)
            if extract == "insz_wijzigingen":
                self._add_cycles(originals, codes, kind)
            if extract in tables or kind == "full":
                self._move_on(extract, originals, codes, kind)
            self._release(extract, originals, quarantined_keys, judged, kind)
            for line, row in originals:
                if codes[line]:
                    judged.codes[extract][line] = codes[line]
                    quarantined_keys[extract].add(_key(extract, row))
                    if codes[line] <= {"parent_missing", "parent_quarantined"}:
                        self.waiting[extract][_key(extract, row)] = Waiting(delivery_id, line, row)
        return judged

    def _move_on(self, extract: str, originals: list[tuple[int, Row]], codes: dict[int, set[str]], kind: str) -> None:
        brought = {_key(extract, row) for _, row in originals}
        deleted = {_key(extract, row) for line, row in originals if not codes[line] and _deletes(row)}
        accepted = {_key(extract, row): row for line, row in originals if not codes[line] and not _deletes(row)}
        stays = {
            key: row
            for key, row in self.state[extract].items()
            if (key in brought if kind == "full" else key not in deleted)
        }
        self.state[extract] = {**stays, **accepted}

    def _release(
        self,
        extract: str,
        originals: list[tuple[int, Row]],
        quarantined: Mapping[str, set[Key]],
        judged: Judged,
        kind: str,
    ) -> None:
        if kind == "full":
            self.waiting[extract] = {}
            return
        brought = {_key(extract, row) for _, row in originals}
        for key, waits in list(self.waiting[extract].items()):
            if key in brought:
                del self.waiting[extract][key]
            elif not self._parent_codes(extract, waits.row, quarantined):
                del self.waiting[extract][key]
                self.state[extract][key] = waits.row
                judged.released[extract].add((waits.delivery_id, waits.line))

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

    def _add_cycles(self, originals: list[tuple[int, Row]], codes: dict[int, set[str]], kind: str) -> None:
        changes = [(line, row) for line, row in originals if not _deletes(row)]
        brought = {row.get("oude_insz") for _, row in originals}
        deleted = {row.get("oude_insz") for line, row in originals if _deletes(row) and not codes[line]}
        known = {
            number: row["nieuwe_insz"]
            for (number,), row in self.state["insz_wijzigingen"].items()
            if (number in brought if kind == "full" else number not in deleted)
        }
        while True:
            follows = dict(known)
            follows.update({row["oude_insz"]: row["nieuwe_insz"] for line, row in changes if not codes[line]})
            found = [line for line, row in changes if "alias_cycle" not in codes[line] and _back(row, follows)]
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


def _key(extract: str, row: Row) -> Key:
    return tuple(row.get(column) for column in KEYS[extract])


def _deletes(row: Row) -> bool:
    return row.get("verwijderd") == "true"


def _originals(extract: str, rows: Sequence[Row], duplicates: set[int]) -> list[tuple[int, Row]]:
    """The rows but for exact duplicates, whose lines are noted."""
    seen, originals = set(), []
    for line, row in enumerate(rows, start=1):
        counts = KEYS[extract] if _deletes(row) else COLUMNS[extract]
        content = (row.get("verwijderd"), *(row.get(column) for column in counts))
        if content in seen:
            duplicates.add(line)
        else:
            seen.add(content)
            originals.append((line, row))
    return originals


def _own_codes(extract: str, row: Row) -> set[str]:
    """Codes that the row breaks by itself; of a deletion only the key is judged."""
    codes = set()
    judged = {column: row.get(column) for column in (KEYS[extract] if _deletes(row) else COLUMNS[extract])}
    if any(column in judged and judged[column] is None for column in REQUIRED[extract]):
        codes.add("required_missing")
    if BAD_DATE in judged.values() or row.get("verwijderd") not in (None, "true"):
        codes.add("type_invalid")
    if any(judged.get(column) == BAD_NUMBER for column in INSZ_COLUMNS):
        codes.add("insz_invalid")
    if (judged.get("begin"), judged.get("einde")) == REVERSED:
        codes.add("period_reversed")
    return codes
