"""Settings from the environment, validated once.

Here: where things lie and the few numbers an operator may turn. Not here: any rule about rows (``schemas/``) or
figures (``dbt_project/``). Nothing else in the project reads ``os.environ``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"


class SettingsError(Exception):
    """A setting is unusable; the message names the variable and the remedy."""


def _absolute(path: Path) -> Path:
    return Path(path).expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Everything an operator sets, from ``KBI_*`` variables. Paths are made absolute against the working directory.

    ``landing``: where deliveries appear. ``data``: everything this warehouse keeps.
    ``max_quarantine_rate``: share (0–1) of an extract's delivered rows that may be quarantined.
    ``max_volume_drop``: share (0–1) of an extract's known rows that a full delivery may lack.
    ``pseudonym_key_file``: 256-bit key; where unset, ``data``/pseudonym.key, created for synthetic deliveries only.
    ``memory_limit``: what DuckDB may use before it spills, in DuckDB's notation.
    """

    model_config = SettingsConfigDict(
        env_prefix="KBI_", env_ignore_empty=True, frozen=True, extra="ignore", validate_default=True
    )

    landing: AbsolutePath = Path("landing")
    data: AbsolutePath = Path("data")
    max_quarantine_rate: float = Field(0.05, ge=0, le=1)
    max_volume_drop: float = Field(0.20, ge=0, le=1)
    pseudonym_key_file: AbsolutePath | None = None
    memory_limit: str = Field("700MB", pattern=r"^[1-9][0-9]*(MB|GB)$")

    # Where each step keeps its things. Restricted zones (0700) may hold INSZ numbers; the others never do. Rows about
    # persons, pseudonymised or not, are for the owner only; what others read is below ``published``.
    @property
    def archive(self) -> Path:
        """Restricted. The bytes as delivered, write-once: ``landing/<delivery_id>/``."""
        return self.data / "landing"

    @property
    def quarantine(self) -> Path:
        """Restricted. Quarantined rows with their original fields: ``quarantine/<delivery_id>/<extract>.parquet``."""
        return self.data / "quarantine"

    @property
    def withdrawn(self) -> Path:
        """Restricted. Bytes of deliveries that were taken and then withdrawn: evidence, and never taken again."""
        return self.data / "withdrawn"

    def withdrawn_bytes(self, delivery_id: str, fingerprint: str) -> Path:
        """Where the bytes of one withdrawn delivery lie; others of the same id may be withdrawn later."""
        return self.withdrawn / fingerprint[:16] / delivery_id

    @property
    def tombstones(self) -> Path:
        """By what erased persons are recognised again: keyed hashes, for the owner only."""
        return self.data / "tombstones.parquet"

    @property
    def work(self) -> Path:
        """Restricted. Scratch of whatever runs, each with a part of its own that it sweeps, and texts of errors."""
        return self.data / "work"

    @property
    def validated(self) -> Path:
        """For the owner only. What each delivery changed, with pseudonyms: ``validated/<delivery_id>/``."""
        return self.data / "validated"

    @property
    def ledger(self) -> Path:
        """One JSON per delivery directory: its latest status. Writing it is what commits a delivery."""
        return self.data / "ledger"

    @property
    def warehouse(self) -> Path:
        """For the owner only. What dbt built last and whose checks passed: rows about persons, pseudonymised."""
        return self.data / "warehouse.duckdb"

    @property
    def build_due(self) -> Path:
        """There when the warehouse is out of date although ledger and code are as it was built from."""
        return self.warehouse.with_suffix(".due")

    @property
    def dbt_target(self) -> Path:
        """dbt's own files of the build that runs; two builds at once need one each."""
        return self.data / "dbt" / "target"

    @property
    def revisions(self) -> Path:
        """Differences between the figures of consecutive deliveries, by cause: counts only."""
        return self.data / "revisions"

    @property
    def published(self) -> Path:
        """Releases, and ``current`` pointing at the one being served."""
        return self.data / "published"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage, the same for every way to run."""
        return self.data / "dagster"

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """The folders of ``data`` in which nobody else may put anything."""
        zones = (self.archive, self.quarantine, self.withdrawn, self.work, self.validated, self.ledger)
        return (*zones, self.revisions, self.published, self.dagster_home, self.dbt_target.parent)

    @property
    def lock_file(self) -> Path:
        """Held by the one night that runs."""
        return self.data / "night.lock"


def cannot_write(data: Path, error: OSError) -> SettingsError:
    """What to say when ``KBI_DATA`` cannot be written."""
    return SettingsError(
        f"KBI_DATA: {data} cannot be written ({error.strerror}). Point KBI_DATA to a folder of your own."
    )


def load_settings() -> Settings:
    """Read and validate the environment.

    Raises:
        SettingsError: naming each unusable variable and what was wrong with it.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        problems = "; ".join(f"KBI_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"Unusable settings. {problems}. See the README, 'Settings'.") from None
    landing, data = settings.landing.resolve(), settings.data.resolve()
    if landing == data or any(landing.is_relative_to(zone.resolve()) for zone in settings.own_folders):
        raise SettingsError(
            f"KBI_LANDING: {settings.landing} is where KBI_DATA keeps things of its own, which would take the place of "
            "what is delivered. Have deliveries put elsewhere."
        )
    return settings
