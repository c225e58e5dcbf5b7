"""The secret key, and everything that is derived from it: pseudonyms of persons and identifiers of things.

Here: where the key comes from, when it is refused, and the keyed hashes. Not here: which columns hold a person's number
(``schemas/``), what identifies a thing (``dossiers/``). With the key, whoever holds the output can find a person again
by hashing all numbers there are; the key itself is therefore never printed, logged or kept on an attribute.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import tempfile
from pathlib import Path

import polars as pl

from orchestration.manifest import Refusal
from orchestration.settings import Settings, SettingsError

KEY_BYTES = 32
_HEX_KEY = re.compile(rb"[0-9a-fA-F]{64}")
_BLOCK = hashlib.sha256().block_size
_TO_INNER, _TO_OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_HEX_DIGITS = 32
"""Of HMAC-SHA256 the first 128 bits are kept: that any two of a thousand million persons meet is less
likely than one in 10^20."""


class Key:
    """A 256-bit key, as the two hash states that HMAC-SHA256 (RFC 2104) starts from.

    Copying prepared states halves the cost of ``hmac.digest`` per number, and the key bytes need not be kept.

    ``version``: eight hex digits that tell keys apart and nothing else; kept with whatever the key produced.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"A key has {KEY_BYTES} bytes, not {len(secret)}.")
        padded = secret.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_TO_INNER))
        self._outer = hashlib.sha256(padded.translate(_TO_OUTER))
        self.version = self._hash(b"key version")[:8]

    def __repr__(self) -> str:
        return f"Key(version={self.version})"

    def _hash(self, message: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()[:_HEX_DIGITS]

    def pseudonyms(self, numbers: pl.Series) -> pl.Series:
        """One pseudonym (32 lower-case hex digits) per number, in the same order and under the same name; null stays.

        Costs a Python call per number: give distinct ones.
        """
        hashed = [None if number is None else self._hash(number.encode()) for number in numbers.to_list()]
        return pl.Series(numbers.name, hashed, dtype=pl.String)

    def derived_id(self, *parts: str | None) -> str:
        """32 hex digits that stand for these parts in this order, and tell nothing of them without the key.

        As JSON the parts cannot run into each other, and no list of parts looks like a person's number.
        """
        return self._hash(json.dumps(parts).encode())


def load_key(settings: Settings, synthetic: bool) -> Key:
    """The configured key; where none is, for synthetic deliveries, the one of ``data``, created the first time.

    That key never serves a real delivery: nobody chose it, and nobody guards it apart from the data.

    Raises:
        SettingsError: the key file cannot be used, or the key cannot be created.
        Refusal: ``pseudonym_key_missing``, for a real delivery without a configured key.
    """
    if settings.pseudonym_key_file is not None:
        return _read(settings.pseudonym_key_file, "KBI_PSEUDONYM_KEY_FILE")
    if not synthetic:
        raise Refusal(
            "pseudonym_key_missing",
            "a real delivery needs a key of your own. Create one (`umask 077; openssl rand -hex 32 > FILE`), keep a "
            "copy away from the data, and set KBI_PSEUDONYM_KEY_FILE to it.",
        )
    path = settings.data / "pseudonym.key"
    if not path.exists():
        _create(path)
    return _read(path, "The key of KBI_DATA")


def _read(path: Path, origin: str) -> Key:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(1024)
    except OSError as error:
        raise SettingsError(f"{origin}: {path} cannot be read ({error.strerror}).") from None
    if mode & 0o077:
        raise SettingsError(f"{origin}: others can read {path}. Run `chmod 600 {path}`; if they may have, replace it.")
    if _HEX_KEY.fullmatch(content.strip()):
        content = bytes.fromhex(content.strip().decode())
    if len(content) != KEY_BYTES:
        raise SettingsError(
            f"{origin}: {path} does not hold 256 bits, which are {KEY_BYTES} raw bytes or {2 * KEY_BYTES} hex digits. "
            "Restore the key that the warehouse was built with; `openssl rand -hex 32` makes a first one."
        )
    return Key(content)


def _create(path: Path) -> None:
    """Write the key aside and link it into place: the name holds a whole key or nothing, and the first writer wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as aside:  # mode 0600
            aside.write(secrets.token_bytes(KEY_BYTES))
            aside.flush()
            os.fsync(aside.fileno())
            path.hardlink_to(aside.name)
    except FileExistsError:
        if not path.is_file():
            raise SettingsError(f"KBI_DATA: {path} is not a file.") from None
    except OSError as error:
        raise SettingsError(f"KBI_DATA: the key {path} cannot be created ({error.strerror}).") from None
