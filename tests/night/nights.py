"""Whole nights for tests: a landing zone, a data folder, and the command line run on them.

Here: the folders, running ``kbi`` in this process or as the console script, and looking at what is left. Not here: any
expectation, nor the deliveries (``tests/deliveries.py``).
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import polars as pl
from click.testing import CliRunner

from orchestration.cli import main
from orchestration.settings import Settings

CONSOLE_SCRIPT = Path(sys.executable).with_name("kbi")

Lines = list[tuple[str, str, str]]


@dataclass(frozen=True)
class Ran:
    """What a command left for its caller."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> Lines:
        """Delivery, result, code: the lines of ``kbi night``."""
        return [tuple(line.split("\t")) for line in self.stdout.splitlines()]  # type: ignore[misc]

    @property
    def said(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Folder:
    """A landing zone and a data folder. ``variables``: further ``KBI_*`` settings."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.landing.mkdir(parents=True, exist_ok=True)
        # The compiled dbt project depends on no delivery: one compilation serves every data folder of this process.
        if _compiled().exists() and not (self.data / "dbt").exists():
            shutil.copytree(_compiled(), self.data / "dbt")

    @property
    def landing(self) -> Path:
        return self.directory / "landing"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def settings(self) -> Settings:
        return Settings(landing=self.landing, data=self.data)

    @property
    def environment(self) -> dict[str, str]:
        return {"KBI_LANDING": str(self.landing), "KBI_DATA": str(self.data), **self.variables}

    def kbi(self, *arguments: str, stdin: str | bytes | None = None) -> Ran:
        """Run a command in this process, where everything is imported already."""
        result = CliRunner().invoke(main, arguments, input=stdin, env=self.environment)
        return Ran(result.exit_code, result.stdout, result.stderr)

    def night(self, *arguments: str) -> Ran:
        """Run ``kbi night`` in this process."""
        ran = self.kbi("night", *arguments)
        if ran.exit_code == 0 and not _compiled().exists():
            shutil.copytree(self.data / "dbt", _compiled())
        return ran

    def start(self, *arguments: str | Path, program: Sequence[str | Path] = (CONSOLE_SCRIPT,)) -> subprocess.Popen[str]:
        """Start the console script in a process group of its own, which dies with this process at the latest."""
        process = subprocess.Popen(
            [*program, *arguments],
            env={**os.environ, **self.environment},
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        atexit.register(kill, process)
        return process

    def run(self, *arguments: str) -> Ran:
        """Run the console script to its end."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=500)
        return Ran(process.returncode, stdout, stderr)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the warehouse."""
        with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def release(self) -> dict[str, Any]:
        """The manifest of the release being served."""
        return json.loads((self.settings.published / "current" / "manifest.json").read_bytes())

    def marts(self) -> dict[str, str]:
        """Mart → hash of its rows, of the release being served."""
        return {mart["name"]: mart["content_sha256"] for mart in self.release()["marts"]}

    def published_parquet(self) -> dict[str, bytes]:
        """Bytes of every mart's file, of the release being served."""
        return dict(bytes_under(self.settings.published / "current" / "internal" / "parquet"))

    def releases(self) -> list[str]:
        """Every release that is whole."""
        return sorted(path.parent.name for path in self.settings.published.glob("2*/manifest.json"))

    def status(self) -> dict[str, Any]:
        """What ``kbi status`` says, for machines."""
        return json.loads(self.kbi("status", "--format", "json").stdout)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Entries by delivery, without what the clock and the disk put into them."""
        entries = [json.loads(path.read_bytes()) for path in sorted(self.settings.ledger.glob("*.json"))]
        return {e["delivery_id"]: {k: v for k, v in e.items() if k not in ("taken_at", "signature")} for e in entries}

    def quarantined(self) -> dict[tuple[str, int], set[str]]:
        """Codes of every quarantined row, by extract and line."""
        return {
            (extract, line): set(codes)
            for extract, line, codes in self.rows(
                "select extract, line_number, rule_codes from quality.quarantined_rows"
            )
        }


def kill(process: subprocess.Popen[str]) -> None:
    """End a started command and all it started, at once and without a chance to tidy up."""
    with suppress(ProcessLookupError):
        if process.poll() is None:
            os.killpg(process.pid, 9)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 400) -> bool:
    """Wait for what a running command does; False where it ended before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        if process.poll() is not None:
            return bool(condition())
        time.sleep(0.01)
    raise TimeoutError("what was waited for did not happen")


def bytes_under(directory: Path) -> Mapping[str, bytes]:
    """Every file below a directory, by its path."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def rows_under(directory: Path) -> Mapping[str, list[str]]:
    """The rows of every Parquet file below a directory, by its path; their order says nothing."""
    return {
        str(path.relative_to(directory)): sorted(map(repr, pl.read_parquet(path).rows()))
        for path in directory.rglob("*.parquet")
    }


@cache
def _compiled() -> Path:
    directory = Path(mkdtemp(prefix="kbi-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory / "dbt"
