"""dbt, run in this process: the project as parsed and compiled, and builds of it.

Here: everything that imports dbt, so that nothing else pays for it. Not here: what Dagster makes of the project
(``dbt_assets.py``), the file that is built (``warehouse.py``), column lineage (``column_lineage.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestration.disk import write_whole
from orchestration.settings import DBT_PROJECT, Settings
from orchestration.warehouse import dbt_environment

if TYPE_CHECKING:
    from orchestration.column_lineage import Lineage

_RULED_BY = ("dbt-core", "dbt-duckdb", "sqlglot")


class DbtFailed(Exception):
    """dbt could not start its work: the project does not parse, or the warehouse cannot be opened."""


@dataclass(frozen=True)
class Project:
    """The dbt project, compiled: it depends on no delivery.

    ``directory`` holds ``manifest.json``, in which every model has its compiled SQL; ``manifest`` is its content;
    ``lineage`` gives per model and column the columns it is made from.
    """

    directory: Path
    manifest: Mapping[str, Any]
    lineage: Lineage


@dataclass(frozen=True)
class NodeResult:
    """What became of one node of a build.

    ``status``: success, pass, warn, fail, error or skipped. ``failures``: rows that a test found, None where it gave no
    count. ``seconds``: wall time.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    failures: int | None
    seconds: float
    message: str | None

    @property
    def is_broken(self) -> bool:
        """Whether the warehouse may not be used because of it."""
        return self.status in ("fail", "error")

    def __str__(self) -> str:
        if self.resource_type == "test" and self.status == "fail":
            return f"{self.name}: {self.failures:,} violations"
        if "Out of Memory" in (self.message or ""):
            # What DuckDB goes on to advise are settings that nobody has at hand here.
            return f"{self.name}: memory ran out. Give DuckDB more of it (KBI_MEMORY_LIMIT)."
        return f"{self.name}: {self.message}"


def compiled_project(settings: Settings) -> Project:
    """The project as compiled in ``KBI_DATA/dbt``; compiled first where its files or dbt changed since.

    Raises:
        DbtFailed: the project does not compile.
    """
    directory = settings.data / "dbt" / "project"
    digest = _project_digest()
    found = _read(directory, digest)
    if found is None:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.with_suffix(".lock")):
            found = _read(directory, digest)
            if found is None:
                # Gone first and put there last: without it what lies there is not read.
                (directory / "digest").unlink(missing_ok=True)
                _compile(settings, directory)
                write_whole(directory / "digest", digest.encode())
                found = _read(directory, digest)
    return found


def _read(directory: Path, digest: str) -> Project | None:
    """What was compiled of the project with this digest; None where that is not there, or not whole."""
    try:
        return _loaded(directory, digest) if (directory / "digest").read_text() == digest else None
    except (FileNotFoundError, ValueError):
        return None


@lru_cache(maxsize=1)
def _loaded(directory: Path, _digest: str) -> Project:
    manifest, lineage = (json.loads((directory / name).read_bytes()) for name in ("manifest.json", "lineage.json"))
    return Project(directory, manifest, lineage)


def _project_digest() -> str:
    digest = hashlib.sha256(" ".join(map(version, _RULED_BY)).encode())
    for path in sorted(path for path in DBT_PROJECT.rglob("*") if path.suffix in (".sql", ".yml", ".csv", ".md")):
        digest.update(f"{path.relative_to(DBT_PROJECT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _compile(settings: Settings, directory: Path) -> None:
    # The parser of SQL is imported where a project is compiled: no other night needs it.
    from orchestration.column_lineage import column_lineage

    # Without introspection nothing is asked of a warehouse, so there need not be one yet.
    _invoke(settings, ["compile", "--no-introspect", "--no-populate-cache"])
    manifest = (settings.dbt_target / "manifest.json").read_bytes()
    lineage = column_lineage(json.loads(manifest), DBT_PROJECT)
    write_whole(directory / "manifest.json", manifest)
    write_whole(directory / "lineage.json", json.dumps(lineage).encode())


def build(
    settings: Settings, select: Sequence[str] | None = None, report: Callable[[str], None] = lambda message: None
) -> list[NodeResult]:
    """Build the models, seeds and tests into the build file; unit tests are for the test suite.

    Args:
        select: fully qualified names of exactly the nodes to build; None = all.
        report: is told of every model as it is done.

    Raises:
        DbtFailed: nothing could be built. A model or test that failed is a ``NodeResult``.
    """
    selection = [] if select is None else ["--select", *select, "--indirect-selection", "empty"]

    def tell(event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogSeedResult"):
            node = event.data.node_info
            report(f"{node.node_relation.schema}.{node.node_name}: {event.data.status.lower()}")

    arguments = ["build", "--exclude-resource-type", "unit_test", "--no-write-json", *selection]
    return [
        NodeResult(
            result.node.unique_id,
            result.node.name,
            str(result.node.resource_type),
            str(result.status),
            result.failures,
            result.execution_time,
            result.message,
        )
        for result in _invoke(settings, arguments, tell).results
    ]


def _invoke(settings: Settings, arguments: list[str], callback: Callable[[Any], None] = lambda event: None) -> Any:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folders = {
        "--project-dir": DBT_PROJECT,
        "--profiles-dir": DBT_PROJECT,
        "--target-path": settings.dbt_target,
        "--log-path": settings.data / "dbt" / "logs",
    }
    quiet = ["--log-level", "none", "--log-level-file", "none"]
    with _environment(dbt_environment(settings)), _interrupts_as_dbt_knows_them():
        outcome = dbtRunner(callbacks=[callback]).invoke(
            [*arguments, *quiet, *(str(part) for pair in folders.items() for part in pair)]
        )
        # dbt keeps its connection for the process, and nobody else could open the file with other settings.
        DuckDBConnectionManager.close_all_connections()
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception
    if outcome.exception:
        raise DbtFailed(f"dbt {arguments[0]}: {outcome.exception}")
    return outcome.result


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_as_dbt_knows_them() -> Iterator[None]:
    """Signals to end raise KeyboardInterrupt: for that alone dbt cancels its queries and waits for its threads.

    Dagster has them raise an exception of its own, after which the process died in the middle of the queries.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
