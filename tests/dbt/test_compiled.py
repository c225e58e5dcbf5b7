"""What was compiled of the dbt project is read as it lies there now, whichever process compiled it."""

from __future__ import annotations

import json
from pathlib import Path

from orchestration import dbt_runner


def test_what_another_process_compiled_replaces_what_was_read_before(tmp_path: Path) -> None:
    for digest, n in (("before", 1), ("after", 2)):
        (tmp_path / "manifest.json").write_text(json.dumps({"n": n}))
        (tmp_path / "lineage.json").write_text("{}")
        (tmp_path / "digest").write_text(digest)
        assert dbt_runner._read(tmp_path, digest).manifest == {"n": n}
    assert dbt_runner._read(tmp_path, "before") is None
