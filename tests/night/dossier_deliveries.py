"""Writes deliveries of dossiers, as a folder or as a zip, with their manifest.

Here: files and hashes of section 4 of the delivery contract. Not here: what a dossier says (``tests/dossiers``).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path


def write_dossiers(
    landing: Path,
    delivery_id: str,
    extracted_at: str,
    files: Mapping[str, bytes],
    *,
    kind: str = "full",
    packed: bool = False,
) -> Path:
    """Write ``landing/<delivery_id>`` with these files and return it."""
    directory = landing / delivery_id
    path = "dossiers.zip" if packed else "dossiers"
    (directory if packed else directory / path).mkdir(parents=True)
    if packed:
        with zipfile.ZipFile(directory / path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in files.items():
                file.writestr(name, content)
        digest = sha256((directory / path).read_bytes()).hexdigest()
    else:
        for name, content in files.items():
            (directory / path / name).write_bytes(content)
        lines = sorted(f"{sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
        digest = sha256("".join(lines).encode()).hexdigest()
    entry = {"extract": "dossiers", "path": path, "format": "kbi-xml", "rows": len(files), "sha256": digest}
    manifest = {
        "delivery_id": delivery_id,
        "extracted_at": extracted_at,
        "kind": kind,
        "synthetic": True,
        "files": [entry],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory
