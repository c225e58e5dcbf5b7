"""Values in the SQL that Python writes: the one place where they are quoted.

Here: texts and lists of files as DuckDB reads them, where it takes no parameter (a view, an attached file). Not here:
any query.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def quoted(value: object) -> str:
    """A text or a path as a literal."""
    return "'" + str(value).replace("'", "''") + "'"


def quoted_list(paths: Iterable[Path]) -> str:
    """Those of the files that are there as a list; empty text where none is."""
    files = [quoted(path) for path in paths if path.exists()]
    return f"[{', '.join(files)}]" if files else ""
