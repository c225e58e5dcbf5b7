"""Rules R1-R10 of the reporting definitions, a second time: per contract, component and day, straight from the text.

Here: what one reads when one follows the definitions with a finger, rule by rule, in their order and their words.
Not here: intervals, SQL, seeds or anything else of the product; speed; the marts (``marts.py``). Rows are the fourteen
validated extracts as dicts under their Dutch names, with ``person_key`` for ``insz``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]

COMPONENTS = ("mo", "nt2")
PARTICIPATION_TYPES = ("compulsory", "voluntary", "undetermined")
OUTCOMES = (
    "not_required",
    "prior_level",
    "passed",
    "exempt",
    "undetermined",
    "resitting",
    "failed",
    "left_target_group",
    "suspended",
    "changed_target_group",
    "dropped_out",
    "in_progress",
    "awaiting_result",
    "waiting",
)
OBLIGATION_OF_RESULT = date(2016, 2, 29)
LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")

_COMPONENT_TYPES = {"TO_OB_MO": ("mo", None)} | {
    f"TO_{level}{part}": ("nt2", level)
    for level in LEVELS
    for part in (("/1", "/2", "/3", "/4") if level == "B1" else ("",))
}
_TARGET_GROUP_ORDER = ("PLICHT", "RECHT_PLICHT", "RECHT", "MINDERJARIG", "NADER_TE_BEPALEN", "GEEN", None)
_CODE_ORDER = ("JA", "NADER_TE_BEPALEN", "NEE")
_BY_TYPE = {"PLICHT": "compulsory", "RECHT_PLICHT": "compulsory", "RECHT": "voluntary"}
_SOURCE_ORDER = ("course", "test", "decision", "attendance")
_FLAGS = ("onderdeel_mo", "onderdeel_nt2", "onderdeel_lo")
_ATTEMPTS = ("pass", "progress", "fail")


class Regime(NamedTuple):
    """R3: what holds for contracts signed from ``signed_from`` on, until the next regime begins."""

    code: str
    signed_from: date
    target_level: str
    minimum_attendance: Decimal | None


_REGIMES = (
    Regime("four_pillar_fee", date(2023, 9, 1), "A2", None),
    Regime("four_pillar_b", date(2023, 1, 1), "A2", None),
    Regime("four_pillar_a", date(2022, 3, 1), "A2", None),
    Regime("result_2016", OBLIGATION_OF_RESULT, "A2", None),
    Regime("effort", date.min, "A1", Decimal("0.80")),
)


def regime_of(signed: date) -> Regime:
    """R3."""
    return next(regime for regime in _REGIMES if regime.signed_from <= signed)


class Evidence(NamedTuple):
    """R6: ``kind`` is pass, progress, fail, exemption or no_show; ``level`` what the row itself says, empty for MO."""

    kind: str
    dated: date
    source: str
    source_id: str
    level: str | None

    @property
    def order(self) -> tuple[date, int, bytes]:
        return self.dated, _SOURCE_ORDER.index(self.source), self.source_id.encode()


def _at_least(level: str, target: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index(target)


def _at_most(level: str, target: str) -> bool:
    return LEVELS.index(level) <= LEVELS.index(target)


def _earliest(*days: date | None) -> date | None:
    return min((day for day in days if day is not None), default=None)


def _component(row: Row) -> str | None:
    """The component that a trajectonderdeel belongs to, if any of the two."""
    return _COMPONENT_TYPES.get(row["type"], (None, None))[0]


def _decision(row: Row, target: str) -> Evidence | None:
    component, level = _COMPONENT_TYPES[row["type"]]
    code, dated = row["besluit_code"], row["besluit_datum"] or row["einde"]
    if component == "mo":
        kind = {"VO": "pass", "NVO": "fail", "NVT": "exemption"}.get(code)
    elif code == "VO":
        kind = "pass" if _at_least(level, target) else "progress"
    elif code == "NVO":
        kind = "fail" if _at_most(level, target) else None
    elif code == "NVT":
        kind = "exemption" if _at_least(level, target) else None
    else:
        kind = None
    return Evidence(kind, dated, "decision", row["onderdeel_id"], level) if kind and dated else None


def _dutch_result(result: str | None, level: str | None, target: str) -> str | None:
    """What a result in Dutch, of a course or of a test, is evidence of."""
    if result == "GESLAAGD":
        return "pass" if level and _at_least(level, target) else "progress"
    if result == "NT_GESLAAGD":
        return "fail" if not level or _at_most(level, target) else None
    return "no_show" if result == "NT_DEELGENOMEN" else None


def _course_result(row: Row, target: str) -> Evidence | None:
    kind, dated = (
        _dutch_result(row["besluit"], row["niveau"], target),
        _earliest(row["einde"], row["datum_uitschrijving"]),
    )
    return Evidence(kind, dated, "course", row["deelname_id"], row["niveau"]) if kind and dated else None


def _attendance(row: Row, minimum: Decimal | None) -> Evidence | None:
    dated = _earliest(row["einde"], row["datum_uitschrijving"])
    planned, present = row["lesuren"], row["aanwezige_uren"]
    if minimum is None or dated is None or not planned or present is None or present < minimum * planned:
        return None
    return Evidence("pass", dated, "attendance", row["deelname_id"], row.get("niveau"))


def _test(row: Row, target: str) -> Evidence | None:
    result = row["resultaat"]
    if row["type"] == "MO":
        practical, values = row["score_praktisch"], row["score_waarden"]
        if result is None and practical is not None and values is not None:
            enough = practical >= 16 and values >= (9 if row["datum"] >= date(2023, 3, 1) else 6)
            result = "GESLAAGD" if enough else "NT_GESLAAGD"
        kind = {"GESLAAGD": "pass", "NT_GESLAAGD": "fail", "NT_DEELGENOMEN": "no_show"}.get(result)
        return Evidence(kind, row["datum"], "test", row["test_id"], None) if kind else None
    kind = _dutch_result(result, row["niveau"], target)
    return Evidence(kind, row["datum"], "test", row["test_id"], row["niveau"]) if kind else None


@dataclass(frozen=True, eq=False)
class Contract:
    """A trajectory (R2): one contract of one person."""

    contract_id: str
    person: str
    signed: date
    row: Row

    @property
    def order(self) -> tuple[date, bytes]:
        """Which of a person's contracts is the later."""
        return self.signed, self.contract_id.encode()

    @property
    def regime(self) -> Regime:
        return regime_of(self.signed)


