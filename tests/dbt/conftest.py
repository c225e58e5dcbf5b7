"""One build of the project without a single registry row: the schemas of all models, which both modules here need."""

from datetime import date
from pathlib import Path

import pytest

from tests.warehouse_builds import build_warehouse

KNOWN_ON = date(2020, 1, 1)


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_warehouse(tmp_path_factory.mktemp("empty") / "build", {}, KNOWN_ON)
