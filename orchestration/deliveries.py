"""The landing zone as a place: which deliveries lie there, and how anything in one is opened.

Here: the only way in. Others write to the landing zone, so nothing in it is opened but regular files, by descriptors
that follow no link at any step. Not here: what a delivery says (``manifest.py``) or holds (``landing.py``).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from orchestration.settings import SettingsError

MANIFEST = "manifest.json"
"""Written last, so a directory that holds one is complete."""


class IrregularFileError(OSError):
    """A link lies there or on the way, or something that is neither a file nor a directory where one is needed."""


def delivery_directories(landing: Path) -> list[Path]:
    """The directories directly under ``landing`` that hold a manifest, by name. Anything else is left alone.

    Links are listed too, so that somebody hears of them: reading their manifest refuses them.

    Raises:
        SettingsError: the landing zone is not there or cannot be listed.
    """
    try:
        return sorted(path for path in landing.iterdir() if path.is_dir() and os.path.lexists(path / MANIFEST))
    except OSError as error:
        raise SettingsError(
            f"KBI_LANDING: {landing} cannot be listed ({error.strerror}). Create the folder, or point KBI_LANDING to "
            "where deliveries appear."
        ) from None


def open_file(directory: Path, path: str) -> BinaryIO:
    """A regular file of a delivery, by its path within the delivery's directory.

    Raises:
        FileNotFoundError: nothing lies there.
        IrregularFileError: something else does, or a link, there or on the way.
        PermissionError: it may not be read.
    """
    descriptor = _open(directory, path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IrregularFileError(errno.EINVAL, "not a file", path)
    return os.fdopen(descriptor, "rb")


def list_folder(directory: Path, path: str) -> list[str] | None:
    """The names in a folder of a delivery, sorted, or None if something else lies there.

    Raises:
        FileNotFoundError, IrregularFileError, PermissionError: as ``open_file``.
    """
    descriptor = _open(directory, path)
    try:
        return sorted(os.listdir(descriptor)) if stat.S_ISDIR(os.fstat(descriptor).st_mode) else None  # noqa: PTH208
    finally:
        os.close(descriptor)


def _open(directory: Path, path: str) -> int:
    """A descriptor of ``path``, reached step by step, so that a link swapped in after a check gains nothing."""
    # Non-blocking, because opening a pipe would wait for its writer; on files it changes nothing.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    *folders, name = PurePosixPath(path).parts
    try:
        descriptor = os.open(directory, flags | os.O_DIRECTORY)
        for step, kind in [*((folder, os.O_DIRECTORY) for folder in folders), (name, 0)]:
            try:
                inner = os.open(step, flags | kind, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise IrregularFileError(error.errno, "a link, or not a file", path) from None
        if error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError(error.errno, "no such file", path) from None
        raise
    return descriptor
