"""Releases: the marts, written so that they can be read for years and checked by anyone.

Here: when a release is due, how one is written, and how it takes the place of the one before. A release is a directory
under ``published/`` that is complete or absent, and never changed afterwards; ``published/current`` points at the one
being served. Not here: whether the figures are sound (the checks of the build come first, and only then the caller
publishes), what the marts' files are (``marts.py``), nor how long releases are kept.

Nothing here is about a person: only the tables of schema ``marts`` go out, as tables of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from filelock import FileLock

from orchestration.disk import reading, sync, write_whole
from orchestration.ledger import Entry, Ledger
from orchestration.marts import MARTS, PublicationError, content_sha256, copy_marts, export_marts
from orchestration.records import record
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.sql import quoted

AS_KNOWN = "as-known"
"""Folder, beside the releases, of those of earlier states of knowledge. None of them is served."""
ENGINES = ("duckdb", "dbt-core", "dbt-duckdb", "dagster", "pandera", "polars", "pyarrow")
_CODE = ("orchestration", "schemas", "dbt_project")
_CODE_SUFFIXES = {".py", ".sql", ".yml", ".csv", ".md"}
_NOT_CODE = {"target", "logs", "dbt_packages", "__pycache__"}
_ASIDE = ".partial"

Inputs = tuple[list[dict[str, Any]], str]
"""What a release is made of: deliveries, as its manifest lists them, and the version of the code."""


class UnknownRelease(Exception):
    """No release has this name; the message lists those there are."""


@dataclass(frozen=True)
class Release:
    """One published state. ``directory`` holds ``internal/`` and ``manifest.json``; it never changes."""

    directory: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The parsed ``manifest.json``: its fields are described in docs/publication.md."""
        path = self.directory / "manifest.json"
        remedy = "Restore it from a backup, or remove that release's folder and run `kbi night`."
        with reading(path, remedy):
            return json.loads(path.read_bytes())

    @property
    def release_id(self) -> str:
        """``<known_on>.<number>-<identity>``: sorts by state of knowledge, then by the order of publication."""
        return self.manifest["release_id"]


def current(settings: Settings) -> Release | None:
    """The release being served, or None before the first."""
    link = settings.published / "current"
    return Release(link.resolve()) if (link / "manifest.json").exists() else None


def needs_publication(settings: Settings) -> bool:
    """Whether the deliveries taken, or the code, differ from those of the release being served.

    After a rollback: from those there were at that moment.
    """
    inputs = _inputs(settings)
    served = current(settings)
    if not inputs[0] or (served and _inputs_of(served.manifest) == inputs):
        return False
    return not _is_held(settings, inputs)


def code_version(root: Path = PROJECT_ROOT) -> str:
    """Version of the package and a hash of everything that makes a figure: code, schemas, SQL, seeds, pinned libraries.

    Works without git, and is the same wherever the same files lie.
    """
    project = root / "pyproject.toml"
    digest = hashlib.sha256()
    for path in sorted({project, root / "requirements.lock", *_code_files(root)}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(root).as_posix()}\n".encode())
    return f"{tomllib.loads(project.read_text())['project']['version']}+{digest.hexdigest()[:12]}"


def _code_files(root: Path) -> Iterable[Path]:
    for folder in _CODE:
        for directory, subdirectories, names in os.walk(root / folder):
            subdirectories[:] = [name for name in subdirectories if name not in _NOT_CODE]
            yield from (Path(directory, name) for name in names if Path(name).suffix in _CODE_SUFFIXES)


def publish(settings: Settings) -> Release:
    """Publish the marts of the warehouse as it is now, and serve them. The caller has seen its checks pass.

    Publishing the same deliveries by the same code again gives the same release: a night killed at any point of this
    leaves the previous release served, and the next night completes it. While a rollback holds, nothing is published
    and the release being served is returned.

    Raises:
        PublicationError: the warehouse lacks a mart or holds an empty one, is not of the deliveries in the ledger, or
            what was written does not agree with it.
    """
    inputs = _inputs(settings)
    release = None if _is_held(settings, inputs) else write_release(settings)
    with _serving(settings):
        # Asked again: it may have been rolled back while the release was written.
        if release is None or _is_held(settings, inputs):
            return current(settings)
        _serve(settings, release)
        _marker(settings).unlink(missing_ok=True)
    return release


def write_release(settings: Settings, known_on: date | None = None) -> Release:
    """Write a release of the warehouse as it is now, if there is none yet, and serve nothing.

    ``known_on``: the warehouse is of the deliveries dated up to this day.

    Raises:
        PublicationError: as ``publish``.
    """
    inputs = _inputs(settings, known_on)
    settings.published.mkdir(parents=True, exist_ok=True)
    release = release_of(settings, known_on)
    if release is None:
        aside = settings.published / _ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        release = _write(settings, aside, *inputs)
    return release


