"""A release: what is in it, when one is due, and that a reader never sees half of one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

from orchestration import marts, publication
from orchestration.ledger import Ledger
from orchestration.marts import MARTS, PublicationError
from orchestration.publication import code_version, current, needs_publication, publish
from orchestration.settings import DBT_PROJECT, Settings
from tests.publication.nights import KNOWN_ON, TABLES, built, data_folder, taken
from tests.reference.marts import GRAINS


@pytest.fixture
def night(tmp_path, monkeypatch) -> Settings:
    use_code(monkeypatch, "this")
    return data_folder(tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Settings:
    """A night that has published; the warehouse is gone, so that nothing can be read from it."""
    settings = data_folder(tmp_path_factory.mktemp("released"))
    with duckdb.connect(settings.warehouse) as connection:
        connection.execute("comment on table marts.mart_q1_pass_rate is 'It''s Q1'")
        connection.execute("comment on column marts.mart_non_success_reasons.share is 'n / n_non_success'")
    with pytest.MonkeyPatch.context() as patch:
        use_code(patch, "the code")
        publish(settings)
    settings.warehouse.unlink()
    return settings


def internal(settings: Settings) -> Path:
    return settings.published / "current" / "internal"


def use_code(monkeypatch, version_of_code: str) -> None:
    monkeypatch.setattr(publication, "code_version", lambda: version_of_code)


# What is in a release


def test_a_release_holds_these_files_and_no_others(released):
    release = current(released)
    files = {path.relative_to(release.directory).as_posix() for path in release.directory.rglob("*") if path.is_file()}
    parquet = {f"internal/parquet/{mart}.parquet" for mart in MARTS}
    assert files == {"manifest.json", "internal/kbi_marts.duckdb", *parquet}
    assert sorted(path.name for path in released.published.iterdir()) == [release.release_id, "current"]
    link = released.published / "current"
    assert link.is_symlink()
    assert link.readlink() == Path(release.release_id), (
        "relative, so that the folder can be moved and mounted elsewhere"
    )


def test_the_manifest_tells_what_it_was_made_of(released):
    manifest = current(released).manifest
    entry = Ledger(released.ledger).taken()[0]
    assert list(manifest) == [
        "release_id", "created_at", "known_on", "synthetic", "deliveries", "code_version",
        "changed_definitions", "definitions", "engines", "marts",
    ]  # fmt: skip
    assert manifest["changed_definitions"] == [], "there is no release before it"
    assert "dbt_project/models/marts/mart_q1_pass_rate.sql" in manifest["definitions"]
    assert manifest["known_on"] == "2018-03-15"
    assert manifest["synthetic"] is True
    assert abs(datetime.now(UTC) - datetime.fromisoformat(manifest["created_at"])) < timedelta(hours=1)
    assert manifest["deliveries"] == [
        {"delivery_id": "2018-03-15", "extracted_at": "2018-03-15T20:00:00+00:00", "sha256": entry.fingerprint}
    ]
    assert manifest["code_version"] == "the code"
    assert manifest["release_id"].startswith("2018-03-15.01-")
    assert manifest["engines"]["duckdb"] == duckdb.__version__
    assert manifest["engines"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"duckdb", "dbt-core", "dbt-duckdb", "dagster", "pandera", "polars", "pyarrow"} < set(manifest["engines"])
    assert manifest["engines"]["dagster"] == version("dagster")


def test_the_same_rows_in_warehouse_file_and_parquet(released):
    with (
        duckdb.connect(built(), read_only=True) as warehouse,
        duckdb.connect(internal(released) / "kbi_marts.duckdb", read_only=True) as published,
    ):
        for told in current(released).manifest["marts"]:
            mart, order = told["name"], ", ".join(MARTS[told["name"]])
            rows = warehouse.execute(f"from marts.{mart} order by {order}").fetchall()
            assert len(rows) == told["rows"] and (rows or mart == "mart_revisions")
            # Without `order by`: the tables and files are in the order of their grain.
            assert published.execute(f"from marts.{mart}").fetchall() == rows
            parquet = pq.read_table(internal(released) / "parquet" / f"{mart}.parquet")
            assert [tuple(row.values()) for row in parquet.to_pylist()] == rows
            described = [row[:2] for row in warehouse.execute(f"describe marts.{mart}").fetchall()]
            assert [row[:2] for row in published.execute(f"describe marts.{mart}").fetchall()] == described
            assert parquet.column_names == [name for name, _ in described]


def test_the_published_file_holds_the_marts_and_nothing_else(released):
    with duckdb.connect(internal(released) / "kbi_marts.duckdb", read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        assert sorted(tables) == sorted(("marts", mart) for mart in MARTS)
        assert connection.execute("select count(*) from duckdb_views() where not internal").fetchone() == (0,)
        for mart in MARTS:
            (n_rows,) = connection.execute(f"select count(*) from marts.{mart}").fetchone()
            assert n_rows > 0 or mart == "mart_revisions", "one delivery revises nothing"


def test_any_duckdb_from_1_0_on_can_open_it(released):
    """Its main header gives the storage version as a little-endian integer: 64 is what 1.0 writes and reads."""
    with (internal(released) / "kbi_marts.duckdb").open("rb") as file:
        header = file.read(20)
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64
    assert not list(internal(released).glob("*.wal"))


def test_comments_come_along(released):
    with duckdb.connect(internal(released) / "kbi_marts.duckdb", read_only=True) as connection:
        (table,) = connection.execute(
            "select comment from duckdb_tables() where table_name = 'mart_q1_pass_rate'"
        ).fetchone()
        (column,) = connection.execute(
            "select comment from duckdb_columns()"
            " where table_name = 'mart_non_success_reasons' and column_name = 'share'"
        ).fetchone()
    assert table == "It's Q1"
    assert column == "n / n_non_success"


def test_nothing_in_it_is_about_a_person(released):
    """No identifier of a person, contract or document among all values, and no column that could hold one."""
    identifiers = {
        value
        for rows in TABLES.values()
        for row in rows
        for column, value in row.items()
        if value and (column.endswith(("_id", "_key")) or column == "kbi_nummer")
    }
    assert len(identifiers) > 500
    columns: set[str] = set()
    for mart in MARTS:
        table = pq.read_table(internal(released) / "parquet" / f"{mart}.parquet")
        columns |= {name for name in table.column_names if not name.startswith(("n_", "pass_rate"))}
        for name in table.column_names:
            assert not identifiers & {str(value) for value in table[name].unique().to_pylist()}, (mart, name)
    assert columns == {
        "as_of_date", "known_on", "counting_unit", "component", "participation_type", "reason", "n", "share",
        "certified_passed_rate", "uncertified_passed_rate", "uncertified_failed_rate", "certified_failed_rate",
        "certified_rate", "passed_rate", "regime_code", "cohort_quarter", "sex", "age_group", "nationality_group",
        "region", "agency_kbo", "outcome", "delivery_id", "previous_delivery_id", "mart", "measure", "old_value",
        "new_value", "difference", "known_before", "known_after",
    }  # fmt: skip


# Identity of the content


def test_anyone_can_recompute_the_hash_of_the_rows(released, tmp_path):
    for told in current(released).manifest["marts"]:
        parquet = internal(released) / "parquet" / f"{told['name']}.parquet"
        # The recipe of docs/publication.md, in DuckDB …
        text = tmp_path / "rows.csv"
        duckdb.execute(f"copy (from '{parquet}') to '{text}' (header)")
        assert hashlib.sha256(text.read_bytes()).hexdigest() == told["content_sha256"]
        # … and without any engine's own CSV.
        table = pq.read_table(parquet)
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))
        assert hashlib.sha256(written.getvalue().encode()).hexdigest() == told["content_sha256"]


def test_another_value_gives_another_hash(night):
    before = {mart["name"]: mart["content_sha256"] for mart in publish(night).manifest["marts"]}
    with duckdb.connect(night.warehouse) as connection:
        connection.execute("update marts.mart_q5_completed_not_certified set n_failed_both = n_failed_both + 1")
    shutil.rmtree(night.published)
    after = {mart["name"]: mart["content_sha256"] for mart in publish(night).manifest["marts"]}
    assert {mart for mart in MARTS if after[mart] != before[mart]} == {"mart_q5_completed_not_certified"}


@pytest.mark.parametrize("large", [0, marts._LARGE])
def test_the_same_rows_give_the_same_bytes(night, tmp_path, monkeypatch, large):
    """Whatever the order in which the warehouse stores them, how they are put in order, and how many threads write."""
    shuffled = data_folder(tmp_path / "shuffled")
    with duckdb.connect(shuffled.warehouse) as connection:
        for mart in MARTS:
            connection.execute(f"create table t as from marts.{mart} order by hash({mart})")
            connection.execute(f"delete from marts.{mart}")
            connection.execute(f"insert into marts.{mart} from t")
            connection.execute("drop table t")
    publish(night)
    engine = publication._engine
    monkeypatch.setattr(publication, "_engine", lambda settings: {**engine(settings), "threads": 1})
    monkeypatch.setattr(marts, "_LARGE", large)
    publish(shuffled)
    for mart in MARTS:
        one, other = (internal(settings) / "parquet" / f"{mart}.parquet" for settings in (night, shuffled))
        assert one.read_bytes() == other.read_bytes(), mart
    one, other = (current(settings).manifest for settings in (night, shuffled))
    assert {k: one[k] for k in one if k != "created_at"} == {k: other[k] for k in other if k != "created_at"}


# When a release is due


def test_due_after_a_delivery_or_a_change_of_code_and_only_then(night, monkeypatch):
    assert needs_publication(night)
    publish(night)
    assert not needs_publication(night)
    Ledger(night.ledger).record(taken(date(2018, 4, 1), status="refused", taken_at=None, refusal_code="file_missing"))
    assert not needs_publication(night), "a refused delivery changes nothing"
    use_code(monkeypatch, "another")
    assert needs_publication(night)
    use_code(monkeypatch, "this")
    assert not needs_publication(night)
    Ledger(night.ledger).record(taken(date(2018, 4, 1)))
    assert needs_publication(night)


def test_nothing_is_due_before_the_first_delivery(tmp_path):
    settings = Settings(data=tmp_path)
    assert not needs_publication(settings)
    assert current(settings) is None


def test_publishing_again_is_the_same_release(night):
    release = publish(night)
    written = {path: path.stat().st_mtime_ns for path in release.directory.rglob("*")}
    assert publish(night).release_id == release.release_id
    assert {path: path.stat().st_mtime_ns for path in release.directory.rglob("*")} == written
    assert sorted(path.name for path in night.published.iterdir()) == [release.release_id, "current"]


def test_other_code_on_the_same_day_is_a_release_of_its_own_and_the_old_one_stays(night, monkeypatch):
    first = publish(night)
    use_code(monkeypatch, "another")
    second = publish(night)
    assert current(night).release_id == second.release_id
    assert first.release_id.split("-")[:3] == ["2018", "03", "15.01"]
    assert second.release_id.split("-")[:3] == ["2018", "03", "15.02"]
    assert (first.directory / "manifest.json").exists()
    use_code(monkeypatch, "this")
    assert publish(night).release_id == first.release_id, "back to code that has published this"
    assert current(night).release_id == first.release_id


def test_the_version_of_the_code_is_that_of_its_files(tmp_path):
    for path, text in {
        "pyproject.toml": '[project]\nversion = "1.2.3"\n',
        "requirements.lock": "a==1\n",
        "orchestration/a.py": "a = 1\n",
        "schemas/b.py": "b = 1\n",
        "dbt_project/models/c.sql": "select 1\n",
        "dbt_project/seeds/d.csv": "d\n1\n",
        "dbt_project/target/compiled/c.sql": "select 1\n",
        "README.md": "read me\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    before = code_version(tmp_path)
    assert before.startswith("1.2.3+")
    for path, counts in {
        "requirements.lock": True,
        "orchestration/a.py": True,
        "schemas/b.py": True,
        "dbt_project/models/c.sql": True,
        "dbt_project/seeds/d.csv": True,
        "dbt_project/target/compiled/c.sql": False,
        "README.md": False,
    }.items():
        text = (tmp_path / path).read_text()
        (tmp_path / path).write_text(text + "\n")
        assert (code_version(tmp_path) != before) == counts, path
        (tmp_path / path).write_text(text)
    (tmp_path / "schemas" / "b.py").rename(tmp_path / "schemas" / "e.py")
    assert code_version(tmp_path) != before


# Whole or not at all


class Killed(BaseException):
    """As after SIGKILL: nothing in the product may catch it."""


def _calls(monkeypatch, kill_at: int | None) -> list[str]:
    """Counts the steps that touch the disk for good; the ``kill_at``-th does not happen."""
    calls: list[str] = []

    def counted(target, name):
        original = getattr(target, name)

        def step(*arguments, **options):
            if len(calls) == kill_at:
                raise Killed
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(target, name, step)

    for target, name in (
        (Path, "rename"), (Path, "symlink_to"), (Path, "write_text"), (publication, "content_sha256"),
        (publication, "copy_marts"), (publication, "export_marts"),
    ):  # fmt: skip
        counted(target, name)
    return calls


def test_a_night_killed_anywhere_leaves_the_old_release_and_the_next_night_completes(tmp_path, monkeypatch):
    monkeypatch.setattr(publication, "sync", lambda path: None)
    steps = 0
    while True:
        night = data_folder(tmp_path / str(steps))
        with monkeypatch.context() as patch:
            use_code(patch, "old")
            old = publish(night)
        with monkeypatch.context() as patch:
            use_code(patch, "new")
            _calls(patch, kill_at=steps)
            try:
                publish(night)
            except Killed:
                killed = True
            else:
                killed = False
        if not killed:
            break
        assert current(night).release_id == old.release_id
        with monkeypatch.context() as patch:
            use_code(patch, "new")
            assert needs_publication(night)
            new = publish(night)
            assert not needs_publication(night)
        assert current(night).release_id == new.release_id
        assert new.release_id.startswith("2018-03-15.02-")
        assert {path.name for path in night.published.iterdir()} == {old.release_id, new.release_id, "current"}
        shutil.rmtree(night.data)
        steps += 1
    assert steps == 2 + len(MARTS) + 1 + 1 + 1 + 1  # copy, export, hashes, manifest, rename, link, swap


def test_all_of_it_is_on_disk_before_it_is_named_and_named_before_it_is_served(night, monkeypatch):
    events: list[tuple[str, str]] = []
    sync, rename = publication.sync, Path.rename

    def synced(path):
        events.append(("synced", path.name))
        sync(path)

    def renamed(path, target):
        events.append(("renamed", target.name))
        return rename(path, target)

    monkeypatch.setattr(publication, "sync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    release = publish(night)
    named = events.index(("renamed", release.release_id))
    files = {("synced", path.name) for path in release.directory.rglob("*")} | {("synced", ".partial")}
    assert set(events[:named]) == files
    assert events[named + 1 :] == [("synced", "published"), ("renamed", "current"), ("synced", "published")]


def test_a_reader_keeps_the_release_it_has_open(night, monkeypatch):
    publish(night)
    reads = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(connection.execute("select sum(n) from marts.mart_non_success_reasons").fetchone()[0], flush=True)
"""
    file = str(internal(night) / "kbi_marts.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", reads, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:

        def asked() -> int:
            reader.stdin.write("\n")
            reader.stdin.flush()
            return int(reader.stdout.readline())

        before = asked()
        with duckdb.connect(night.warehouse) as connection:
            connection.execute("update marts.mart_non_success_reasons set n = n + 1")
        use_code(monkeypatch, "another")
        publish(night)
        assert asked() == before
        with duckdb.connect(file, read_only=True) as connection:
            (after,) = connection.execute("select sum(n) from marts.mart_non_success_reasons").fetchone()
        reader.stdin.close()
    assert after > before


# What is not published


@pytest.mark.parametrize("mart", [mart for mart in MARTS if mart != "mart_revisions"])
def test_a_missing_or_empty_mart_is_not_published(night, mart):
    for damage in (f"delete from marts.{mart}", f"drop table marts.{mart}"):
        with duckdb.connect(night.warehouse) as connection:
            connection.execute(damage)
        with pytest.raises(PublicationError, match=f"marts.{mart} is missing or empty"):
            publish(night)
        assert current(night) is None


def test_a_warehouse_of_other_deliveries_is_not_published(night):
    old = publish(night)
    Ledger(night.ledger).record(taken(date(2018, 4, 1)))
    with pytest.raises(PublicationError, match="not of the deliveries"):
        publish(night)
    assert current(night).release_id == old.release_id


def test_a_delivery_that_counts_but_changed_since_is_one_of_the_warehouse(night):
    with duckdb.connect(night.warehouse) as connection:
        connection.execute("update registry.deliveries set status = 'refused', refusal_code = 'delivery_changed'")
    assert publish(night).manifest["deliveries"][0]["delivery_id"] == KNOWN_ON.isoformat()


def test_without_a_warehouse_there_is_nothing_to_publish(night):
    night.warehouse.unlink()
    with pytest.raises(PublicationError, match="no warehouse"):
        publish(night)


def test_the_marts_and_their_grains_are_those_of_dbt_and_of_the_definitions():
    declared = {}
    for path in (DBT_PROJECT / "models" / "marts").glob("*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", ()):
            for test in model.get("data_tests", ()):
                if isinstance(test, dict) and "unique_grain" in test:
                    declared[model["name"]] = tuple(test["unique_grain"]["arguments"]["columns"])
    assert len(declared) >= 6
    assert declared.items() <= MARTS.items()
    assert {mart: grain for mart, grain in MARTS.items() if mart != "mart_revisions"} == GRAINS


def test_a_manifest_is_json_for_people(released):
    text = (current(released).directory / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(text) == current(released).manifest
    assert text.count("\n") > 30
