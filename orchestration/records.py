"""What people did to the warehouse by hand: one line per act, added and never changed.

Here: writing and reading ``KBI_DATA/records.jsonl``. A night leaves its trace in the ledger, the releases and the run
history; what somebody decided (to rebuild, withdraw, accept a drop in volume, roll back, erase) leaves it here. Nothing
here is about a person of the registry. Not here: the acts themselves.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.settings import Settings


@dataclass(frozen=True)
class Record:
    """One act. ``at``: when, UTC, ISO 8601. ``by``: the account that did it. ``details``: names and counts.

    ``act``: rebuild, withdraw, accept_volume, rollback, erase or purge.
    """

    at: str
    by: str
    act: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in self.details.items() if value)
        return f"{self.at} {self.by}: {self.act.replace('_', ' ')}" + (f" ({told})" if told else "")


def now(act: str, **details: Any) -> Record:
    """The record of an act done at this moment by this account.

    Args:
        details: JSON values: ids of deliveries and releases, counts, the reason that was given; never a person's data.
    """
    return Record(datetime.now(UTC).isoformat(timespec="seconds"), _account(), act, details)


def record(settings: Settings, act: str, **details: Any) -> Record:
    """Add one act, done now (arguments as ``now``); it is on disk when this returns."""
    made = now(act, **details)
    add(settings, made)
    return made


def add(settings: Settings, made: Record) -> None:
    """Add a record, unless it is there: an act that was killed is completed, and told once."""
    if made in records(settings):
        return
    line = json.dumps({"at": made.at, "by": made.by, "act": made.act, **made.details}, ensure_ascii=False) + "\n"
    # One write to the end of the file: lines of two processes do not mix.
    with _path(settings).open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                line = "\n" + line  # a power cut took the end of the last line
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def records(settings: Settings) -> list[Record]:
    """Every act, oldest first."""
    try:
        lines = _path(settings).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [made for line in lines if (made := _parsed(line))]


def _parsed(line: str) -> Record | None:
    try:
        told = json.loads(line)
        return Record(told.pop("at"), told.pop("by"), told.pop("act"), told)
    except (ValueError, KeyError, AttributeError):
        return None  # cut off by a power cut


def _path(settings: Settings) -> Path:
    return settings.data / "records.jsonl"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"  # an account without a name, as in a container


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
