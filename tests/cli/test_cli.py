"""What the command line adds to what it calls: usage, help, what is said to whom when something cannot be done.

Not here: nights as such (``tests/night``), where settings, folders and days that cannot be used are tried too, earlier
states of knowledge (``tests/past``), whoever does something while a night runs (``test_readers.py``), and the words of
an answer or a status.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestration.cli import main
from orchestration.manifest import BRUSSELS
from tests.night.nights import Folder, Ran

SIMULATE = ("simulate", "--contracts", "10", "--seed", "1")
SECRET = "Quirinia Wollebrandt 80611700198"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    shutil.rmtree(folder.data, ignore_errors=True)  # a compiled project, where this process ran a night before
    return folder


def one_sentence(ran: Ran) -> str:
    """All that was said, which is one line for people on standard error."""
    assert ran.stdout == "", ran.stdout
    (line,) = ran.stderr.splitlines()
    assert line.startswith("kbi: ")
    return line


def test_help_lists_every_command_in_whole_sentences() -> None:
    listed = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout.partition("Commands:")[2]
    rows = [line.split(maxsplit=1) for line in listed.strip().splitlines()]
    assert [name for name, _ in rows] == list(main.commands)
    assert rows[0][0] == "night"
    for name, sentence in rows:
        assert sentence.endswith(".") and not sentence.endswith("..."), f"{name} is cut off: {sentence}"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_says_what_each_option_is_for(name: str) -> None:
    command = main.commands[name]
    assert CliRunner().invoke(main, [name, "-h"]).exit_code == 0
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_help_of_the_night_tells_every_exit_code() -> None:
    told = " ".join(CliRunner().invoke(main, ["night", "--help"]).stdout.split())
    codes = told.partition("Exit codes: ")[2].partition(". ")[0].split(";")
    assert [code.split()[0] for code in codes] == ["0", "1", "2", "3", "5"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "Commands:"),
        (("night", "2016-09-08"), "2016-09-08"),
        (("night", "--accept-volume", "mistyped"), "mistyped"),
        (("night", "--accept-volume", "d", "--known-on", "2016-09-08"), "--known-on"),
        (("answer",), "--as-of"),
        (("answer", "--as-of", "20160908"), "YYYY-MM-DD"),
        (("answer", "--as-of", "2016-9-8"), "YYYY-MM-DD"),
        (("purge", "--before", "2016-W36-4"), "YYYY-MM-DD"),
        (("rollback",), "RELEASE"),
        (("rollback", "2016-09-08.01-00000000"), "2016-09-08.01-00000000"),
        ((*SIMULATE, "--until", "2016-09-08"), "--out"),
        ((*SIMULATE, "--out", "out", "--until", "8/9/2016"), "--until"),
        ((*SIMULATE, "--out", "out", "--until", "2010-01-01"), "until"),
        ((*SIMULATE, "--out", "out", "--until", "2016-09-08", "--format", "xml"), "--format"),
        ((*SIMULATE, "--out", "out", "--until", "2016-09-08", "--dirty", "1.5"), "--dirty"),
        ((*SIMULATE, "--out", "out", "--until", "2016-09-08", "--deliveries", "0"), "--deliveries"),
        ((*SIMULATE, "--out", "out", "--until", "2016-09-08", "--contracts", "0"), "--contracts"),
        ((*SIMULATE, "--out", "a-file", "--until", "2016-09-08"), "--out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage(folder: Folder, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], named: str) -> None:
    monkeypatch.chdir(folder.directory)
    Path("a-file").touch()
    before = sorted(folder.directory.rglob("*"))
    ran = folder.kbi(*arguments)
    assert (ran.exit_code, ran.stdout) == (2, ""), ran.said
    assert named in ran.stderr and "Traceback" not in ran.stderr
    left = [path for path in sorted(folder.directory.rglob("*")) if path.suffix != ".lock" and path != folder.data]
    assert left == before, "wrong usage makes nothing"


def test_deliveries_are_simulated_up_to_today(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestration.cli import preparing

    class Clock(preparing.datetime):
        @classmethod
        def now(cls, zone=None):
            assert zone is BRUSSELS
            return cls(2016, 9, 8, 0, 30, tzinfo=zone)

    monkeypatch.setattr(preparing, "datetime", Clock)
    tomorrow = Clock.now(BRUSSELS).date() + timedelta(days=1)
    ran = folder.kbi(*SIMULATE, "--out", str(folder.landing), "--until", str(tomorrow))
    assert (ran.exit_code, ran.stdout, list(folder.landing.iterdir())) == (2, "", [])
    assert str(tomorrow) in ran.stderr and "future" in ran.stderr
    assert folder.kbi(*SIMULATE, "--out", str(folder.landing), "--until", "2016-09-08").exit_code == 0


def test_simulated_deliveries_are_named_and_never_replaced(folder: Folder) -> None:
    simulate = (*SIMULATE, "--out", str(folder.landing), "--until", "2016-10-08", "--deliveries", "2")
    ran = folder.kbi(*simulate)
    assert ran.exit_code == 0, ran.stderr
    made = ran.stdout.splitlines()
    assert made == [str(path) for path in sorted(folder.landing.iterdir())] and len(made) == 2
    manifests = [(path, path.stat().st_mtime_ns) for path in folder.landing.glob("*/manifest.json")]
    again = folder.kbi(*simulate)
    assert again.exit_code == 1 and Path(made[0]).name in one_sentence(again)
    assert manifests == [(path, path.stat().st_mtime_ns) for path in folder.landing.glob("*/manifest.json")]


def test_where_nothing_can_be_written_nothing_is_simulated(folder: Folder) -> None:
    (folder.directory / "a-file").touch()
    ran = folder.kbi(*SIMULATE, "--out", str(folder.directory / "a-file" / "landing"), "--until", "2016-09-08")
    assert ran.exit_code == 1 and "a-file" in one_sentence(ran)


def test_before_the_first_night(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("summary",), ("answer", "--as-of", "2016-09-08")):
        ran = folder.kbi(*command)
        assert ran.exit_code == 1 and "kbi night" in one_sentence(ran)
    assert not folder.data.exists(), "asking makes nothing"


def test_without_settings_the_working_directory_counts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.directory)
    told = json.loads(CliRunner().invoke(main, ["status", "--format", "json"]).stdout)
    assert told["disk"]["path"] == str(folder.directory / "data")
    home = CliRunner().invoke(main, ["prepare"])
    assert (home.exit_code, home.stdout) == (0, f"{folder.directory / 'data' / 'dagster'}\n")
    assert (folder.data / "dagster" / "dagster.yaml").is_file()


@pytest.mark.parametrize("command", [("status",), ("answer", "--as-of", "2016-09-08"), ("summary",), ("--help",)])
def test_who_only_reads_does_not_wait_for_dagster(folder: Folder, command: tuple[str, ...]) -> None:
    script = (
        "import sys; from orchestration.cli import main\n"
        f"try: main({list(command)})\n"
        "except SystemExit: pass\n"
        "print(*({'dagster', 'dbt'} & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=folder.environment, capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1] == "", ran.stderr


def test_what_nobody_foresaw_is_told_by_its_type_alone(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr("orchestration.status.status", broken)
    ran = folder.kbi("status")
    said = one_sentence(ran)
    assert ran.exit_code == 1 and "ValueError" in said and "--debug" in said
    assert not set(SECRET.split()) & set(said.split())
    shown = CliRunner().invoke(main, ["--debug", "status"], env=folder.environment)
    assert (type(shown.exception), str(shown.exception)) == (ValueError, SECRET)
