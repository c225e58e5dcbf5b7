"""How the work of a step fails in a run: in words for people, retried where that can help, and quoting nobody's data.

Here: which exceptions end a step at once, which are tried again, and where the full text of an unforeseen one goes.
Run history is read by more people than the restricted zones, and an exception may quote a row. Not here: the messages
of foreseen failures (the modules that raise them).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.dbt_runner import DbtFailed
from orchestration.disk import told
from orchestration.manifest import BRUSSELS, Refusal
from orchestration.marts import PublicationError
from orchestration.retaking import NotTaken, RetakingFailed
from orchestration.settings import Settings, SettingsError
from orchestration.warehouse import NothingTaken

RETRIES = 2
SECONDS_BETWEEN = 10

_FORESEEN = (
    DbtFailed,
    NotTaken,
    NothingTaken,
    PublicationError,
    Refusal,
    RetakingFailed,
    SettingsError,
)


@contextmanager
def told_to_people(settings: Settings) -> Iterator[None]:
    """Translate what the work inside raises.

    Raises:
        dagster.Failure: of a foreseen failure with its own message; of any other with its type and place only.
        dagster.RetryRequested: the operating system or the network failed; the steps converge, so they may begin again.
    """
    try:
        yield
    except (dg.Failure, dg.RetryRequested):
        raise
    except _FORESEEN as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold personal data
        message = f"{type(error).__name__} in {_place_of(error)}. {_kept(error, settings)}"
        if isinstance(error, PermissionError):
            message = f"{told(error, settings)}. Let the account of the warehouse read and write there. {message}"
            raise dg.Failure(message, allow_retries=False) from None
        if _ran_out_of_memory(error):
            message = f"Memory ran out: give DuckDB more of it (KBI_MEMORY_LIMIT). {message}"
            raise dg.Failure(message, allow_retries=False) from None
        # Without a number it is no error of the system, but of a library that reads for us.
        if isinstance(error, OSError) and error.errno:
            message = f"{told(error, settings)}. {message}"
            raise dg.RetryRequested(RETRIES, SECONDS_BETWEEN) from dg.Failure(message)
        raise dg.Failure(message, allow_retries=False) from None


def _ran_out_of_memory(error: BaseException) -> bool:
    # pyarrow hands on DuckDB's errors as OSError; a reader whose query ran out of memory is told of an interrupt.
    return isinstance(error, MemoryError | duckdb.OutOfMemoryException) or (
        isinstance(error, OSError) and not error.errno and ("Out of Memory" in str(error) or "INTERRUPT" in str(error))
    )


def _place_of(error: BaseException) -> str:
    """The last line of this project on the way to it: that of a library tells nobody what was going on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path(__file__).parent)]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else "no code of ours"


def _kept(error: BaseException, settings: Settings) -> str:
    """Keep the full text where few may read it; say where. Where the disk is full it cannot be kept."""
    path = settings.work / f"error-{datetime.now(BRUSSELS):%Y%m%dT%H%M%S.%f}.txt"
    try:
        settings.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError as another:
        return f"The full error could not be kept ({another.strerror})."
    return f"The full error is kept in {path}: it may quote rows, so treat it as one."
