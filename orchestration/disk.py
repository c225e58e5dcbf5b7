"""Files of ``KBI_DATA`` as the disk keeps them: replaced whole, and told of for people where one cannot be read.

Here: what any module does with a file that must be whole, and what is said when the operating system fails. Not here:
what any such file holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestration.settings import Settings, SettingsError

_TAIL = b"PAR1"


def sync(path: Path) -> None:
    """Bring a file or a folder to disk, before anything that relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, mode: int = 0o644, is_shared: bool = False) -> None:
    """Replace a file, whole or not at all; it is on disk under its name when this returns.

    Args:
        is_shared: two processes may write it at once.
    """
    aside = path.with_suffix(f".{os.getpid()}.partial" if is_shared else ".partial")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def ends_as_parquet(path: Path) -> bool:
    """Whether a file is there and was not cut off: a look at its last bytes, for a night looks at thousands."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_TAIL), os.SEEK_END)
            return file.read() == _TAIL
    except PermissionError:
        raise
    except OSError:
        return False


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Read a file that this program wrote: only a damaged disk or a hand can have made it unreadable.

    Args:
        remedy: what to do then, as a sentence.

    Raises:
        SettingsError: it does not hold what it should. The text of what is wrong with it is left out: it may quote it.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"KBI_DATA: {path} is damaged and cannot be read. {remedy}") from None


def told(error: OSError, settings: Settings) -> str:
    """What the operating system refused, and in which delivery or part of ``KBI_DATA``.

    Never a file's own name: dossiers are named after the persons they are about.
    """
    reason = error.strerror or type(error).__name__
    if not isinstance(error.filename, str | bytes | os.PathLike):
        return reason
    path = Path(os.fsdecode(error.filename))
    for folder, depth in ((settings.data, 2), (settings.landing, 1)):
        if path.is_relative_to(folder):
            return f"{reason}: {folder.joinpath(*path.relative_to(folder).parts[:depth])}"
    return reason