def release_of(settings: Settings, known_on: date | None = None) -> Release | None:
    """The release that was made of the deliveries taken by the code as it is now, if there is one."""
    inputs = _inputs(settings, known_on)
    return next((release for release in releases(settings) if _inputs_of(release.manifest) == inputs), None)


def _inputs(settings: Settings, known_on: date | None = None) -> Inputs:
    return _deliveries(Ledger(settings.ledger).taken(known_on)), code_version()


def _deliveries(taken: Iterable[Entry]) -> list[dict[str, Any]]:
    return [
        {"delivery_id": e.delivery_id, "extracted_at": e.order[0].isoformat(), "sha256": e.archived_fingerprint}
        for e in taken
    ]


def _inputs_of(manifest: Mapping[str, Any]) -> Inputs:
    return manifest["deliveries"], manifest["code_version"]


def _identity(inputs: Inputs) -> str:
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def releases(settings: Settings) -> list[Release]:
    """Every release that is whole, in the order of their names."""
    return _releases_in(settings.published)


def _releases_in(directory: Path) -> list[Release]:
    return [
        Release(path.parent) for path in sorted(directory.glob("[!.]*/manifest.json")) if not path.parent.is_symlink()
    ]


def named(settings: Settings, release_id: str, *, as_known: bool = False) -> Release:
    """The release of this name.

    Args:
        as_known: those of earlier states of knowledge count too. One that has the name of a release that was
            published is of the same deliveries and code.

    Raises:
        UnknownRelease: there is none; the message lists those there are.
    """
    found = [*(_releases_in(settings.published / AS_KNOWN) if as_known else ()), *releases(settings)]
    known = {release.release_id: release for release in found}
    if release_id not in known:
        there_are = f"There are: {', '.join(known)}." if known else "Nothing was published yet."
        raise UnknownRelease(f"There is no release {release_id!r}. {there_are}")
    return known[release_id]


