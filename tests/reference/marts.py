"""The seven marts a second time, for one date, by counting units one at a time.

Here: R9, R10 and the marts' columns as the reporting definitions name them. Not here: the rules about one contract
(``rules.py``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from tests.reference.rules import (
    COMPONENTS,
    OBLIGATION_OF_RESULT,
    OUTCOMES,
    PARTICIPATION_TYPES,
    Certificate,
    Contract,
    Registry,
)

MartRow = dict[str, Any]

GRAINS = {
    "mart_q1_pass_rate": ("as_of_date", "counting_unit", "component"),
    "mart_q2_pass_rate_by_participation": ("as_of_date", "counting_unit", "component", "participation_type"),
    "mart_q3_certificates": ("as_of_date", "counting_unit", "participation_type"),
    "mart_q4_completed_and_certified": ("as_of_date", "counting_unit", "participation_type"),
    "mart_q5_completed_not_certified": ("as_of_date", "counting_unit", "participation_type"),
    "mart_non_success_reasons": ("as_of_date", "counting_unit", "component", "participation_type", "reason"),
    "mart_outcome_cube": (
        "as_of_date",
        "regime_code",
        "cohort_quarter",
        "component",
        "participation_type",
        "sex",
        "age_group",
        "nationality_group",
        "region",
        "agency_kbo",
        "outcome",
    ),
}
"""The columns that identify a row of each mart."""

_EVALUATED = ("passed", "failed", "resitting")
_REASONS = ("failed", "resitting", "dropped_out", "left_target_group", "changed_target_group")
_ENDED = ("passed", *_REASONS)
_IN_NO_RATE = ("exempt", "prior_level", "not_required", "undetermined")
_SEED_DATES = (date(2016, 9, 8),)

# Accession of what was a member state, EEA state or Switzerland on some signature date of this century.
_EU_PLUS_SINCE = (
    dict.fromkeys(
        ["FR", "DE", "IT", "LU", "NL", "DK", "IE", "GB", "GR", "ES", "PT", "AT", "FI", "SE", "IS", "NO", "LI", "CH"],
        date.min,
    )
    | dict.fromkeys(["CY", "CZ", "EE", "HU", "LV", "LT", "MT", "PL", "SK", "SI"], date(2004, 5, 1))
    | dict.fromkeys(["BG", "RO"], date(2007, 1, 1))
    | {"HR": date(2013, 7, 1)}
)
_GB_UNTIL = date(2020, 12, 31)


def month_ends(first: date, last: date) -> list[date]:
    """The last days of the months, from ``first`` to ``last``."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if (day + timedelta(days=1)).day == 1]


def reporting_dates(known_on: date) -> list[date]:
    """Every date that the marts have rows for, when the last delivery is dated ``known_on``."""
    seeds = [day for day in _SEED_DATES if day <= known_on]
    return sorted({*month_ends(OBLIGATION_OF_RESULT, known_on), known_on, *seeds})


def is_in_cube(day: date, known_on: date) -> bool:
    """Is the reporting date one of those of the cube: the last 24 months and the seed dates?"""
    year, month = known_on.year - 2, known_on.month
    last_of_month = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(known_on.day, last_of_month)) < day or day in _SEED_DATES


def rounded(value: Fraction | None) -> Decimal | None:
    """DECIMAL(9,6), half away from zero."""
    if value is None:
        return None
    millionths = floor(abs(value) * 10**6 + Fraction(1, 2))
    return Decimal(millionths if value >= 0 else -millionths).scaleb(-6)


def _rate(numerator: int, denominator: int) -> Fraction | None:
    return Fraction(numerator, denominator) if denominator else None


@dataclass(frozen=True)
class Unit:
    """R9: what is counted once: a contract, or a person by the latest contract of the population."""

    contract: Contract
    participation: str
    outcomes: dict[str, str]
    documents: list[Certificate]

    @property
    def certificates(self) -> list[Certificate]:
        return [document for document in self.documents if document.document_type == "AI023"]

    def n_documents(self, document_type: str) -> int:
        return sum(document.document_type == document_type for document in self.documents)


