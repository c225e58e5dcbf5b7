"""Assets made by Python: what deliveries bring (landing, quarantine, validated), and the release.

Here: what Dagster shows of intake and publication, and the steps that run them. Not here: any of that work itself, and
the models between (``dbt_assets.py``).

Landing, quarantine and validated assets are partitioned by delivery and materialized by the step ``ingest``, which
knows only when it runs which deliveries there are: it takes all that are waiting, in order, each through all its
stages before the next. A step with a partition to choose could not be launched before the first delivery, nor take the
deliveries in their order; so the one that these assets have, ``retake``, is no part of a night: launched for a delivery
that was taken, it takes it again from the archive and sees that it gives the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg
from pydantic import Field

from orchestration import publication, retaking
from orchestration.checks import rule_results, rule_specs
from orchestration.failures import told_to_people
from orchestration.history import changes_of
from orchestration.intake import Outcome, take_waiting
from orchestration.ledger import Entry, Ledger
from orchestration.marts import MARTS
from orchestration.outcomes import DELIVERIES_KEY, observation
from orchestration.progress import reporter
from orchestration.settings import Settings
from schemas import DOSSIERS, EXTRACTS

DELIVERIES = dg.DynamicPartitionsDefinition(name="deliveries")
DATA_ENGINEERING = "data-engineering@example.org"
POLICY_REPORTING = "policy-reporting@example.org"
NIGHT = "night"
"""Key of the resource that holds the lock during a run and gives the settings."""

REVISIONS_KEY = dg.AssetKey(["registry", "revisions"])
"""Made by the step ``build``, from deliveries; a source of the dbt project like those of ``ingest``."""

MART_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=4), warn_window=timedelta(hours=36))
"""A night without marts is noticed the next day; four days without any span the longest week-end."""


def partition_key(delivery_id: str) -> str:
    """The delivery's partition. Dagster reserves three dots in a row for ranges; a delivery id may hold them."""
    return delivery_id.replace("...", "…")


def revisions_spec() -> dg.AssetSpec:
    """What the deliveries revise."""
    revised = "What each delivery changed in the counts of days before it, by cause."
    return _registry_spec(REVISIONS_KEY.path[-1], "validated", revised, "validated")


def _delivery_specs() -> list[dg.AssetSpec]:
    """Landing, quarantine and validated assets of every extract."""
    specs = []
    for extract in (*EXTRACTS.values(), DOSSIERS):
        landing = dg.AssetKey(["landing", extract.name])
        from_landing = [landing] if extract is DOSSIERS else [landing, dg.AssetKey(["landing", DOSSIERS.name])]
        specs.append(_spec(landing, f"{extract.title}: the bytes as delivered, write-once.", [], {"file"}))
        specs.append(
            _spec(
                dg.AssetKey(["quarantine", extract.name]),
                f"{extract.title}: rows that broke a rule, with all codes and their original fields. Restricted; "
                "query them as quality.quarantined_rows.",
                from_landing,
                {"parquet", "pandera"},
            )
        )
        if extract is not DOSSIERS:
            specs.append(
                _spec(
                    dg.AssetKey(["validated", extract.name]),
                    f"{extract.title}: what the delivery changed in the state of the registry, with pseudonyms.",
                    from_landing,
                    {"parquet", "pandera"},
                )
            )
    return specs