class Certificate(NamedTuple):
    """R8: a document; ``contract`` is what R2 links it to, if anything."""

    attest_id: str
    document_type: str
    dated: date
    contract: Contract | None
    person: str


class Registry:
    """The state of the registry, with every row put where R1 and R2 say it belongs."""

    def __init__(self, tables: Tables):
        self._replaced_by = {row["old_person_key"]: row["new_person_key"] for row in tables["insz_wijzigingen"]}
        self.contracts = [
            Contract(row["contract_id"], self.person(row["person_key"]), row["datum_registratie"], row)
            for row in tables["contracten"]
        ]
        self.contract = {contract.contract_id: contract for contract in self.contracts}
        self.contracts_of = self._by_person_of_contract()

        self.person_rows: dict[str, list[Row]] = self._by_person(tables["personen"])
        self.target_group_of: dict[str, list[Row]] = self._by_person(tables["doelgroepen"])
        self.addenda_of = _grouped(tables["addenda"], lambda row: row["contract_id"])
        self.suspensions_of = _grouped(tables["opschortingen"], lambda row: row["contract_id"])

        tracks = {row["traject_id"]: row for row in tables["trajecten"]}
        contract_of_track = {track_id: self._contract_of_track(row) for track_id, row in tracks.items()}
        self.tracks_of = _grouped(tracks.values(), lambda row: contract_of_track[row["traject_id"]])
        components = [row for row in tables["trajectonderdelen"] if row["traject_id"] in tracks]
        self.components_of = _grouped(components, lambda row: contract_of_track[row["traject_id"]])
        self.components_of_person = _grouped(
            components, lambda row: self.person(tracks[row["traject_id"]]["person_key"])
        )
        self.courses_of, self.courses_of_person = {}, {}
        for component in COMPONENTS:
            rows = tables[f"{component}_cursussen"]
            self.courses_of[component] = _grouped(rows, self._contract_of_course)
            self.courses_of_person[component] = self._by_person(rows)
        self.tests_of = _grouped(tables["afgelegde_testen"], self._contract_of_test)
        self.tests_of_person = self._by_person(tables["afgelegde_testen"])
        self.certificates = [self._certificate(row) for row in tables["attesten"]]
        self.certificates_of = _grouped(self.certificates, lambda certificate: certificate.contract)
        self._trajectories = {
            (contract.contract_id, component): Trajectory(self, contract, component)
            for contract in self.contracts
            for component in COMPONENTS
        }

    # R1

    def _chain(self, number: str) -> list[str]:
        chain = [number]
        while chain[-1] in self._replaced_by:
            chain.append(self._replaced_by[chain[-1]])
        return chain

    def person(self, number: str) -> str:
        """R1: the number that stands at the end of the replacements."""
        return self._chain(number)[-1]

    def attributes(self, person: str) -> Row | None:
        """R1: of several rows of one person the one nearest to the current number, then the greatest kbi_nummer."""
        return min(
            sorted(self.person_rows.get(person, ()), key=lambda row: (row["kbi_nummer"] or "").encode(), reverse=True),
            key=lambda row: len(self._chain(row["person_key"])),
            default=None,
        )

    def _by_person(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        return _grouped(rows, lambda row: self.person(row["person_key"]))

    def _by_person_of_contract(self) -> dict[str, list[Contract]]:
        return _grouped(sorted(self.contracts, key=lambda contract: contract.order), lambda contract: contract.person)

    # R2

    def contract_at(self, person: str, day: date) -> Contract | None:
        """R2: the person's latest contract signed on or before the day."""
        return next((c for c in reversed(self.contracts_of.get(person, ())) if c.signed <= day), None)

    def _contract_of_track(self, row: Row) -> Contract | None:
        if row["contract_id"] is not None:
            return self.contract.get(row["contract_id"])
        person = self.person(row["person_key"])
        at_begin = self.contract_at(person, row["begin"])
        if at_begin:
            return at_begin
        following = next(iter(self.contracts_of.get(person, ())), None)
        if following and (row["einde"] is None or row["einde"] >= following.signed):
            return following
        return None

    def _contract_of_course(self, row: Row) -> Contract | None:
        person = self.person(row["person_key"])
        at_enrolment = self.contract_at(person, row["datum_inschrijving"])
        if at_enrolment:
            return at_enrolment
        first = next(iter(self.contracts_of.get(person, ())), None)
        over = row["datum_uitschrijving"] or row["einde"]
        return first if first and (over is None or over >= first.signed) else None

    def _contract_of_test(self, row: Row) -> Contract | None:
        return self.contract_at(self.person(row["person_key"]), row["datum"])

    def _certificate(self, row: Row) -> Certificate:
        person, dated = self.person(row["person_key"]), row["datum_ondertekening"] or row["datum_aanmaak"]
        given = row["contract_id"]
        contract = self.contract.get(given) if given is not None else self.contract_at(person, dated)
        return Certificate(row["attest_id"], row["type"], dated, contract, person)

    # R4

    def target_group(self, person: str, day: date) -> Row | None:
        """R4: the target-group record of the person that covers the day."""
        covering = [
            row
            for row in self.target_group_of.get(person, ())
            if row["begin"] <= day and (row["einde"] is None or row["einde"] >= day)
        ]
        return min(
            covering,
            key=lambda row: (
                -row["begin"].toordinal(),
                -(row["einde"] or date.max).toordinal(),
                _TARGET_GROUP_ORDER.index(row["type"]),
                _CODE_ORDER.index(row["code"]),
            ),
            default=None,
        )

    def participation(self, contract: Contract) -> str:
        """R4."""
        record = self.target_group(contract.person, contract.signed)
        if record and record["type"] in _BY_TYPE:
            return _BY_TYPE[record["type"]]
        types = {row["type"] for row in self.tracks_of.get(contract, ())}
        if "TT_IBVP" in types:
            return "compulsory"
        return "voluntary" if "TT_IBRH" in types else "undetermined"

    def trajectory(self, contract: Contract, component: str) -> Trajectory:
        """What the rules ask of one component of one contract."""
        return self._trajectories[contract.contract_id, component]


def _grouped(rows: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


@dataclass(eq=False)
class Trajectory:
    """One component of one contract: its evidence (R6), its flag (R5) and its outcome on any day (R7)."""

    registry: Registry
    contract: Contract
    component: str
    _seen: dict[date, str] = field(default_factory=dict)

    @cached_property
    def tracks(self) -> list[Row]:
        return self.registry.tracks_of.get(self.contract, [])

    @cached_property
    def components(self) -> list[Row]:
        rows = self.registry.components_of.get(self.contract, ())
        return [row for row in rows if _component(row) == self.component]

    @cached_property
    def courses(self) -> list[Row]:
        return self.registry.courses_of[self.component].get(self.contract, [])

    @cached_property
    def enrolments(self) -> list[Row]:
        if self.component == "mo":
            return self.courses
        return [row for row in self.courses if row["status"] in ("INGESCHREVEN", "UITGESCHREVEN", None)]

    # R6

    def _evidence(self, components: Iterable[Row], courses: Iterable[Row], tests: Iterable[Row]) -> list[Evidence]:
        """What these rows are evidence of, by this contract's regime and target level."""
        regime = self.contract.regime
        found = [_decision(row, regime.target_level) for row in components if _component(row) == self.component]
        if self.component == "nt2":
            found += [_course_result(row, regime.target_level) for row in courses]
        found += [_attendance(row, regime.minimum_attendance) for row in courses]
        found += [_test(row, regime.target_level) for row in tests if row["type"] == self.component.upper()]
        return sorted((evidence for evidence in found if evidence), key=lambda evidence: evidence.order)

    @cached_property
    def evidence(self) -> list[Evidence]:
        """R6, in the order of R6, whatever the date."""
        return self._evidence(self.components, self.courses, self.registry.tests_of.get(self.contract, ()))

    @cached_property
    def attempts(self) -> list[Evidence]:
        return [evidence for evidence in self.evidence if evidence.kind in _ATTEMPTS]

    @cached_property
    def prior_passes(self) -> list[Evidence]:
        registry, person = self.registry, self.contract.person
        anywhere = self._evidence(
            registry.components_of_person.get(person, ()),
            registry.courses_of_person[self.component].get(person, ()),
            registry.tests_of_person.get(person, ()),
        )
        return [item for item in anywhere if item.kind == "pass" and item.dated < self.contract.signed]

    # R5

    def flag(self, day: date) -> bool | None:
        """R5: what contract and addenda say on the day."""

        def said(row: Row) -> bool | None:
            return row[f"onderdeel_{self.component}"] if any(row[flag] for flag in _FLAGS) else None

        addenda = [
            row
            for row in self.registry.addenda_of.get(self.contract.contract_id, ())
            if row["datum_registratie"] <= day and said(row) is not None
        ]
        latest = max(
            addenda, key=lambda row: (row["datum_registratie"], row["addendum_id"].encode()), default=self.contract.row
        )
        return said(latest)

    def requirement(self, day: date) -> str:
        """R5: required, not_required or undetermined."""
        attempts = [attempt for attempt in self.attempts if attempt.dated <= day]
        asked_on = max(attempts[0].dated, self.contract.signed) if attempts else day
        flag = self.flag(asked_on)
        if flag is None:
            begun = any(row["begin"] <= day for row in self.components)
            return "required" if begun or attempts else "undetermined"
        return "required" if flag else "not_required"

    # R7

    def running(self, row: Row, day: date) -> bool:
        """R7: is the enrolment running on the day?"""
        left, end = row["datum_uitschrijving"], row["einde"]
        return row["datum_inschrijving"] <= day and (left is None or left > day) and (end is None or end >= day)

    def _has_track_status(self, code: str, day: date) -> bool:
        return any(row["status_code"] == code and (row["status_begin"] or row["begin"]) <= day for row in self.tracks)

    def closed(self, day: date) -> bool:
        """R7: (a), (b) or (c)."""
        if self._has_track_status("GS", day):
            return True
        begun = [row for row in self.components if row["begin"] <= day]
        if begun and all(row["einde"] is not None and row["einde"] <= day for row in begun):
            return True
        enrolled = [row for row in self.enrolments if row["datum_inschrijving"] <= day]
        so_far = [evidence for evidence in self.evidence if evidence.dated <= day]
        stayed_away = {item.source_id for item in so_far if item.kind == "no_show" and item.source == "course"}
        return (
            bool(enrolled)
            and all(
                (row["datum_uitschrijving"] is not None and row["datum_uitschrijving"] <= day)
                or row["deelname_id"] in stayed_away
                for row in enrolled
            )
            and not any(item.kind == "progress" for item in so_far)
        )

    def outcome(self, day: date) -> str:
        """R7: the outcome on a day from the signature on."""
        if day not in self._seen:
            self._seen[day] = self._outcome(day)
        return self._seen[day]

    def _outcome(self, day: date) -> str:
        assert day >= self.contract.signed
        registry, contract = self.registry, self.contract
        evidence = [item for item in self.evidence if item.dated <= day]
        kinds = {item.kind for item in evidence}
        requirement = self.requirement(day)
        if requirement == "not_required":
            return "not_required"
        if self.prior_passes:
            return "prior_level"
        if "pass" in kinds:
            return "passed"
        if "exemption" in kinds:
            return "exempt"
        if requirement == "undetermined":
            return "undetermined"
        running = [row for row in self.enrolments if self.running(row, day)]
        attempts = [item for item in evidence if item.kind in _ATTEMPTS]
        if attempts and attempts[-1].kind == "fail":
            again = any(row["datum_inschrijving"] > attempts[-1].dated for row in running)
            return "resitting" if again else "failed"
        record = registry.target_group(contract.person, day)
        if record and (record["code"] == "NEE" or record["type"] == "GEEN"):
            return "left_target_group"
        suspended = any(
            row["begin"] <= day and (row["einde"] is None or row["einde"] >= day)
            for row in registry.suspensions_of.get(contract.contract_id, ())
        )
        if suspended or self._has_track_status("TS", day):
            return "suspended"
        if self.closed(day):
            now = _BY_TYPE.get(record["type"]) if record else None
            at_signature = registry.participation(contract)
            if {now, at_signature} == {"compulsory", "voluntary"}:
                return "changed_target_group"
            return "dropped_out"
        if running:
            return "in_progress"
        if any(row["datum_inschrijving"] <= day for row in self.enrolments):
            return "awaiting_result"
        return "waiting"