class Marts:
    """The marts of one registry on one date. Each method gives the rows of the mart of that name."""

    def __init__(self, registry: Registry, day: date, known_on: date):
        self.registry, self.day, self.known_on = registry, day, known_on
        self.population = [c for c in registry.contracts if OBLIGATION_OF_RESULT <= c.signed <= day]
        self.units = {"contract": self._contracts(), "person": self._persons()}

    def rows(self, mart: str) -> list[MartRow]:
        """The rows of a mart, in no order."""
        return [{"as_of_date": self.day} | row for row in getattr(self, mart)()]

    # R8, R9

    def _documents(self, contracts: Iterable[Contract]) -> list[Certificate]:
        linked = (item for contract in contracts for item in self.registry.certificates_of.get(contract, ()))
        return [item for item in linked if item.dated <= self.day]

    def _contracts(self) -> list[Unit]:
        return [
            Unit(
                contract,
                self.registry.participation(contract),
                {k: self.registry.trajectory(contract, k).outcome(self.day) for k in COMPONENTS},
                self._documents([contract]),
            )
            for contract in self.population
        ]

    def _persons(self) -> list[Unit]:
        units = []
        contracts_of = defaultdict(list)
        for contract in self.population:
            contracts_of[contract.person].append(contract)
        for contracts in contracts_of.values():
            counted = max(contracts, key=lambda contract: contract.order)
            first_signed = min(contract.signed for contract in contracts)
            outcomes = {}
            for component in COMPONENTS:
                trajectory = self.registry.trajectory(counted, component)
                outcome = trajectory.outcome(self.day)
                if outcome == "prior_level" and min(item.dated for item in trajectory.prior_passes) >= first_signed:
                    outcome = "passed"
                outcomes[component] = outcome
            units.append(Unit(counted, self.registry.participation(counted), outcomes, self._documents(contracts)))
        return units

    def _by_participation(self, units: Sequence[Unit]) -> list[tuple[str, list[Unit]]]:
        return [(kind, [unit for unit in units if unit.participation == kind]) for kind in PARTICIPATION_TYPES]

    def _by_participation_and_all(self, units: Sequence[Unit]) -> list[tuple[str, list[Unit]]]:
        return [*self._by_participation(units), ("all", list(units))]

    # Q1, Q2

    @staticmethod
    def _outcome_counts(units: Sequence[Unit], component: str) -> tuple[MartRow, dict[str, Fraction | None]]:
        n = Counter(unit.outcomes[component] for unit in units)
        population, evaluated = len(units), sum(n[outcome] for outcome in _EVALUATED)
        ended, required = sum(n[outcome] for outcome in _ENDED), population - sum(n[outcome] for outcome in _IN_NO_RATE)
        counts = {"n_population": population, "n_required": required, "n_ended": ended, "n_evaluated": evaluated}
        rates = {
            "pass_rate_evaluated": _rate(n["passed"], evaluated),
            "pass_rate_ended": _rate(n["passed"], ended),
            "pass_rate_required": _rate(n["passed"], required),
            "pass_rate_ended_in_target_group": _rate(
                n["passed"], ended - n["left_target_group"] - n["changed_target_group"]
            ),
        }
        return counts | {f"n_{outcome}": n[outcome] for outcome in OUTCOMES}, rates

    def mart_q1_pass_rate(self) -> list[MartRow]:
        rows = []
        for unit, units in self.units.items():
            for component in COMPONENTS:
                counts, rates = self._outcome_counts(units, component)
                rates = {name: rounded(rate) for name, rate in rates.items()}
                rows.append({"counting_unit": unit, "component": component} | counts | rates)
        return rows

    def mart_q2_pass_rate_by_participation(self) -> list[MartRow]:
        rows = []
        for unit, units in self.units.items():
            for component in COMPONENTS:
                of = {kind: self._outcome_counts(some, component) for kind, some in self._by_participation(units)}
                for kind, (counts, rates) in of.items():
                    row = {"counting_unit": unit, "component": component, "participation_type": kind} | counts
                    row |= {name: rounded(rate) for name, rate in rates.items()}
                    for name in ("pass_rate_evaluated", "pass_rate_ended"):
                        this, that = rates[name], of["voluntary"][1][name]
                        row[f"{name}_gap"] = None if this is None or that is None else rounded(this - that)
                    rows.append(row)
        return rows

    # Q3

    def _any_regime(self, kind: str) -> int:
        certificates = [
            item
            for item in self.registry.certificates
            if item.document_type == "AI023" and OBLIGATION_OF_RESULT <= item.dated <= self.day
        ]
        if kind == "all":
            return len(certificates)
        of = [item.contract and self.registry.participation(item.contract) for item in certificates]
        return sum((participation or "undetermined") == kind for participation in of)

    def mart_q3_certificates(self) -> list[MartRow]:
        return [
            {
                "counting_unit": unit,
                "participation_type": kind,
                "n_population": len(some),
                "n_certified": sum(bool(one.certificates) for one in some),
                "n_certificates": sum(len(one.certificates) for one in some),
                "n_evc": sum(one.n_documents("AEVC05") for one in some),
                "n_effort_statements": sum(one.n_documents("VGI01") for one in some),
                "n_certificates_any_regime": self._any_regime(kind),
            }
            for unit, units in self.units.items()
            for kind, some in self._by_participation_and_all(units)
        ]

    # Q4, Q5

    @staticmethod
    def _failed_components(unit: Unit) -> list[str] | None:
        """R10: the components failed by a unit that completed and was evaluated; None for one that did not."""
        asked = [k for k in COMPONENTS if unit.outcomes[k] not in ("not_required", "prior_level", "exempt")]
        if not asked or any(unit.outcomes[k] not in ("passed", "failed") for k in asked):
            return None
        return [k for k in asked if unit.outcomes[k] == "failed"]

    def _completed(self) -> Iterable[tuple[MartRow, list[tuple[list[str], bool]]]]:
        for unit, units in self.units.items():
            for kind, some in self._by_participation_and_all(units):
                completed = [
                    (failed, bool(one.certificates))
                    for one in some
                    if (failed := self._failed_components(one)) is not None
                ]
                yield (
                    {"counting_unit": unit, "participation_type": kind, "n_completed_evaluated": len(completed)},
                    completed,
                )

    def mart_q4_completed_and_certified(self) -> list[MartRow]:
        rows = []
        for row, completed in self._completed():
            n = Counter(
                f"{'certified' if certified else 'uncertified'}_{'failed' if failed else 'passed'}"
                for failed, certified in completed
            )
            for cell in ("certified_passed", "uncertified_passed", "uncertified_failed", "certified_failed"):
                row |= {f"n_{cell}": n[cell], f"{cell}_rate": rounded(_rate(n[cell], len(completed)))}
            row["certified_rate"] = row["certified_passed_rate"]
            row["passed_rate"] = rounded(_rate(n["certified_passed"] + n["uncertified_passed"], len(completed)))
            rows.append(row)
        return rows

    def mart_q5_completed_not_certified(self) -> list[MartRow]:
        rows = []
        for row, completed in self._completed():
            n = Counter(tuple(failed) for failed, certified in completed if failed and not certified)
            row |= {
                "n_uncertified_failed": n.total(),
                "uncertified_failed_rate": rounded(_rate(n.total(), len(completed))),
            }
            row |= {"n_failed_mo_only": n["mo",], "n_failed_nt2_only": n["nt2",], "n_failed_both": n["mo", "nt2"]}
            rows.append(row)
        return rows

    # Reasons

    def mart_non_success_reasons(self) -> list[MartRow]:
        rows = []
        for unit, units in self.units.items():
            for component in COMPONENTS:
                for kind, some in self._by_participation_and_all(units):
                    n = Counter(one.outcomes[component] for one in some)
                    total = sum(n[reason] for reason in _REASONS)
                    grain = {"counting_unit": unit, "component": component, "participation_type": kind}
                    rows += [
                        grain
                        | {
                            "reason": reason,
                            "n": n[reason],
                            "n_non_success": total,
                            "share": rounded(_rate(n[reason], total)),
                        }
                        for reason in _REASONS
                    ]
        return rows

    # Cube

    def mart_outcome_cube(self) -> list[MartRow]:
        if not is_in_cube(self.day, self.known_on):
            return []
        cells: Counter[tuple[str, ...]] = Counter()
        for contract in self.registry.contracts:
            if contract.signed > self.day:
                continue
            for component in COMPONENTS:
                outcome = self.registry.trajectory(contract, component).outcome(self.day)
                cells[self._stratum(contract, component, outcome)] += 1
        names = GRAINS["mart_outcome_cube"][1:]
        return [dict(zip(names, cell, strict=True)) | {"n_contracts": n} for cell, n in cells.items()]

    def _stratum(self, contract: Contract, component: str, outcome: str) -> tuple[str, ...]:
        person = self.registry.attributes(contract.person) or {}
        return (
            contract.regime.code,
            f"{contract.signed.year}Q{(contract.signed.month + 2) // 3}",
            component,
            self.registry.participation(contract),
            {"1": "male", "2": "female"}.get(person.get("geslacht_code"), "unknown"),
            age_group(person.get("geboortedatum"), contract.signed),
            nationality_group(person.get("nationaliteit_code"), contract.signed),
            region(contract.row["nis_gemeente"]),
            contract.row["kbo_nummer"] or "unknown",
            outcome,
        )


