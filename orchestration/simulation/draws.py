"""Random draws that give the same bytes on every machine, and the coding of days.

Here: one seeded stream per topic, so that a change to one part of the simulation leaves the draws of the others
alone; draws from tables of quantiles (no logarithm or exponential, whose last bit differs between processors).
Not here: any figure about the registry (``parameters.py``).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Days = NDArray[np.int32]
Codes = NDArray[np.int16]
Mask = NDArray[np.bool_]

NEVER = 2**30
"""A day that does not come: greater than every date, so that comparisons need no special case."""

_EPOCH = date(1970, 1, 1).toordinal()


def day(value: date) -> int:
    """Days since 1970-01-01, the unit of all arithmetic here and of Arrow's date32."""
    return value.toordinal() - _EPOCH


def calendar_date(number: int) -> date:
    """The inverse of ``day``."""
    return date.fromordinal(int(number) + _EPOCH)


def year_of(days: Days) -> NDArray[np.int32]:
    """Calendar year of each day."""
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int32) + 1970


def by_year(values: dict[int, float], days: Days) -> NDArray[np.float64]:
    """The value of each day's year; a year that is not given takes the one before it, or the first."""
    first, last = min(values), max(values)
    table = [values[first]]
    for year in range(first + 1, last + 1):
        table.append(values.get(year, table[-1]))
    return np.array(table)[np.clip(year_of(days), first, last) - first]


class Draws:
    """The stream of one topic in one batch of the registry."""

    def __init__(self, seed: int, batch: int, topic: str) -> None:
        entropy = np.random.SeedSequence([seed, batch, zlib.crc32(topic.encode())])
        self._generator = np.random.Generator(np.random.PCG64(entropy))

    def uniform(self, n: int) -> NDArray[np.float64]:
        """Uniform on [0, 1)."""
        return self._generator.random(n)

    def chance(self, probability: ArrayLike, n: int) -> Mask:
        """True with the given probability (one for all, or one each)."""
        return self._generator.random(n) < probability

    def whole(self, low: int, high: int, n: int) -> Days:
        """Whole numbers from ``low`` to ``high``, both included."""
        return self._generator.integers(low, high + 1, n, dtype=np.int32)

    def spread(self, quantiles: Sequence[int], n: int) -> Days:
        """Whole numbers whose evenly spaced quantiles (minimum first, maximum last) are given."""
        points = np.asarray(quantiles, dtype=np.float64)
        place = self._generator.random(n) * (len(points) - 1)
        lower = place.astype(np.int32)
        return (points[lower] + (points[lower + 1] - points[lower]) * (place - lower)).astype(np.int32)

    def spread_by(self, tables: Sequence[Sequence[int]], group: NDArray[Any]) -> Days:
        """As ``spread``, each element from the table of its group. The tables have one length."""
        points = np.asarray(tables, dtype=np.float64)
        place = self._generator.random(len(group)) * (points.shape[1] - 1)
        lower = place.astype(np.int32)
        low, high = points[group, lower], points[group, lower + 1]
        return (low + (high - low) * (place - lower)).astype(np.int32)

    def pick(self, weights: Sequence[float], n: int) -> Codes:
        """Positions in ``weights``, drawn in proportion to them."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        place = np.searchsorted(edges / edges[-1], self._generator.random(n), side="right")
        return np.minimum(place, len(edges) - 1).astype(np.int16)

    def order(self, n: int) -> NDArray[np.int64]:
        """A permutation of 0 … n-1."""
        return self._generator.permutation(n)


def shift_out_of(days: Days, first: Days, last: Days) -> Days:
    """Days that fall within [first, last] move to a week after it."""
    return np.where((days >= first) & (days <= last), last + 7, days).astype(np.int32)
