"""The sequences of ``test_histories.py`` through ``kbi night`` itself, in processes of their own that SIGKILL ends.

Whatever happened on the way: what was published is, to the byte, what one night publishes that takes the same
deliveries in order on an empty machine. Beside the rows of the model, which break rules, every delivery holds persons
with whole trajectories, who come, change and go. In half of the sequences every night after the first patches the
warehouse, however many persons it touches; in the others those that touch many build it whole.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestration.ledger import Ledger
from orchestration.marts import content_sha256
from orchestration.settings import PROJECT_ROOT
from orchestration.status import status
from tests.deliveries import COLUMNS, VALIDATED_AS, insz
from tests.histories.test_histories import FAULTS, FIRST_DAY, Machine, Step, Tables, keys_of, sequences
from tests.night.nights import Folder
from tests.patching.test_patching import history
from tests.reference.registries import Rows, packed
from tests.validation.contract_model import KEYS, NUMBERS
from tests.validation.test_validation import KEY, QUIET

NIGHT = """
import pathlib
from orchestration import patching
from tests.night import dying
patching.MAX_SHARE = {share}
dying.main({last!r}, pathlib.Path({steps!r}), ["night"])
"""
NEVER = "never"
N_REGISTRIES = 15

Row = Mapping[str, Any]
Marts = tuple[list[str], list[tuple[Any, ...]]]


@dataclass
class Background:
    """Registries that move on with every delivery, as they are delivered. ``states``: extract → rows after each."""

    states: Sequence[Mapping[str, list[Row]]]

    @classmethod
    def drawn(cls, seed: int, n_deliveries: int) -> Background:
        last = FIRST_DAY + timedelta(days=10 * (n_deliveries - 1))
        histories = [history(seed * N_REGISTRIES + k, n_deliveries, last) for k in range(N_REGISTRIES)]
        numbers: dict[str, str] = {}
        return cls([_as_delivered(packed(states), numbers) for states in zip(*histories, strict=True)])

    def rows(self, n: int, extract: str, kind: str) -> list[Row]:
        """What the n-th delivery says of an extract; a delta, what differs from the one before."""
        now = self.states[n][extract]
        if kind == "full":
            return now
        before = self.states[n - 1][extract]
        keys = {_key(extract, row) for row in now}
        gone = [row | {"verwijderd": "true"} for row in before if _key(extract, row) not in keys]
        return [*gone, *(row for row in now if row not in before)]


def _as_delivered(rows: Rows, numbers: dict[str, str]) -> dict[str, list[Row]]:
    """Rows under the contract's names; ``numbers``: the INSZ by which a person is called, far from the model's."""
    delivered = {}
    for extract, validated_as in VALIDATED_AS.items():
        names = {name: column for column, name in validated_as.items()}
        delivered[extract] = [
            {
                names[name]: numbers.setdefault(value, insz(1000 + len(numbers))) if "person_key" in name else value
                for name, value in row.items()
            }
            for row in rows[extract]
        ]
    return delivered


def _key(extract: str, row: Row) -> tuple[Any, ...]:
    keys = {"opschortingen": ("contract_id", "begin"), "wachtlijst": ("insz", "onderdeel", "datum"), **KEYS}
    return tuple(row[column] for column in keys.get(extract, COLUMNS[extract][:1]))


@dataclass
class Nights(Machine):
    """A machine on which the real night runs. ``share``: of persons touched up to which it patches."""

    share: float = 0.1
    background: Background | None = None
    n_patched: int = field(default=0, init=False)
    _seconds: float = field(default=10, init=False)
    _seen: list[tuple[list[str] | None, Marts | None]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.folder = Folder(
            self.directory,
            {
                "KBI_MAX_QUARANTINE_RATE": "1",
                "KBI_MAX_VOLUME_DROP": "1",
                "KBI_PSEUDONYM_KEY_FILE": str(self.settings.pseudonym_key_file),
            },
        )
        self._before = self._told()

    def tables(self, n: int, step: Step) -> Tables:
        if self.background is None:
            return step.tables
        rows = {
            extract: [*step.tables.get(extract, ()), *self.background.rows(n, extract, step.kind)]
            for extract in COLUMNS
        }
        return {extract: found for extract, found in rows.items() if found or extract in step.tables}

    def keys_of(self, state: pl.DataFrame, extract: str) -> list[tuple[str, ...]]:
        ids = {f"{kind}{n}" for kind in "cto" for n in range(1, 5)}
        of_model = {*ids, *KEY.pseudonyms(pl.Series(NUMBERS))}
        return [key for key in keys_of(state, extract) if key[0] in of_model]

    def start(self, last: str = NEVER) -> subprocess.Popen[str]:
        program = NIGHT.format(share=self.share, last=last, steps=str(self.directory / "steps.txt"))
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **self.folder.environment},
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def die(self, at: int) -> None:
        """A night that is killed, one time in two after some of the time that the last one took, else before a step.

        One time in four the night after it is killed too.
        """
        for moment in (at, 40 - at)[: 1 + (at % 4 == 0)]:
            process = self.start(f"#{1 + moment // 2}" if moment % 2 else NEVER)
            if not moment % 2:
                time.sleep(self._seconds * moment / 40)
                process.kill()
            _, said = process.communicate(timeout=3000)
            assert process.returncode in (-9, 0, 3), said
            self._seen.append(self._told())

    def night(self) -> None:
        started = time.monotonic()
        process = self.start()
        told, said = process.communicate(timeout=3000)
        self._seconds = time.monotonic() - started
        assert process.returncode in (0, 3), said
        self.n_patched += "made anew for" in said
        lines = [line.split("\t") for line in told.splitlines()]
        self.check({id: ("refused" if result == "refused" else "taken", code or None) for id, result, code in lines})
        taken = [entry.delivery_id for entry in Ledger(self.settings.ledger).taken()]
        release, marts = now = self._told()
        if taken:
            assert release == taken and marts and marts[0] == taken
        # Whoever read after a kill found what was there before it or what is there now, and nothing in between.
        for seen_release, seen_marts in self._seen:
            assert seen_release in (self._before[0], release)
            assert seen_marts in (self._before[1], marts)
        self._before, self._seen = now, []
        assert self.leftovers() <= {"spill", "publication"}

    def leftovers(self) -> set[str]:
        """What is not empty in the scratch of the night."""
        work = self.settings.work
        return {path.name for path in work.iterdir() if any(path.iterdir())} if work.exists() else set()

    def _told(self) -> tuple[list[str] | None, Marts | None]:
        """What readers find: the deliveries of the release, which must be whole, and those of the warehouse, with its
        marts; None where there is none yet."""
        status(self.settings)
        release, marts = None, None
        current = self.settings.published / "current"
        if current.exists():
            manifest = json.loads((current / "manifest.json").read_bytes())
            release = [delivery["delivery_id"] for delivery in manifest["deliveries"]]
            for mart in manifest["marts"]:
                path = current / "internal" / "parquet" / f"{mart['name']}.parquet"
                assert content_sha256(path) == mart["content_sha256"]
        if self.settings.warehouse.exists():
            with duckdb.connect(str(self.settings.warehouse), read_only=True) as connection:
                (built_from,) = connection.execute("select built_from from registry.build").fetchone()
                names = connection.execute(
                    "select table_name from duckdb_tables() where schema_name = 'marts' order by all"
                ).fetchall()
                sums = [
                    connection.execute(f"select '{name}', sum(hash(rows)) from marts.{name} as rows").fetchone()
                    for (name,) in names
                ]
            marts = [identity.split()[0] for identity in built_from], sums
        return release, marts


@pytest.mark.slow
@pytest.mark.timeout(14400)
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate], **QUIET)
@given(
    steps=sequences(1, 4, ("killed", *FAULTS, "killed")), share=st.sampled_from([0.1, 1]), seed=st.integers(0, 10_000)
)
def test_thirty_sequences_of_nights(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step], share: float, seed: int
) -> None:
    directory = tmp_path_factory.mktemp("sequence")
    machine = Nights(directory / "nights", share=share, background=Background.drawn(seed, len(steps)))
    for n, step in enumerate(steps):
        machine.live(n, step)
    taken = [entry.delivery_id for entry in Ledger(machine.settings.ledger).taken()]
    assert share < 1 or machine.n_patched or len(taken) == 1 or any(step.fault == "killed" for step in steps)
    at_once = Nights(directory / "at-once")
    for delivery_id in taken:
        shutil.copytree(machine.settings.landing / delivery_id, at_once.settings.landing / delivery_id)
    ran = at_once.folder.night()
    assert ran.exit_code == 0 and ran.lines == [(delivery_id, "taken", "") for delivery_id in taken], ran.said
    assert at_once.folder.published_parquet() == machine.folder.published_parquet()
    assert len(at_once.folder.published_parquet()) == len(at_once.folder.marts())
    assert at_once.quarantined() == machine.quarantined()
    theirs = at_once.folder.ledger()
    assert {id: entry for id, entry in machine.folder.ledger().items() if id in theirs} == theirs
    shutil.rmtree(directory)