def age_group(born: date | None, signed: date) -> str:
    """By completed years on the day of signature."""
    if born is None:
        return "unknown"
    age = signed.year - born.year - ((signed.month, signed.day) < (born.month, born.day))
    groups = ((18, "<18"), (25, "18-24"), (35, "25-34"), (45, "35-44"), (55, "45-54"), (65, "55-64"))
    return next((group for below, group in groups if age < below), "65+")


def nationality_group(code: str | None, signed: date) -> str:
    """BE, EU+, third_country or unknown, as it was on the day of signature."""
    if code is None or code == "XX":
        return "unknown"
    if code == "BE":
        return "BE"
    is_member = code in _EU_PLUS_SINCE and _EU_PLUS_SINCE[code] <= signed and (code != "GB" or signed <= _GB_UNTIL)
    return "EU+" if is_member else "third_country"


def region(nis: str | None) -> str:
    """By the code of the municipality at signature; the first that fits."""
    if nis is None:
        return "unknown"
    by_prefix = (
        ("11002", "antwerp_city"),
        ("44021", "ghent_city"),
        ("1", "antwerp"),
        ("21", "brussels"),
        ("23", "flemish_brabant"),
        ("24", "flemish_brabant"),
        ("3", "west_flanders"),
        ("4", "east_flanders"),
        ("7", "limburg"),
    )
    return next((name for prefix, name in by_prefix if nis.startswith(prefix)), "other")
