"""What a delivery says of itself, and how one is refused.

Here: ``manifest.json``, read and checked (spec, extracts section 1), and the one exception by which any step refuses a
delivery whole. Not here: finding deliveries (``deliveries.py``), their bytes (``landing.py``), their rows
(``validation.py``).
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from orchestration.deliveries import MANIFEST, IrregularFileError, open_file
from schemas.extracts import DOSSIERS, EXTRACTS

BRUSSELS = ZoneInfo("Europe/Brussels")
_LARGEST_MANIFEST = 1 << 20
"""Bytes. Fifteen entries take some four thousand."""
_MOST_NAMED = 5
"""Problems of one kind in one message; where there are more, they have one cause."""

FileFormat = Literal["csv", "parquet", "kbi-xml"]
DeliveryKind = Literal["full", "delta"]


class Refusal(Exception):
    """A delivery is refused whole: nothing of it enters the warehouse.

    ``code`` is one of the contract's refusal codes, ``detail`` says for people which file and what to do next and holds
    no row value; ``rule_counts`` gives quarantined rows per (extract, rule) where the refusal is about them.
    """

    def __init__(self, code: str, detail: str, rule_counts: Mapping[tuple[str, str], int] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.rule_counts = dict(rule_counts or {})


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Put ``subject`` (which delivery, which file) before the detail of a refusal raised within."""
    try:
        yield
    except Refusal as refusal:
        raise Refusal(refusal.code, f"{subject}: {refusal.detail}", refusal.rule_counts) from None


