"""Archived dossiers as files: what is in a folder or a zip of them, and the same with some of them gone or changed.

Here: bytes by name. Not here: what a dossier says (``answers.py``), and which of them go (``redacting.py``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path


def contents(path: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """These dossiers of a folder or a zip, in the order of the names."""
    if path.is_dir():
        yield from ((name, (path / name).read_bytes()) for name in names)
    else:
        with zipfile.ZipFile(path) as packed:
            yield from ((name, packed.read(name)) for name in names)


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None], names: Collection[str]) -> None:
    """Put other bytes in the place of these dossiers.

    Args:
        path: the folder or the zip, which keeps what else is in it.
        change: the bytes that a dossier (name, content) has from now on; None: it goes.
    """
    if path.is_dir():
        for name in names:
            content = change(name, (path / name).read_bytes())
            if content is None:
                (path / name).unlink()
            else:
                _replace(path / name, content)
        return
    aside = path.with_suffix(".left")
    with zipfile.ZipFile(path) as packed, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as repacked:
        for member in packed.infolist():
            content = packed.read(member)
            if member.filename in names:
                content = change(member.filename, content)
            if content is not None:
                repacked.writestr(member, content, zipfile.ZIP_DEFLATED)
    aside.chmod(0o400)
    aside.replace(path)


def _replace(path: Path, content: bytes) -> None:
    aside = path.with_name(f"{path.name}.new")
    aside.write_bytes(content)
    aside.chmod(0o400)
    aside.replace(path)
