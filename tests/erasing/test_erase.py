"""Nothing is left of who was erased, nothing of anybody else is missing, and nothing brings them back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from orchestration.cli import main
from orchestration.ledger import Ledger
from orchestration.pseudonyms import load_key
from tests.deliveries import insz, write_delivery
from tests.dossiers import answers as xml
from tests.erasing.conftest import rows_in, without
from tests.night.dossier_deliveries import write_dossiers
from tests.night.nights import Folder, Ran, bytes_under, rows_under
from tests.night.test_privacy import unpacked
from tests.past.conftest import ALIAS, LATE, PERSON
from tests.retaking.conftest import FULL, folder_of, put


def kbi(folder: Folder, *arguments: str, said: str = "") -> Ran:
    """The console script, with something on standard input."""
    process = subprocess.run(
        [Path(sys.executable).with_name("kbi"), *arguments],
        env={**os.environ, **folder.environment},
        input=said,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return Ran(process.returncode, process.stdout, process.stderr)


def traces(folder: Folder, numbers: Collection[str]) -> list[str]:
    """Where under KBI_DATA a number, or what stands for it, is found: in bytes, names, rows, tables, zips."""
    key_file = Path(folder.variables["KBI_PSEUDONYM_KEY_FILE"])
    settings = folder.settings.model_copy(update={"pseudonym_key_file": key_file})
    pseudonyms = load_key(settings, synthetic=True).pseudonyms(pl.Series(sorted(numbers)))
    wanted = [text.encode() for text in [*numbers, *pseudonyms]]
    return [
        f"{path.relative_to(folder.data)} ({form})"
        for path in folder.data.rglob("*")
        if path.is_file() and not path.is_symlink()
        for form, content in [("name", str(path).encode()), *unpacked(path)]
        if any(text in content for text in wanted)
    ]


def somebody(deliveries: list[Path]) -> str:
    """Of the simulated ones, with a contract, tracks, components, courses and documents."""
    full = deliveries[0]
    found = Counter(row["insz"] for row in rows_in(full / "contracten.csv"))
    for extract in ("trajecten", "mo_cursussen", "nt2_cursussen", "attesten", "doelgroepen"):
        numbers = {row["insz"] for row in rows_in(full / f"{extract}.csv")}
        found = Counter({number: n for number, n in found.items() if number in numbers})
    replaced = {row[c] for row in rows_in(full / "insz_wijzigingen.csv") for c in ("oude_insz", "nieuwe_insz")}
    return min(found.keys() - replaced)


def as_if_never_there(folder: Folder, deliveries: list[Path], tmp_path: Path, numbers: Collection[str]) -> None:
    """Assert that figures, state and quarantine are those of a machine that never heard of these numbers."""
    never = folder_of(tmp_path / "never", Path(folder.variables["KBI_PSEUDONYM_KEY_FILE"]))
    put(never, *without(deliveries, tmp_path / "without", numbers))
    ran = never.night()
    assert ran.exit_code == 0, ran.said
    assert folder.published_parquet() == never.published_parquet()
    assert rows_under(folder.settings.validated) == rows_under(never.settings.validated)
    assert rows_under(folder.settings.quarantine) == rows_under(never.settings.quarantine)


@pytest.fixture(scope="module")
def both(deliveries: list[Path]) -> list[tuple[str, set[str]]]:
    return [(PERSON, {PERSON, ALIAS}), (one := somebody(deliveries), {one})]


@pytest.mark.parametrize(
    "n",
    [
        pytest.param(0, id="under two numbers"),
        pytest.param(1, id="of the first delivery", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left(
    copied: Folder, deliveries: list[Path], both: list[tuple[str, set[str]]], tmp_path: Path, n: int
) -> None:
    number, numbers = both[n]
    places = {Path(place).parts[0] for place in traces(copied, numbers)}
    assert {"landing", "validated"} <= places and "warehouse.duckdb (tables)" in places
    ran = kbi(copied, "erase", "--reason", "asked for", said=f"{number[:6]}.{number[6:]}\n")
    assert ran.exit_code == 0, ran.said
    assert traces(copied, numbers) == []
    assert not any(one in ran.said for one in numbers)
    as_if_never_there(copied, deliveries, tmp_path, numbers)
    (record,) = [json.loads(line) for line in (copied.data / "records.jsonl").read_text().splitlines()]
    assert {"act": "erase", "persons": 1}.items() <= record.items()


@pytest.mark.slow
def test_nothing_brings_them_back(copied: Folder, deliveries: list[Path], both: list[tuple[str, set[str]]]) -> None:
    number, numbers = both[1]
    assert kbi(copied, "erase", said=number).exit_code == 0
    marts = copied.marts()
    # What lies in the landing zone is what was taken.
    ran = copied.night()
    assert (ran.exit_code, {result for _, result, *_ in ran.lines}) == (0, {"unchanged"})
    ran = copied.kbi("rebuild")
    assert ran.exit_code == 0, ran.said
    assert traces(copied, numbers) == [] and copied.marts() == marts
    # The registry goes on delivering them.
    again = copied.landing / "later"
    shutil.copytree(deliveries[0], again)
    manifest = json.loads((again / "manifest.json").read_text())
    manifest |= {"delivery_id": "later", "extracted_at": "2017-02-28T22:00:00+01:00"}
    (again / "manifest.json").write_text(json.dumps(manifest))
    ran = copied.night("--accept-volume", "later")
    assert ran.exit_code == 0, ran.said
    assert traces(copied, numbers) == []
    entry = Ledger(copied.settings.ledger).of("later")
    assert entry and entry.left_out["personen"] == 1 and entry.left_out["trajectonderdelen"] >= 1
    for account in entry.reconciliation:
        delivered = len(rows_in(again / f"{account.extract}.csv"))
        assert account.n_delivered == delivered - entry.left_out.get(account.extract, 0)
        assert account.n_delivered == account.n_accepted + account.n_quarantined + account.n_duplicates
    assert (copied.night().lines[-1][:2]) == ("later", "unchanged")


@pytest.mark.slow
def test_what_names_only_their_contract_is_left_out_too(copied: Folder, both: list[tuple[str, set[str]]]) -> None:
    number, _ = both[1]
    contract = next(
        row["contract_id"] for row in rows_in(copied.landing / FULL / "contracten.csv") if row["insz"] == number
    )
    assert kbi(copied, "erase", said=number).exit_code == 0
    flags = {"onderdeel_mo": "true", "onderdeel_nt2": "true", "onderdeel_lo": "false", "verwijderd": ""}
    addendum = {"addendum_id": "A-later", "contract_id": contract, "datum_registratie": "2017-02-01", "type": "AIC14G"}
    write_delivery(
        copied.landing,
        "later",
        "2017-02-28T22:00:00+01:00",
        {"contracten": [{"contract_id": contract, "verwijderd": "true"}], "addenda": [addendum | flags]},
        "delta",
    )
    ran = copied.night()
    assert ran.exit_code == 0, ran.said
    entry = Ledger(copied.settings.ledger).of("later")
    assert entry and entry.left_out == {"contracten": 1, "addenda": 1}
    assert not [path for path in (copied.data / "landing/later").rglob("*") if b"A-later" in path.read_bytes()]


DECISION = "rename exchange"
KILLED_AT = (DECISION, "rename validated", "rename landing", "rename tombstones", "rename work/retaking")


def dying(folder: Folder, at: str, steps: Path, number: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.night.dying", at, str(steps), "erase"],
        env={**os.environ, **folder.environment},
        input=number,
        text=True,
        capture_output=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def steps(taken: Folder, both: list[tuple[str, set[str]]], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every step of an erasure that nobody kills."""
    directory = tmp_path_factory.mktemp("steps")
    shutil.copytree(taken.directory, directory / "copied", symlinks=True)
    process = dying(Folder(directory / "copied", taken.variables), "never", directory / "steps", both[0][0])
    assert process.returncode == 0, process.stderr
    return (directory / "steps").read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("step", KILLED_AT)
