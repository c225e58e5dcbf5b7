"""Makes a registry on which warehouse and reference disagree as small as it gets, for whoever has to find out why.

Here: leaving out rows for as long as a disagreement stays. A build costs seconds whatever is in it, so that every way
to leave rows out is tried in the same build, each as a registry of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tests.reference.comparison import Expectation, differences
from tests.reference.registries import PREFIX_LENGTH, Rows, packed, prefix, random_registry
from tests.reference.rules import Tables

Build = Callable[[Tables], Path]


def shrunk(registry: Rows, known_on: date, build: Build) -> Rows:
    """The smallest registry found by leaving out rows on which ``build``'s warehouse differs from the reference."""
    while True:
        smaller = [_renamed(candidate, number) for number, candidate in enumerate(_smaller(registry))]
        tables = packed(smaller)
        disagreeing = seeds(differences(build(tables), Expectation(tables, known_on)))
        if not disagreeing:
            return registry
        registry = min((smaller[number] for number in disagreeing), key=_size)


def seeds(found: Iterable[str]) -> set[int]:
    """The registries that differences name. Those of a mart name none: it tells of all registries at once."""
    named = (re.search(rf"\b\d{{{PREFIX_LENGTH}}}", line) for line in found if not line.startswith("mart_"))
    return {int(match[0]) for match in named if match}


def diagnosis(found: Iterable[str], known_on: date, build: Build) -> str:
    """The rows of the first registry that differences name, shrunk, for the message of a failing test."""
    disagreeing = seeds(found)
    if not disagreeing:
        return "No difference names a registry."
    seed = min(disagreeing)
    return f"Registry {seed}, shrunk:\n{shown(shrunk(random_registry(seed, known_on), known_on, build))}"


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
        return f"{prefix(number)}{value[PREFIX_LENGTH:]}" if is_identifier else value

    return {
        extract: [{column: renamed(column, value) for column, value in row.items()} for row in rows]
        for extract, rows in registry.items()
    }
