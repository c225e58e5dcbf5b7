"""What a run made of the deliveries, as the run itself records it.

Here: one observation of ``registry/deliveries`` per run and attempt, and reading it back: that is how the outcomes
reach the command line, the check at the end of the run and the UI, whoever started the run. Not here: deciding them
(``intake.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from orchestration.intake import Outcome

DELIVERIES_KEY = dg.AssetKey(["registry", "deliveries"])

_CHANGED = "outcomes"
_UNCHANGED = "unchanged"
_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("delivery_id", "string", "Directory of the delivery."),
        dg.TableColumn("result", "string", "taken or refused."),
        dg.TableColumn("code", "string", "Refusal code; empty where taken."),
        dg.TableColumn("detail", "string", "What is wrong and what to do."),
        dg.TableColumn("is_news", "bool", "False: refused before, with the same bytes."),
    ]
)


@dataclass(frozen=True)
class Told:
    """The outcome of one delivery directory, as recorded. ``code``, ``detail``: empty unless refused."""

    delivery_id: str
    result: str
    code: str = ""
    detail: str = ""
    is_news: bool = False


def observation(outcomes: Sequence[Outcome]) -> dg.AssetObservation:
    """The event that records them. Deliveries that were taken long ago are only named: there may be thousands."""
    records = [
        dg.TableRecord(
            {
                "delivery_id": outcome.delivery_id,
                "result": outcome.result,
                "code": outcome.code or "",
                "detail": outcome.detail or "",
                "is_news": outcome.is_news,
            }
        )
        for outcome in outcomes
        if outcome.result != "unchanged"
    ]
    unchanged = [outcome.delivery_id for outcome in outcomes if outcome.result == "unchanged"]
    return dg.AssetObservation(
        DELIVERIES_KEY,
        description="What this run made of every delivery directory.",
        metadata={
            _CHANGED: dg.MetadataValue.table(records, _COLUMNS),
            _UNCHANGED: dg.MetadataValue.json(unchanged),
        },
    )


def outcomes_of(instance: dg.DagsterInstance, run_id: str) -> list[Told]:
    """The outcomes of a run, those taken long ago first. What an attempt that failed took, it took."""
    told: dict[str, Told] = {}
    for event in _observations(instance, run_id):
        for delivery_id in event.metadata[_UNCHANGED].value:
            told.setdefault(delivery_id, Told(delivery_id, "unchanged"))
        for record in event.metadata[_CHANGED].records:
            told[record.data["delivery_id"]] = Told(**record.data)
    return list(told.values())


def _observations(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.AssetObservation]:
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION):
        event = entry.get_dagster_event().asset_observation_data.asset_observation
        if event.asset_key == DELIVERIES_KEY and _CHANGED in event.metadata:
            yield event
