"""What the tests of dossiers share: a key, and flattening a dossier without files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from orchestration.dossiers.answers import read_dossier
from orchestration.dossiers.blocks import Row, rows_of
from orchestration.pseudonyms import Key

Flat = dict[str, list[Row]]


@pytest.fixture
def key() -> Key:
    return Key(bytes(range(32)))


@pytest.fixture
def flat(key: Key) -> Callable[[bytes], Flat]:
    """Rows per extract of one answer."""

    def flattened(content: bytes) -> Flat:
        rows: Flat = defaultdict(list)
        for extract, row in rows_of(read_dossier(content), key):
            rows[extract].append(row)
        return rows

    return flattened
