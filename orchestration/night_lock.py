"""One night at a time, whoever starts it.

Here: the lock that every run of the job holds from its first to its last step, and that the command line takes before
it starts one. Not here: queueing of runs started from the UI (``dagster_home.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from orchestration.exchange import complete
from orchestration.settings import Settings, cannot_write


class Busy(Exception):
    """Another night holds the lock."""


@contextmanager
def night_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock, without waiting for it. A process that holds it may take it again; a killed process loses it.

    An exchange of zones that a killed process left is completed first: nothing else is done on half of one.

    Raises:
        Busy: another process holds it.
        SettingsError: there is no writing in ``KBI_DATA``.
    """
    lock = FileLock(settings.lock_file, timeout=0, is_singleton=True, thread_local=False)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise Busy(
            f"Another night is running: it holds {settings.lock_file}. Wait until it has ended; nothing was done."
        ) from None
    except OSError as error:
        raise cannot_write(settings.data, error) from None
    try:
        complete(settings)
        yield
    finally:
        lock.release()
