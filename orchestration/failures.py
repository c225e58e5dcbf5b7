"""How the work of a step fails in a run: in words for people, retried where that can help, and quoting nobody's data.

Here: which exceptions end a step at once, which are tried again, and where the full text of an unforeseen one goes.
Run history is read by more people than the restricted zones, and an exception may quote a row. Not here: the messages
of foreseen failures (the modules that raise them).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.dbt_runner import DbtFailed
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
    PermissionError,
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
        where = _keep(error, settings)
        place = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}. The full error is kept in "
            f"{where}: it may quote rows, so treat it as one."
        )
        if _ran_out_of_memory(error):
            message = f"Memory ran out: give DuckDB more of it (KBI_MEMORY_LIMIT). {message}"
            raise dg.Failure(message, allow_retries=False) from None
        # Without a number it is no error of the system, but of a library that reads for us.
        if isinstance(error, OSError) and error.errno:
            message = f"{error.strerror or type(error).__name__}: {error.filename or 'input or output'}. {message}"
            raise dg.RetryRequested(RETRIES, SECONDS_BETWEEN) from dg.Failure(message)
        raise dg.Failure(message, allow_retries=False) from None


def _ran_out_of_memory(error: BaseException) -> bool:
    # pyarrow hands on DuckDB's errors as OSError; a reader whose query ran out of memory is told of an interrupt.
    return isinstance(error, MemoryError | duckdb.OutOfMemoryException) or (
        isinstance(error, OSError) and not error.errno and ("Out of Memory" in str(error) or "INTERRUPT" in str(error))
    )


def _keep(error: BaseException, settings: Settings) -> Path:
    settings.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.work / f"error-{datetime.now(BRUSSELS):%Y%m%dT%H%M%S}.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    path.chmod(0o600)
    return path