def _definitions() -> dict[str, str]:
    """Short hash of every file that says what a number means: schemas, models, macros and seeds."""
    folders = ("schemas", "dbt_project/models", "dbt_project/macros", "dbt_project/seeds")
    return {
        path.relative_to(PROJECT_ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for folder in folders
        for path in sorted((PROJECT_ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".sql", ".csv")
    }


def _changelog(settings: Settings, definitions: Mapping[str, str]) -> list[str]:
    """Files of definitions that differ from those of the release made before this one."""
    before = max(releases(settings), key=lambda release: release.manifest["created_at"], default=None)
    if before is None:
        return []
    told = before.manifest.get("definitions", {})
    return sorted(path for path in told.keys() | definitions.keys() if told.get(path) != definitions.get(path))


def _write(settings: Settings, aside: Path, deliveries: list[dict[str, Any]], code: str) -> Release:
    internal = aside / "internal"
    (internal / "parquet").mkdir(parents=True)
    with duckdb.connect(":memory:", config=_engine(settings)) as connection:
        known_on, synthetic = _open_warehouse(connection, settings, deliveries)
        copy_marts(connection, internal / "kbi_marts.duckdb")
        rows = export_marts(connection, internal / "parquet")
    marts = [
        {"name": mart, "rows": rows[mart], "content_sha256": content_sha256(internal / "parquet" / f"{mart}.parquet")}
        for mart in MARTS
    ]
    definitions = _definitions()
    release_id = _next_release_id(settings, known_on, _identity((deliveries, code)))
    manifest = {
        "release_id": release_id,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "known_on": known_on.isoformat(),
        "synthetic": synthetic,
        "deliveries": deliveries,
        "code_version": code,
        "changed_definitions": _changelog(settings, definitions),
        "definitions": definitions,
        "engines": {"python": platform.python_version(), **{name: version(name) for name in ENGINES}},
        "marts": marts,
    }
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for path in [*aside.rglob("*"), aside]:
        sync(path)
    directory = aside.rename(settings.published / release_id)
    sync(settings.published)
    return Release(directory)


def _engine(settings: Settings) -> dict[str, Any]:
    settings.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {"memory_limit": settings.memory_limit, "temp_directory": str(settings.work / "publication")}


def _open_warehouse(
    connection: duckdb.DuckDBPyConnection, settings: Settings, deliveries: list[dict[str, Any]]
) -> tuple[date, bool]:
    """Attach the warehouse as ``warehouse`` and see that it is of these deliveries and holds every mart."""
    if not settings.warehouse.exists():
        raise PublicationError(f"There is no warehouse at {settings.warehouse} to publish: run `kbi night`.")
    connection.execute(f"attach {quoted(settings.warehouse)} as warehouse (read_only)")
    built_from = connection.execute(
        "select delivery_id from warehouse.registry.deliveries where taken_at is not null"
        " order by extracted_at, delivery_id"
    ).fetchall()
    if [id for (id,) in built_from] != [delivery["delivery_id"] for delivery in deliveries]:
        raise PublicationError(
            f"{settings.warehouse} is not of the deliveries in {settings.ledger}: build it again (`kbi night`)."
        )
    present = {
        name
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'warehouse' and schema_name = 'marts'"
        ).fetchall()
    }
    # The first delivery revises nothing, and where no contract is signed by then no cell of the cube has any.
    may_be_empty = {"mart_revisions"}
    if _is_empty(connection, "facts.fct_trajectory_component_status"):
        may_be_empty.add("mart_outcome_cube")
    for mart in MARTS:
        if mart not in present or (mart not in may_be_empty and _is_empty(connection, f"marts.{mart}")):
            raise PublicationError(f"{settings.warehouse}: marts.{mart} is missing or empty; nothing was published.")
    return connection.execute("select known_on, synthetic from warehouse.registry.knowledge").fetchone()


def _is_empty(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return connection.execute(f"select 1 from warehouse.{table} limit 1").fetchone() is None


def _next_release_id(settings: Settings, known_on: date, identity: str) -> str:
    numbers = [
        int(match[1])
        for path in settings.published.iterdir()
        if (match := re.fullmatch(rf"{known_on}\.(\d+)-[0-9a-f]+", path.name))
    ]
    return f"{known_on}.{max(numbers, default=0) + 1:02d}-{identity[:8]}"


@dataclass(frozen=True)
class Rollback:
    """An earlier release was put back, and holds until the deliveries taken or the code are others than then.

    ``served``, ``instead_of``: release ids; ``instead_of`` is the one a night served. ``at``: when, UTC, ISO 8601.
    ``inputs``: identity of what a night would have published from at that moment.
    """

    served: str
    instead_of: str
    at: str
    reason: str
    inputs: str


def rollback_in_force(settings: Settings) -> Rollback | None:
    """The rollback behind the release being served, or None: the release is there because a night published it."""
    marker, served = _marker(settings), current(settings)
    if served is None or not marker.exists():
        return None
    with reading(
        marker, "Remove it: the next night then publishes, and `kbi rollback` serves an earlier release again."
    ):
        rollback = Rollback(**json.loads(marker.read_bytes()))
    # Written before the link is swapped: of another release it is a rollback that was killed before it happened.
    return rollback if rollback.served == served.release_id else None


def _is_held(settings: Settings, inputs: Inputs) -> bool:
    """Whether publishing from these inputs would only bring back what was rolled back."""
    rollback = rollback_in_force(settings)
    return rollback is not None and rollback.inputs == _identity(inputs)


def roll_back(settings: Settings, release_id: str, reason: str = "") -> Release:
    """Serve an earlier release again, at once, also while a night runs. Only the link ``current`` changes.

    It stays until the deliveries taken, or the code, are others than now: a night without news does not undo it. The
    release that it took the place of can be served again in the same way, which ends the rollback. Where it is
    served already and would stay, nothing changes.

    Raises:
        UnknownRelease: there is no such release.
    """
    # Before the lock, which is a file: where there is nothing to serve, nothing is made.
    release = named(settings, release_id)
    with _serving(settings):
        before, held = current(settings), rollback_in_force(settings)
        inputs = _inputs(settings)
        if (
            before
            and before.release_id == release_id
            and (_inputs_of(release.manifest) == inputs or _is_held(settings, inputs))
        ):
            return release
        # What the nights published last, however many rollbacks ago.
        replaced = held.instead_of if held else before.release_id if before else release_id
        # Before it is done: killed in between, it is recorded without having happened, never the other way round.
        record(settings, "rollback", release=release_id, instead_of=before and before.release_id, reason=reason)
        if _inputs_of(release.manifest) == inputs or (held and release_id == replaced):
            _serve(settings, release)
            _marker(settings).unlink(missing_ok=True)
        else:
            at = datetime.now(UTC).isoformat(timespec="seconds")
            rollback = Rollback(release_id, replaced, at, reason, _identity(inputs))
            text = json.dumps(asdict(rollback), indent=2, ensure_ascii=False) + "\n"
            write_whole(_marker(settings), text.encode())
            _serve(settings, release)
    return release


def _marker(settings: Settings) -> Path:
    return settings.data / "rollback.json"


def _serving(settings: Settings) -> FileLock:
    """Held by who decides which release is served: a night at its end, or a rollback. For moments only."""
    return FileLock(settings.data / "serving.lock")


def _serve(settings: Settings, release: Release) -> None:
    """Point ``current`` at the release in one step: a reader finds the old one or the new one, never neither."""
    aside = settings.published / f"{_ASIDE}-link"
    aside.unlink(missing_ok=True)
    aside.symlink_to(release.directory.name, target_is_directory=True)
    aside.rename(settings.published / "current")
    sync(settings.published)