def test_killed_anywhere_it_was_done_or_not(
    copied: Folder,
    deliveries: list[Path],
    both: list[tuple[str, set[str]]],
    steps: list[str],
    tmp_path: Path,
    step: str,
) -> None:
    number, numbers = both[0]
    decided = steps.index(DECISION)
    # Before the decision things are renamed below work/retaking too.
    at = next(n for n in range(decided, len(steps)) if steps[n].startswith(step))
    process = dying(copied, f"#{at + 1}", tmp_path / "steps", number)
    assert process.returncode == -signal.SIGKILL, process.stderr
    ran = copied.night()
    assert ran.exit_code == 0, ran.said
    assert (tmp_path / "steps").read_text().splitlines() == steps[:at]
    if step == DECISION:
        # Not decided yet: nothing has changed, and it is to be asked for again.
        assert not (copied.data / "records.jsonl").exists()
        assert kbi(copied, "erase", said=number).exit_code == 0
    assert traces(copied, numbers) == []
    as_if_never_there(copied, deliveries, tmp_path, numbers)


@pytest.mark.slow
def test_a_withdrawn_delivery_keeps_nothing_either(copied: Folder, both: list[tuple[str, set[str]]]) -> None:
    assert copied.kbi("withdraw", "d-replaced", "--reason", "wrong").exit_code == 0
    # Without that delivery nobody knows the two numbers to be one person's.
    number = PERSON
    assert any(place.startswith("withdrawn") for place in traces(copied, {number}))
    ran = kbi(copied, "erase", said=number)
    assert ran.exit_code == 0, ran.said
    assert traces(copied, {number}) == []
    assert traces(copied, {ALIAS})


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_dossier_is_erased_whole(tmp_path: Path, key_file: Path, packed: bool) -> None:
    folder = folder_of(tmp_path / "dossiers", key_file)
    numbers = [insz(n) for n in (7001, 7002, 7003)]
    files = {f"{number}.xml": xml.full_dossier(number) for number in numbers}
    files |= {"copy.xml": files[f"{numbers[0]}.xml"], "torn.xml": files[f"{numbers[0]}.xml"][:-40]}
    write_dossiers(folder.landing, "dossiers", "2016-11-01T23:00:00+01:00", files, packed=packed)
    assert folder.night().exit_code == 0
    assert traces(folder, {numbers[0]})
    ran = kbi(folder, "erase", said=numbers[0])
    assert ran.exit_code == 0, ran.said
    assert traces(folder, {numbers[0]}) == []
    entry = Ledger(folder.settings.ledger).of("dossiers")
    assert entry and entry.left_out == {"dossiers": 3}
    assert folder.rows("select count(*) from facts.dim_person") == [(2,)]
    assert folder.night().lines == [("dossiers", "unchanged", "")]


@pytest.mark.slow
def test_somebody_nobody_heard_of(copied: Folder) -> None:
    marts = copied.marts()
    ran = kbi(copied, "erase", said=insz(99_999))
    assert ran.exit_code == 0 and "Nothing was held" in ran.stderr
    assert copied.marts() == marts


def test_wrong_usage(copied: Folder) -> None:
    for said in ("", "12345678901", f"{LATE} {PERSON}", "niemand"):
        ran = CliRunner().invoke(main, ["erase"], input=said, env=copied.environment)
        assert ran.exit_code == 2 and (not said or said not in ran.output)
    ran = CliRunner().invoke(main, ["erase", "--reason", f"for {PERSON}"], input=PERSON, env=copied.environment)
    assert ran.exit_code == 2
    assert CliRunner().invoke(main, ["erase"], input=b"\xff\xfe", env=copied.environment).exit_code == 2


def test_nobody_is_purged_by_a_day_to_come(copied: Folder) -> None:
    before = bytes_under(copied.settings.archive)
    ran = copied.kbi("purge", "--before", "2999-01-01")
    assert ran.exit_code == 2 and "2999-01-01 is still to come" in ran.stderr, ran.said
    assert bytes_under(copied.settings.archive) == before
