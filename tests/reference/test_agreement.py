"""The dbt project agrees with the reference: by contract and day on packed registries, to the row in every mart."""

from __future__ import annotations

from datetime import date
from itertools import count

import pytest

from tests.reference.comparison import Expectation, differences
from tests.reference.registries import packed, random_registry
from tests.reference.shrinking import diagnosis
from tests.warehouse_builds import build_warehouse

_SHOWN = 10

# (date of the last delivery, first seed, number of registries). Of many registries in one build each contract is
# compared by itself; of few the marts are small enough for ties, zeros and empty strata.
_PACKS = [(date(2024, 2, 29), 0, 300), (date(2018, 2, 28), 1_000, 300)]
_MORE_PACKS = [
    (date(2016, 3, 20), 2_000, 400),
    (date(2016, 9, 8), 3_000, 400),
    (date(2022, 3, 31), 4_000, 400),
    (date(2023, 9, 2), 6_000, 400),
    (date(2026, 11, 20), 7_000, 400),
]
_WHOLE = [
    (date(2015, 6, 30), 10_000, 6),
    (date(2016, 2, 29), 10_100, 12),
    (date(2016, 10, 15), 10_200, 0),
    (date(2017, 1, 31), 10_300, 12),
]
_MORE_WHOLE = [
    *((date(2016, 2, 28), 11_000, 12), (date(2016, 3, 1), 11_100, 12), (date(2016, 9, 7), 11_200, 12)),
    *((date(2016, 9, 8), 11_300, 3), (date(2016, 12, 31), 11_400, 25), (date(2018, 2, 28), 11_500, 12)),
    *((date(2018, 9, 8), 11_600, 12), (date(2020, 2, 29), 11_700, 5), (date(2020, 12, 31), 11_800, 12)),
    *((date(2022, 3, 1), 11_900, 12), (date(2022, 12, 31), 12_000, 25), (date(2023, 3, 1), 12_100, 12)),
    *((date(2023, 9, 1), 12_200, 3), (date(2024, 2, 29), 12_300, 12), (date(2024, 3, 10), 12_400, 1)),
    *((date(2025, 1, 1), 12_500, 12), (date(2026, 11, 20), 12_600, 40)),
]


def _slow(builds):
    return [pytest.param(*build, marks=pytest.mark.slow) for build in builds]


@pytest.mark.parametrize(("known_on", "first", "number"), [*_PACKS, *_WHOLE, *_slow(_MORE_PACKS), *_slow(_MORE_WHOLE)])
def test_the_project_agrees_with_the_reference(tmp_path, known_on, first, number):
    number_of_builds = count()

    def build(tables):
        return build_warehouse(tmp_path / str(next(number_of_builds)), tables, known_on)

    tables = packed(random_registry(seed, known_on) for seed in range(first, first + number))
    found = list(differences(build(tables), Expectation(tables, known_on)))
    if found:
        shown = "\n".join(found[:_SHOWN])
        pytest.fail(f"{len(found)} differences:\n{shown}\n{diagnosis(found, known_on, build)}", pytrace=False)