def _spec(key: dg.AssetKey, description: str, deps: list[dg.AssetKey], kinds: set[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name=key.path[0],
        owners=[DATA_ENGINEERING],
        kinds=kinds,
        partitions_def=DELIVERIES,
        # A delivery need not bring every extract.
        skippable=True,
    )


def _registry_spec(name: str, group: str, description: str, upstream: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        dg.AssetKey(["registry", name]),
        deps=[dg.AssetKey([upstream, extract]) for extract in EXTRACTS],
        description=description,
        group_name=group,
        owners=[DATA_ENGINEERING],
        kinds={"duckdb", "python"},
    )


class Intake(dg.Config):
    """Deliveries whose drop in volume somebody has looked at and accepts, by delivery id."""

    accept_volume: list[str] = Field(default_factory=list)


@dg.multi_asset(
    name="ingest",
    specs=[
        _registry_spec("deliveries", "landing", "One row per delivery directory, its latest status.", "landing"),
        _registry_spec(
            "quarantined_rows", "quarantine", "Every quarantined row; a view, stores nothing.", "quarantine"
        ),
        _registry_spec(
            "reconciliation", "validated", "Rows per delivery and extract, and where they went.", "validated"
        ),
        _registry_spec("knowledge", "validated", "The last delivery that counts, and its date.", "validated"),
    ],
    check_specs=list(rule_specs()),
    can_subset=True,
    allow_arbitrary_check_specs=True,
    required_resource_keys={NIGHT},
)
def ingest(context: dg.AssetExecutionContext, config: Intake) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """Take every waiting delivery, in order: land, validate and commit one before the next is looked at."""
    settings: Settings = context.resources.night
    if not context.selected_asset_keys:
        yield from _checks_alone(context, Ledger(settings.ledger).taken())
        return
    outcomes: list[Outcome] = []
    say = reporter(context.log)
    with told_to_people(settings):
        try:
            waiting = take_waiting(settings, accept_volume=frozenset(config.accept_volume), report=say)
            for outcome in waiting:
                outcomes.append(outcome)
                if outcome.result == "taken":
                    _materialize(context, settings, outcome.entry)
        finally:
            context.log_event(observation(outcomes))
        entries = Ledger(settings.ledger).entries()
        taken = [entry for entry in entries if entry.status == "taken"]
        # What a killed run took and could not tell any more.
        told = set(context.instance.get_dynamic_partitions(DELIVERIES.name))
        for entry in taken:
            if partition_key(entry.delivery_id) not in told:
                _materialize(context, settings, entry)
    if not outcomes:
        say(f"There is no delivery in {settings.landing}: nothing to take.")
    counts = {
        "deliveries": len(entries),
        "reconciliation": sum(len(entry.reconciliation) for entry in taken),
        "quarantined_rows": sum(account.n_quarantined for entry in taken for account in entry.reconciliation),
        "knowledge": min(len(taken), 1),
    }
    for name, n_rows in counts.items():
        key = dg.AssetKey(["registry", name])
        if key in context.selected_asset_keys:
            # Equal versions: a night without news leaves nothing downstream out of date.
            version = dg.DataVersion(_identity(entries if name == "deliveries" else taken))
            yield dg.MaterializeResult(key, metadata={"dagster/row_count": n_rows}, data_version=version)
    # On a night without a new delivery the checks say again what the last one was like.
    of_this_run = [outcome.entry for outcome in outcomes if outcome.result == "taken"] or taken[-1:]
    for result in rule_results(of_this_run):
        if dg.AssetCheckKey(result.asset_key, result.check_name) in context.selected_asset_check_keys:
            yield result
        else:
            # Launched from the UI a run names no check of assets that no step makes. Their results are known all the
            # same, and without them the UI would say of what was just taken that nobody looked at it.
            context.log_event(result.to_asset_check_evaluation(context.get_step_execution_context()))


def _identity(entries: Sequence[Entry]) -> str:
    return hashlib.sha256("\n".join(entry.model_dump_json() for entry in entries).encode()).hexdigest()[:16]


def _checks_alone(context: dg.AssetExecutionContext, taken: Sequence[Entry]) -> Iterator[dg.AssetCheckResult]:
    """Say what the rows of the run's delivery, or else the last one, were like; take nothing."""
    entries = taken[-1:]
    if context.has_partition_key:
        entries = [entry for entry in taken if partition_key(entry.delivery_id) == context.partition_key]
    for result in rule_results(entries):
        if dg.AssetCheckKey(result.asset_key, result.check_name) in context.selected_asset_check_keys:
            yield result


def _materialize(context: dg.AssetExecutionContext, settings: Settings, entry: Entry) -> None:
    """Tell what a delivery made of every extract, as materializations of its partition, in counts."""
    key = partition_key(entry.delivery_id)
    for asset, metadata in _accounts(settings, entry).items():
        context.log_event(dg.AssetMaterialization(asset, partition=key, metadata=metadata))
    # Last: a delivery whose partition is there has been told in full.
    context.instance.add_dynamic_partitions(DELIVERIES.name, [key])


def _accounts(settings: Settings, entry: Entry) -> dict[dg.AssetKey, dict[str, int]]:
    """What a delivery made of every extract that it brought, in counts."""
    has_dossiers = any(account.extract == DOSSIERS.name for account in entry.reconciliation)
    accounts = {}
    for account in entry.reconciliation:
        extract = account.extract
        accounts["quarantine", extract] = {
            "dagster/partition_row_count": account.n_quarantined,
            **entry.rule_counts.get(extract, {}),
        }
        if extract == DOSSIERS.name or not has_dossiers:
            accounts["landing", extract] = {"dagster/partition_row_count": account.n_delivered}
        if extract in EXTRACTS:
            changes = changes_of(settings.validated / entry.delivery_id, extract)
            accounts["validated", extract] = {
                "dagster/partition_row_count": changes.n_versions,
                "n_ended": changes.n_ended,
                "n_accepted": account.n_accepted,
                "n_quarantined": account.n_quarantined,
                "n_duplicates": account.n_duplicates,
            }
    return {dg.AssetKey(path): metadata for path, metadata in accounts.items()}


@dg.multi_asset(name="retake", specs=_delivery_specs(), can_subset=True, required_resource_keys={NIGHT})
def retake(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """Take one delivery again from the archive; where it gives something else, replace it and all after it."""
    settings: Settings = context.resources.night
    say = reporter(context.log)
    with told_to_people(settings):
        retaken = retaking.rematerialize(settings, context.partition_key.replace("…", "..."), say)
        accounts = _accounts(settings, retaken.entry)
    if retaken.is_same:
        say(f"{retaken.entry.delivery_id}: taken again, with the same result")
    else:
        say(f"{retaken.entry.delivery_id}: replaced. The job `night` builds and publishes what follows from it.")
    for asset in sorted(context.selected_asset_keys & accounts.keys()):
        yield dg.MaterializeResult(asset, metadata={**accounts[asset], "is_same": retaken.is_same})


RELEASE_KEY = dg.AssetKey(["published", "release"])


@dg.asset(
    key=RELEASE_KEY,
    deps=[dg.AssetKey(["marts", mart]) for mart in MARTS],
    group_name="published",
    owners=[POLICY_REPORTING],
    kinds={"duckdb", "parquet"},
    required_resource_keys={NIGHT},
    freshness_policy=MART_FRESHNESS,
)
def release(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The marts as BI tools read them: a directory that never changes, and `published/current` pointing at it."""
    settings: Settings = context.resources.night
    with told_to_people(settings):
        published = publication.publish(settings)
        manifest = published.manifest
        is_held = publication.rollback_in_force(settings)
    said = "stays served, rolled back to and nothing new since:" if is_held else "published"
    reporter(context.log)(f"{said} {published.release_id}, known on {manifest['known_on']}")
    return dg.MaterializeResult(
        metadata={
            "release_id": published.release_id,
            "known_on": manifest["known_on"],
            "synthetic": manifest["synthetic"],
            "directory": dg.MetadataValue.path(published.directory),
            "marts": dg.MetadataValue.table(
                [dg.TableRecord({k: mart[k] for k in ("name", "rows", "content_sha256")}) for mart in manifest["marts"]]
            ),
            "dagster/row_count": sum(mart["rows"] for mart in manifest["marts"]),
        }
    )


__all__ = [
    "DELIVERIES",
    "DELIVERIES_KEY",
    "RELEASE_KEY",
    "REVISIONS_KEY",
    "ingest",
    "partition_key",
    "release",
    "retake",
    "revisions_spec",
]
