"""The key is guarded, pseudonyms are HMAC-SHA256, and neither tells the other."""

from __future__ import annotations

import hashlib
import hmac
import pickle
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.manifest import Refusal
from orchestration.pseudonyms import Key, load_key
from orchestration.settings import Settings, SettingsError
from tests.deliveries import insz

SECRET = bytes(range(32))


def settings(data: Path, key_file: Path | None = None) -> Settings:
    return Settings(data=data, pseudonym_key_file=key_file)


def write_key(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def pseudonym(key: Key, number: str) -> str:
    return key.pseudonyms(pl.Series([number])).item()


@given(secret=st.binary(min_size=32, max_size=32), number=st.text(alphabet="0123456789", max_size=80))
def test_a_pseudonym_is_the_first_128_bits_of_hmac_sha256(secret, number):
    assert pseudonym(Key(secret), number) == hmac.digest(secret, number.encode(), "sha256").hex()[:32]


def test_pseudonyms_keep_order_name_and_nulls():
    hashed = Key(SECRET).pseudonyms(pl.Series("insz", [insz(2), None, insz(1), insz(2)]))
    assert (hashed.name, hashed.dtype, hashed.is_null().to_list()) == ("insz", pl.String, [False, True, False, False])
    assert hashed[0] == hashed[3] != hashed[2]


def test_no_numbers_have_no_pseudonyms():
    assert Key(SECRET).pseudonyms(pl.Series("insz", [], dtype=pl.String)).dtype == pl.String


def test_derived_identifiers_do_not_run_into_each_other_nor_into_pseudonyms():
    key = Key(SECRET)
    parts = [("a", "b"), ("ab",), ("a", "b", None), ("a", "b", ""), ("a", None, "b"), ('a","b',), (insz(1),), ()]
    assert len({key.derived_id(*each) for each in parts} | {pseudonym(key, insz(1))}) == len(parts) + 1
    assert key.derived_id("a", "é") == Key(SECRET).derived_id("a", "é") != Key(b"o" * 32).derived_id("a", "é")


def test_the_version_tells_keys_apart_and_nothing_else():
    key, other = Key(SECRET), Key(SECRET[::-1])
    assert key.version == Key(SECRET).version != other.version
    assert len(key.version) == 8
    assert key.version not in (SECRET.hex(), hashlib.sha256(SECRET).hexdigest()[:8])


def test_a_key_shows_itself_nowhere():
    key = Key(SECRET)
    shown = f"{key!r} {key} {vars(key)}"
    assert key.version in repr(key)
    assert SECRET.hex() not in shown
    assert repr(SECRET)[2:-1] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize("content", [SECRET, SECRET.hex().encode(), SECRET.hex().upper().encode() + b"\n"])
@pytest.mark.parametrize("synthetic", [True, False])
def test_a_configured_key_serves_every_delivery(tmp_path, content, synthetic):
    configured = settings(tmp_path / "data", write_key(tmp_path / "key", content))
    assert load_key(configured, synthetic).version == Key(SECRET).version
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "content", [b"", SECRET[:31], SECRET + b"\n", SECRET.hex().encode()[:63], b"g" * 64, SECRET * 2]
)
def test_a_key_that_is_not_256_bits_is_refused(tmp_path, content):
    with pytest.raises(SettingsError, match=r"KBI_PSEUDONYM_KEY_FILE.*256 bits"):
        load_key(settings(tmp_path, write_key(tmp_path / "key", content)), synthetic=True)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_key_that_is_not_the_owner_s_alone_is_refused(tmp_path, mode):
    with pytest.raises(SettingsError, match=r"KBI_PSEUDONYM_KEY_FILE.*chmod 600"):
        load_key(settings(tmp_path, write_key(tmp_path / "key", SECRET, mode)), synthetic=True)


def test_a_key_may_be_read_only(tmp_path):
    assert load_key(settings(tmp_path, write_key(tmp_path / "key", SECRET, 0o400)), synthetic=False)


def test_a_configured_key_that_is_not_there_is_not_created(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(SettingsError, match=r"KBI_PSEUDONYM_KEY_FILE.*cannot be read"):
            load_key(settings(tmp_path, path), synthetic=True)
    assert list(tmp_path.iterdir()) == []


def test_for_synthetic_deliveries_a_key_is_created_once(tmp_path):
    data = tmp_path / "deep" / "data"
    first = load_key(settings(data), synthetic=True)
    assert (data / "pseudonym.key").stat().st_mode & 0o777 == 0o600
    assert len((data / "pseudonym.key").read_bytes()) == 32
    assert [path.name for path in data.iterdir()] == ["pseudonym.key"]
    assert load_key(settings(data), synthetic=True).version == first.version
    assert load_key(settings(tmp_path / "other"), synthetic=True).version != first.version


def test_a_real_delivery_needs_a_key_of_its_own_even_where_one_was_created(tmp_path):
    load_key(settings(tmp_path), synthetic=True)
    with pytest.raises(Refusal) as refused:
        load_key(settings(tmp_path), synthetic=False)
    assert refused.value.code == "pseudonym_key_missing"
    assert "KBI_PSEUDONYM_KEY_FILE" in refused.value.detail


def test_the_first_of_two_writers_wins(tmp_path, monkeypatch):
    """Another process creates the key after this one saw that there is none."""
    write_key(tmp_path / "pseudonym.key", SECRET)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert load_key(settings(tmp_path), synthetic=True).version == Key(SECRET).version


def test_a_created_key_is_guarded_as_well(tmp_path):
    load_key(settings(tmp_path), synthetic=True)
    (tmp_path / "pseudonym.key").chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_key(settings(tmp_path), synthetic=True)


def test_where_data_is_a_file_the_setting_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsError, match="KBI_DATA"):
        load_key(settings(tmp_path / "data"), synthetic=True)
