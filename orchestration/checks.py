"""Asset checks on deliveries: every row rule per extract, the row accounting, and whether all deliveries were taken.

Here: the checks' specifications and their results as counts (never a row value). Not here: the rules (``schemas/``),
and the checks on models, which are dbt's data tests (``dbt_assets.py``).
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from orchestration.ledger import Entry
from orchestration.outcomes import DELIVERIES_KEY, outcomes_of
from schemas import DOSSIERS, EXTRACTS, RULES, Extract, applicable

ROWS_ADD_UP = "rows_add_up"
NO_DELIVERY_REFUSED = "no_delivery_refused"


def judged_asset(extract: Extract) -> dg.AssetKey:
    """The asset on which the rules of an extract are checked: dossiers have no validated rows of their own."""
    return dg.AssetKey(["quarantine" if extract is DOSSIERS else "validated", extract.name])


def rule_specs() -> Iterator[dg.AssetCheckSpec]:
    """One check per extract and rule that its rows can break, and one on its row accounting."""
    for extract in (*EXTRACTS.values(), DOSSIERS):
        asset = judged_asset(extract)
        for code in applicable(extract):
            rule = RULES[code]
            yield dg.AssetCheckSpec(
                code, asset=asset, description=f"{rule.title}. {rule.sentence} What to do: {rule.remedy}"
            )
        yield dg.AssetCheckSpec(
            ROWS_ADD_UP,
            asset=asset,
            description="Rows delivered = rows accepted + rows quarantined + exact duplicates.",
            blocking=True,
        )


def rule_results(entries: Sequence[Entry]) -> Iterator[dg.AssetCheckResult]:
    """The results of all ``rule_specs``, summed over these taken deliveries."""
    deliveries = dg.MetadataValue.text(", ".join(entry.delivery_id for entry in entries) or "none yet")
    for extract in (*EXTRACTS.values(), DOSSIERS):
        asset = judged_asset(extract)
        accounts = [account for entry in entries for account in entry.reconciliation if account.extract == extract.name]
        n_rows = sum(account.n_delivered for account in accounts)
        for code in applicable(extract):
            n_violations = sum(entry.rule_counts.get(extract.name, {}).get(code, 0) for entry in entries)
            yield dg.AssetCheckResult(
                passed=n_violations == 0,
                asset_key=asset,
                check_name=code,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"{n_violations:,} of {n_rows:,} rows quarantined" if n_violations else None,
                metadata={
                    "n_violations": n_violations,
                    "n_rows": n_rows,
                    "share": n_violations / n_rows if n_rows else 0.0,
                    "deliveries": deliveries,
                },
            )
        kept = {
            name: sum(getattr(account, name) for account in accounts)
            for name in ("n_accepted", "n_quarantined", "n_duplicates")
        }
        yield dg.AssetCheckResult(
            passed=all(a.n_delivered == a.n_accepted + a.n_quarantined + a.n_duplicates for a in accounts),
            asset_key=asset,
            check_name=ROWS_ADD_UP,
            metadata={"n_delivered": n_rows, **kept, "deliveries": deliveries},
        )


# Last in the run, whatever else there is to do: what could be taken is published before the run ends as failed.
@dg.multi_asset_check(
    name=NO_DELIVERY_REFUSED,
    specs=[
        dg.AssetCheckSpec(
            NO_DELIVERY_REFUSED,
            asset=DELIVERIES_KEY,
            description="No delivery was refused for the first time, or with other bytes than before. If one was, the "
            "others are published all the same and the run then ends as failed.",
        )
    ],
    op_tags={"dagster/priority": "-1"},
)
def no_delivery_refused(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Fail the run for the deliveries that it refused, once."""
    told = outcomes_of(context.instance, context.run.run_id)
    refused = [one for one in told if one.result == "refused"]
    news = [one for one in refused if one.is_news]
    yield dg.AssetCheckResult(
        passed=not news,
        asset_key=DELIVERIES_KEY,
        check_name=NO_DELIVERY_REFUSED,
        metadata={"n_refused": len(news), "n_refused_before": len(refused) - len(news)},
    )
    if news:
        reasons = "\n".join(f"{one.delivery_id}: {one.code}: {one.detail}" for one in news)
        raise dg.Failure(f"Refused: {len(news)} of {len(told)} deliveries.\n{reasons}", allow_retries=False)
