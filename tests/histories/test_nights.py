"""The sequences of ``test_histories.py`` through ``kbi night`` itself, in processes of their own that SIGKILL ends.

Whatever happened on the way: what was published is, to the byte, what one night publishes that takes the same
deliveries in order on an empty machine. In half of the sequences every night after the first patches the warehouse,
however few persons there are; in the others those that touch many build it whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.ledger import Ledger
from orchestration.publication import content_sha256
from tests.histories.test_histories import Machine, Step, sequences
from tests.night.nights import Folder, bytes_under
from tests.validation.test_validation import QUIET

NIGHT = "import orchestration.patching as p; p.MAX_SHARE = {share}; from orchestration.cli import main; main(['night'])"


@dataclass
class Nights(Machine):
    """A machine on which the real night runs. ``share``: of persons touched up to which it patches."""

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        Folder(self.directory)  # the dbt project, compiled once for all
        self._seconds = 10.0

    def start(self) -> subprocess.Popen[str]:
        zones = {"KBI_LANDING": self.settings.landing, "KBI_DATA": self.settings.data}
        limits = {"KBI_MAX_QUARANTINE_RATE": "1", "KBI_MAX_VOLUME_DROP": "1"}
        key = {"KBI_PSEUDONYM_KEY_FILE": self.settings.pseudonym_key_file}
        return subprocess.Popen(
            [sys.executable, "-c", NIGHT.format(share=self.share)],
            env={**os.environ, **{name: str(value) for name, value in (zones | limits | key).items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def die(self, at: int) -> None:
        """A night that is killed after a fraction (``at`` fortieths) of the time that the last one took."""
        process = self.start()
        time.sleep(self._seconds * at / 40)
        process.kill()
        process.communicate()
        self._is_whole()

    def night(self) -> None:
        started = time.monotonic()
        process = self.start()
        told, said = process.communicate(timeout=300)
        self._seconds = time.monotonic() - started
        assert process.returncode in (0, 3), said
        lines = [line.split("\t") for line in told.splitlines()]
        self.check({id: ("refused" if result == "refused" else "taken", code or None) for id, result, code in lines})
        taken = Ledger(self.settings.ledger).taken()
        if taken:
            assert self._is_whole() == [entry.delivery_id for entry in taken]
        leftovers = [path.name for path in self.settings.work.iterdir()] if self.settings.work.exists() else []
        assert not {"intake", "build", "retaking"} & {n for n in leftovers if any((self.settings.work / n).iterdir())}

    def _is_whole(self) -> list[str] | None:
        """The deliveries of the release being served, every mart of which has the rows it says; None: there is none."""
        current = self.settings.published / "current"
        if not current.exists():
            return None
        manifest = json.loads((current / "manifest.json").read_bytes())
        for mart in manifest["marts"]:
            path = current / "internal" / "parquet" / f"{mart['name']}.parquet"
            assert content_sha256(path) == mart["content_sha256"]
        return [delivery["delivery_id"] for delivery in manifest["deliveries"]]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=30, **QUIET)
@given(steps=sequences(1, 3), share=st.sampled_from([0.1, 1]))
def test_thirty_sequences_of_nights(tmp_path_factory: pytest.TempPathFactory, steps: list[Step], share: float) -> None:
    directory = tmp_path_factory.mktemp("sequence")
    machine = Nights(directory / "nights", share=share)
    for n, step in enumerate(steps):
        machine.live(n, step)
    taken = [entry.delivery_id for entry in Ledger(machine.settings.ledger).taken()]
    at_once = Nights(directory / "at-once")
    for delivery_id in taken:
        shutil.copytree(machine.settings.landing / delivery_id, at_once.settings.landing / delivery_id)
        at_once.expected[delivery_id] = ("taken", None)
    at_once.registry = machine.registry
    at_once.night()
    assert parquet(at_once) == parquet(machine)
    assert at_once.quarantined() == machine.quarantined()
    shutil.rmtree(directory)


def parquet(machine: Nights) -> dict[str, bytes]:
    return dict(bytes_under(Path(machine.settings.published / "current" / "internal" / "parquet")))
