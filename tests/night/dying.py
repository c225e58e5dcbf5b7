"""``kbi`` in a process that is killed just before it puts one named thing in its place, or takes it away.

    python -m tests.night.dying "replace ledger/2017-05-31" STEPS_FILE night

Here: noting each such step under ``KBI_DATA`` in STEPS_FILE (Dagster's and dbt's own files do not count), and SIGKILL,
which nothing can catch, before the first that begins as said, or is just that (``rmtree work/intake$``), or before the
n-th (``#7``: the seventh). Not here: what must hold afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any


def main(last: str, steps: Path, arguments: list[str]) -> None:
    data = Path(os.environ["KBI_DATA"]).absolute()
    number = count(1)

    def noted(act: str, place: int, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            path = Path(args[place]).absolute()
            if path.is_relative_to(data) and not path.is_relative_to(data / "dagster"):
                step = f"{act} {path.relative_to(data)}"
                if last in (f"#{next(number)}", step[: len(last)], f"{step}$"):
                    os.kill(os.getpid(), signal.SIGKILL)
                with steps.open("a") as file:
                    file.write(step + "\n")
            return real(*args, **kwargs)

        return call

    for module, act, place in ((os, "rename", 1), (os, "replace", 1), (os, "symlink", 1), (shutil, "rmtree", 0)):
        setattr(module, act, noted(act, place, getattr(module, act)))
    from orchestration.cli import main as kbi

    kbi(arguments)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
