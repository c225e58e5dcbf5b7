"""Makes a registry on which warehouse and reference disagree as small as it gets, for whoever has to find out why.

Here: leaving out rows for as long as a disagreement stays. A build costs seconds whatever is in it, so that every way
to leave rows out is tried in the same build, each as a registry of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tests.reference.comparison import Expectation, differences
from tests.reference.registries import Rows, packed
from tests.reference.rules import Tables

_PREFIX = 6
Build = Callable[[Tables], Path]


def shrunk(registry: Rows, known_on: date, build: Build) -> Rows:
    """The smallest registry found by leaving out rows on which ``build``'s warehouse differs from the reference.

    Only differences that name a contract are followed, for a mart tells of all registries at once.
    """
    while True:
        smaller = [_renamed(candidate, number) for number, candidate in enumerate(_smaller(registry))]
        tables = packed(smaller)
        found = "\n".join(line for line in differences(build(tables), Expectation(tables, known_on)) if "mart_" not in line)
        failing = [candidate for number, candidate in enumerate(smaller) if f"{number:0{_PREFIX}d}" in found]
        if not failing:
            return registry
        registry = min(failing, key=_size)


def shown(registry: Rows) -> str:
    """The rows, one a line, without what is empty."""
    return "\n".join(
        f"{extract}: " + ", ".join(f"{column} {value}" for column, value in row.items() if value is not None)
        for extract, rows in registry.items()
        for row in rows
    )


def _size(registry: Rows) -> int:
    return sum(map(len, registry.values()))


def _smaller(registry: Rows) -> Iterator[Rows]:
    """The registry without each run of 1, 2, 4, … rows."""
    places = [(extract, number) for extract, rows in registry.items() for number in range(len(rows))]
    length = 1
    while length <= len(places):
        for start in range(0, len(places), length):
            without = set(places[start : start + length])
            yield {
                extract: [row for number, row in enumerate(rows) if (extract, number) not in without]
                for extract, rows in registry.items()
            }
        length *= 2


def _renamed(registry: Rows, number: int) -> Rows:
    """The same registry as if it had been drawn from another seed."""
    identifiers = ("person_key", "_id", "kbi_nummer")

    def renamed(column: str, value: Any) -> Any:
        is_identifier = isinstance(value, str) and column.endswith(identifiers)
        return f"{number:0{_PREFIX}d}{value[_PREFIX:]}" if is_identifier else value

    return {
        extract: [{column: renamed(column, value) for column, value in row.items()} for row in rows]
        for extract, rows in registry.items()
    }
