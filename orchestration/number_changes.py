"""Following replaced numbers: which number a person has now, and which replacements go in circles.

Here: ``insz_wijzigingen`` as a graph in which every number has at most one successor, and which numbers hang together
in it. Not here: rows, verdicts or files (``validation.py``), nor what a replacement means for the figures (dbt, R1).
"""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def find_clusters(connection: duckdb.DuckDBPyConnection, keys: str, links: str) -> None:
    """Make the table ``clusters``: ``person_key``, and ``cluster``, equal for numbers that links lead between.

    Args:
        keys: query of numbers (one column), clusters of their own at least.
        links: query of links, each number beside another.
    """
    connection.execute(f"""
        create or replace table links as
        with changes(one, other) as ({links})
        select one, other from changes union select other, one from changes
    """)
    connection.execute(f"""
        create or replace table clusters as
        with keys(person_key) as (({keys}) union select one from links)
        select person_key, person_key as cluster from keys
    """)
    while connection.execute("""
        update clusters set cluster = nearest.cluster
        from (
            select links.other as person_key, min(clusters.cluster) as cluster
            from links inner join clusters on links.one = clusters.person_key
            group by links.other
        ) as nearest
        where clusters.person_key = nearest.person_key and nearest.cluster < clusters.cluster
    """).fetchone()[0]:
        pass


class NumberChanges:
    """Replacements that hold together.

    Args:
        changes: columns ``old``, ``new`` (String, no nulls); each ``old`` at most once.
    """

    def __init__(self, changes: pl.DataFrame) -> None:
        numbers = pl.concat([changes["old"], changes["new"]]).unique(maintain_order=True)
        self._nodes = numbers.to_frame("number").with_row_index("at")
        self._old = changes["old"]
        # One place more than there are numbers: position -1, an unknown number, leads nowhere.
        self._next = np.arange(self._nodes.height + 1)
        self._next[self._positions(changes["old"])] = self._positions(changes["new"])
        # Where each number stands after more steps than there are numbers, by doubling: at an end, or in a cycle.
        self._last = self._next
        self._steps = (self._next != np.arange(self._next.size)).astype(np.int64)
        for _ in range(self._nodes.height.bit_length()):
            self._steps = self._steps + self._steps[self._last]
            self._last = self._last[self._last]

    def current(self) -> pl.DataFrame:
        """The end of every chain: columns ``number``, ``current``, ``steps`` (how many replacements lead there).

        One row per replaced number. Needs no cycles.
        """
        at = self._positions(self._old)
        ends = self._nodes["number"].gather(self._last[at])
        return pl.DataFrame({"number": self._old, "current": ends, "steps": self._steps[at]})

    def leads_back(self, rows: pl.DataFrame) -> pl.Series:
        """Whether following ``new`` from each row leads to its ``old``; true where both are the same number.

        Args:
            rows: columns ``old``, ``new`` (String, nulls lead nowhere); they need not be among the changes.
        """
        old, new = self._positions(rows["old"]), self._positions(rows["new"])
        back = (rows["old"] == rows["new"]).fill_null(False).to_numpy().copy()
        known = (old >= 0) & (new >= 0)
        # A row that is itself a change is in a cycle or not; in a cycle means that something ends up on it.
        in_cycle = np.zeros(self._next.size, dtype=bool)
        in_cycle[np.unique(self._last)] = True
        is_change = known & (self._next[old] == new)
        back |= is_change & in_cycle[old]
        # The others (few: broken rows) are followed step by step, at most once round.
        walking = np.flatnonzero(known & ~is_change & ~back)
        at = new[walking]
        for _ in range(self._nodes.height):
            arrived = at == old[walking]
            back[walking[arrived]] = True
            moving = ~arrived & (self._next[at] != at)
            walking, at = walking[moving], self._next[at[moving]]
            if not walking.size:
                break
        return pl.Series("leads_back", back)

    def _positions(self, numbers: pl.Series) -> Positions:
        """Positions of numbers, -1 where unknown."""
        found = numbers.to_frame("number").join(self._nodes, on="number", how="left", maintain_order="left")
        return found["at"].cast(pl.Int64).fill_null(-1).to_numpy()