@dataclass(frozen=True)
class DeliveredFile:
    """One entry of ``files``: ``rows`` counts data rows (dossier files for ``kbi-xml``), ``path`` is relative.

    ``sha256`` is in lower case.
    """

    extract: str
    path: str
    format: FileFormat
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A valid ``manifest.json``. ``extracted_at`` carries its offset; ``content`` is the bytes that said so."""

    delivery_id: str
    extracted_at: datetime
    kind: DeliveryKind
    synthetic: bool
    files: tuple[DeliveredFile, ...] = field(default_factory=tuple)
    content: bytes = field(default=b"", repr=False, compare=False)

    @property
    def date(self) -> date:
        """The date of the delivery: the calendar date of ``extracted_at`` in Brussels."""
        return self.extracted_at.astimezone(BRUSSELS).date()

    @property
    def order(self) -> tuple[datetime, str]:
        """Deliveries are taken in this order."""
        return self.extracted_at, self.delivery_id

    def file_of(self, extract: str) -> DeliveredFile | None:
        """The file that brings ``extract``, or None where a delta leaves it out."""
        return next((file for file in self.files if file.extract == extract), None)


@dataclass(frozen=True)
class Glimpse:
    """What can be made out of a manifest that need not be valid: None where a part of it cannot be read."""

    extracted_at: datetime | None = None
    kind: DeliveryKind | None = None
    synthetic: bool | None = None
    paths: tuple[str, ...] = ()


def read_manifest(directory: Path, now: datetime) -> Manifest:
    """Read and check the manifest of the delivery in ``directory`` against ``now``, the clock.

    Keys that the contract does not know are left alone: the other party may add some for itself.

    Raises:
        Refusal: ``manifest_invalid``, else ``extract_unknown``, else ``extract_missing``.
    """
    with about(f"Delivery {directory.name}, {MANIFEST}"):
        content = _content(directory)
        text = _parsed(content)
        files = tuple(DeliveredFile(**entry.model_dump()) for entry in text.files)
        manifest = Manifest(text.delivery_id, text.extracted_at, text.kind, text.synthetic, files, content)
        if manifest.delivery_id != directory.name:
            raise _invalid(f"its delivery_id is {manifest.delivery_id}. It must equal the name of the directory.")
        if manifest.extracted_at > now + timedelta(days=1):
            raise _invalid("extracted_at lies more than a day ahead of the clock. Correct it, or the clock here.")
        _check_extracts(manifest)
        return manifest


def glimpse(directory: Path) -> Glimpse:
    """What the manifest in ``directory`` says of itself, valid or not. Never raises for what it says."""
    try:
        content = _content(directory)
        said = json.loads(content.decode("utf-8-sig"))
    except (Refusal, ValueError, RecursionError):
        return Glimpse()
    if not isinstance(said, dict):
        return Glimpse()
    files = said.get("files")
    paths = [file.get("path") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return Glimpse(
        _readable(ExtractedAt, said.get("extracted_at")),
        _readable(DeliveryKind, said.get("kind")),
        _readable(bool, said.get("synthetic")),
        tuple(path for path in (_readable(InnerPath, path) for path in paths) if path),
    )


def _readable(kind: Any, value: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return None


def _content(directory: Path) -> bytes:
    try:
        with open_file(directory, MANIFEST) as file:
            content = file.read(_LARGEST_MANIFEST + 1)
    except IrregularFileError:
        raise _invalid("it, or the directory, is a link or no file. Deliver real directories and files.") from None
    except OSError as error:
        raise _invalid(f"it cannot be read ({error.strerror}). Let the account of the warehouse read it.") from None
    if len(content) > _LARGEST_MANIFEST:
        raise _invalid(f"it is larger than {_LARGEST_MANIFEST >> 20} MiB. A manifest lists files, not their rows.")
    return content


def _parsed(content: bytes) -> _Text:
    try:
        text = _Text.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
        json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repetition)
    except ValidationError as error:
        problems = [
            " ".join([*(str(step) for step in problem["loc"]), problem["msg"].removeprefix("Value error, ")])
            for problem in error.errors(include_url=False, include_input=False)[:_MOST_NAMED]
        ]
        raise _invalid(f"{'; '.join(problems)}. Correct it as the delivery contract has it.") from None
    except ValueError as error:
        raise _invalid(f"{error}. Correct it as the delivery contract has it.") from None
    return text


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if repeated := _repeated(key for key, _ in pairs):
        raise ValueError(f"the key {_some(repeated)} stands twice in one object, so that it is unclear which one holds")
    return dict(pairs)


def _check_extracts(manifest: Manifest) -> None:
    """Refuse files that do not add up to a delivery of tables, or of dossiers."""
    named = [file.extract for file in manifest.files]
    if repeated := _repeated(named):
        raise _invalid(f"files lists {_some(repeated)} more than once. Deliver one file per extract.")
    if any(file.format == "kbi-xml" or file.extract == DOSSIERS.name for file in manifest.files):
        if [(file.extract, file.format) for file in manifest.files] != [(DOSSIERS.name, "kbi-xml")]:
            raise _invalid(
                f"dossiers come alone, as one entry with extract {DOSSIERS.name!r} and format 'kbi-xml'. Deliver them "
                "and tables as deliveries of their own."
            )
        return
    if unknown := [extract for extract in named if extract not in EXTRACTS]:
        raise Refusal(
            "extract_unknown",
            f"files lists {_some(unknown)}. The extracts are {', '.join(EXTRACTS)}.",
        )
    if len({file.path for file in manifest.files}) < len(named):
        raise _invalid("files names one path for two extracts. Deliver one file per extract.")
    missing = [extract for extract in EXTRACTS if extract not in named]
    if manifest.kind == "full" and missing:
        raise Refusal(
            "extract_missing",
            f"a full delivery lists every extract; {', '.join(missing)} is not there. Deliver it too, with 0 rows if "
            "the registry holds none.",
        )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, n in Counter(names).items() if n > 1]


def _some(names: Sequence[str]) -> str:
    """Names that somebody else chose, fit for a message."""
    return ", ".join(repr(name[:64]) for name in names[:_MOST_NAMED])


def _invalid(sentence: str) -> Refusal:
    return Refusal("manifest_invalid", sentence)


# What pydantic holds the JSON against. Apart from the classes above, so that whoever makes a Manifest needs no JSON.


def _moment(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.utcoffset() is None:
            raise ValueError
        moment.astimezone(BRUSSELS)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 moment with its offset, such as 2016-09-08T23:00:00+02:00") from None
    return moment


def _inner(path: str) -> str:
    """Refuse what leads out of the delivery's directory by name. Links show only when opened (``deliveries.py``)."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or parts == (MANIFEST,):
        raise ValueError("must be a relative path to a file inside the delivery's directory, without '..'")
    if "\\" in path or not path.isprintable():
        raise ValueError("may hold no backslash and no control character")
    return str(PurePosixPath(*parts))


ExtractedAt = Annotated[datetime, BeforeValidator(_moment)]
InnerPath = Annotated[str, AfterValidator(_inner)]


class _Entry(BaseModel, strict=True):
    extract: str
    path: InnerPath
    format: FileFormat
    rows: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class _Text(BaseModel, strict=True):
    delivery_id: Annotated[str, Field(pattern="^[0-9A-Za-z._-]{1,64}$")]
    extracted_at: ExtractedAt
    kind: DeliveryKind
    synthetic: bool
    files: list[_Entry]
