"""The real web server, looked at and clicked on in a real browser, as `make dev` starts it.

Set KBI_SCREENSHOTS to a folder to keep what was seen.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from orchestration import dagster_home
from tests.dagster.chromium import EXECUTABLE, Page, browse
from tests.dagster.conftest import deliver, locked_elsewhere
from tests.deliveries import minimal_registry, write_delivery
from tests.night.nights import Folder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(EXECUTABLE is None, reason="there is no Chromium on this machine"),
]

PROJECT = Path(__file__).resolve().parents[2]
DAGSTER = Path(sys.executable).with_name("dagster")
SCREENSHOTS = os.environ.get("KBI_SCREENSHOTS")


@dataclass(frozen=True)
class Ui:
    """The web server on a folder, and a browser. ``twin``: the same folder, for the command line."""

    folder: Folder
    twin: Folder
    address: str
    page: Page

    def open(self, path: str, *texts: str) -> str:
        """Go to a page, wait until it shows these texts, and return all that it shows."""
        self.page.open(self.address + path)
        return self.page.wait_for(*texts)

    def launch(self) -> str:
        """Start the job as a person does, and return the run's id once the page says that it was launched."""
        self.open("/locations/kbi/jobs/night", "Take every waiting delivery", "Materialize all")
        self.page.click("Materialize all", selector="button, button *")
        self.page.wait_for("Launched run ")
        return self._ask("{runsOrError(limit: 1) {... on Runs {results {runId}}}}")["results"][0]["runId"]

    def _ask(self, query: str) -> Any:
        answer = requests.post(f"{self.address}/graphql", json={"query": query}, timeout=30).json()
        return answer["data"]["runsOrError"]

    def shoot(self, name: str) -> None:
        if SCREENSHOTS:
            time.sleep(2)  # the graph moves into place
            self.page.screenshot(Path(SCREENSHOTS) / f"{name}.png")


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, first_night: Folder) -> Iterator[Ui]:
    """A folder with one delivery taken and two waiting, the first of them with a row that breaks a rule."""
    directory = tmp_path_factory.mktemp("ui")
    folders = []
    for name in ("by-clicks", "by-command"):
        shutil.copytree(first_night.directory, directory / name, symlinks=True)
        folder = Folder(directory / name)
        tables = minimal_registry(2)
        tables["personen"][0]["geslacht_code"] = "9"
        write_delivery(folder.landing, "2016-10-08", "2016-10-08T23:00:00+02:00", tables)
        deliver(folder, "2016-11-08", n=3)
        folders.append(folder)
    folder, twin = folders
    environment = {
        **os.environ,
        **folder.environment,
        "DAGSTER_HOME": str(dagster_home.prepare(folder.settings)),
    }
    # The sensor would see the deliveries and start the night before anybody could click.
    stop = [DAGSTER, "sensor", "stop", "new_deliveries", "-w", "workspace.yaml"]
    subprocess.run(stop, cwd=PROJECT, env=environment, check=True, capture_output=True)
    with _served(environment, directory / "dev.log") as address, browse(directory / "profile") as page:
        yield Ui(folder, twin, address, page)


@contextmanager
def _served(environment: dict[str, str], log: Path) -> Iterator[str]:
    """The address of the UI, with the daemon that starts its runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as file:
        process = subprocess.Popen(
            [DAGSTER, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=PROJECT,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for_answer(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _wait_for_answer(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        try:
            requests.get(f"{address}/server_info", timeout=30)
            return
        except requests.ConnectionError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_the_graph_shows_groups_and_assets(ui: Ui) -> None:
    groups = ("landing", "validated", "quarantine", "staging", "intermediate", "facts", "marts", "quality", "published")
    ui.open("/asset-groups", *groups, "Materialize all")
    ui.shoot("asset-graph")
    ui.open("/locations/kbi/asset-groups/published/lineage", "release", "mart_q1_pass_rate")
    ui.shoot("asset-graph-published")


def test_a_night_launched_by_clicks_is_the_night_of_the_command_line(ui: Ui) -> None:
    run = ui.launch()
    ui.open(f"/runs/{run}")
    ui.page.wait_for("Success\nRun of", seconds=300)
    ui.shoot("run")
    assert [result for _, result, _ in ui.twin.night().lines] == ["unchanged", "taken", "taken"]
    assert ui.folder.release()["known_on"] == "2016-11-08"
    assert ui.folder.marts() == ui.twin.marts()
    assert ui.folder.ledger() == ui.twin.ledger()
    assert ui.folder.quarantined() == ui.twin.quarantined() != {}


def test_checks_are_there_with_their_counts(ui: Ui) -> None:
    shown = ui.open(
        "/assets/validated/personen?view=checks&checkDetail=code_unknown",
        *("code_unknown", "rows_add_up", "Code is not in the list.", "1 of 2 rows quarantined"),
        *("n_violations\n1", "n_rows\n2", "share\n0.5"),
    )
    ui.shoot("check")
    assert "Not Evaluated" not in shown
    ui.open(
        "/assets/marts/mart_q1_pass_rate?view=checks&checkDetail=marts_agree_with_each_other",
        *("Passed", "Outcomes add up to the population", "n_violations\n0"),
    )
    ui.shoot("check-of-a-mart")


def test_a_mart_says_what_it_is(ui: Ui) -> None:
    ((n_rows,),) = ui.folder.rows("select count(*) from marts.mart_q1_pass_rate")
    shown = ui.open(
        "/assets/marts/mart_q1_pass_rate",
        *(f"Row count\n{n_rows:,}", "Freshness policy", "Columns", "n_passed", "policy-reporting@example.org"),
        "Grain: as_of_date, counting_unit, component",
    )
    ui.shoot("mart")
    assert "Raw SQL" not in shown


def test_every_delivery_is_a_partition(ui: Ui) -> None:
    ui.open("/assets/landing/personen?view=partitions", "2016-09-08", "2016-10-08", "2016-11-08", "Materialized (3)")
    ui.shoot("partitions")


def test_while_another_night_runs_the_run_fails_and_says_so(ui: Ui) -> None:
    released = ui.folder.releases()
    with locked_elsewhere(ui.folder):
        run = ui.launch()
        ui.open(f"/runs/{run}")
        ui.page.wait_for("Failure\nRun of", seconds=180)
        ui.open(f"/runs/{run}", "Failure\nRun of", "Another night is running")
        ui.shoot("busy")
    assert ui.folder.releases() == released
