"""Damage: which rows of a delivery break the rules of the delivery contract, on purpose.

Here: the choice of rows and of the rule each breaks. Not here: how a rule is broken (``damages.py``), nor how that is
found out (``schemas/``).

Most damage is an accident of one delivery, and the next brings the row whole. Some lasts: those rows come damaged
against the same rule in every delivery until somebody repairs the registry.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from orchestration.simulation import parameters as p
from orchestration.simulation.damages import damages_of
from orchestration.simulation.draws import Codes, Draws
from orchestration.simulation.table import ROW, RegistryTable

_INTACT = -1


def damage(
    shown: pl.DataFrame, table: RegistryTable, rate: float, seed: int, batch: int, delivery: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that stay as they are, and those that take the place of the others: damaged, all columns as text.

    ``shown``: what the table shows on the day of the delivery, with ``ROW``. ``rate``: share of rows damaged (0-1).
    """
    extract = table.extract
    damages = damages_of(extract)
    rate *= p.DAMAGE_OF_PARENTS.get(extract.name, 1.0)
    lasting = _broken_rules(
        Draws(seed, batch, f"lasting damage of {extract.name}"), rate * p.LASTING_DAMAGE, len(damages), table.height
    )[shown[ROW].to_numpy()]
    draws = Draws(seed, batch, f"damage of {extract.name} in delivery {delivery}")
    least = len(damages) if shown.height >= p.DAMAGE_OF_EVERY_KIND_FROM * len(damages) else 0
    passing = _broken_rules(draws, rate * (1 - p.LASTING_DAMAGE), len(damages), shown.height, least)
    rules = np.where(lasting == _INTACT, passing, lasting)

    as_text = shown.select(pl.col(extract.names).cast(pl.String))
    parts = [breaks(as_text.filter(rules == rank), extract, draws) for rank, breaks in enumerate(damages.values())]
    return shown.filter(rules == _INTACT), pl.concat(parts)


def _broken_rules(draws: Draws, rate: float, n_rules: int, n: int, least: int = 0) -> Codes:
    """The position of the rule that each of ``n`` rows breaks, or ``_INTACT``.

    A share ``rate`` of the rows is broken, and at least ``least`` of them; the rules take equal shares.
    """
    rules = np.full(n, _INTACT, dtype=np.int16)
    place = draws.uniform(n)
    chosen = np.flatnonzero(place < rate)
    if len(chosen) < least:
        chosen = np.sort(np.argpartition(place, least)[:least])
    rules[chosen] = (draws.order(len(chosen)) + draws.whole(0, n_rules - 1, 1)) % n_rules
    return rules
