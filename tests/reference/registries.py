"""Random registries, small and full of edges: what the reference and the dbt project must agree about.

Here: rows that validation would accept, packed on few days so that ties and boundaries are the rule. Not here: anything
likely. A registry is drawn from its seed alone; registries of different seeds share no identifier, so that hundreds fit
in one build and each contract can still be compared by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from tests.warehouse_builds import SCHEMAS

T = TypeVar("T")
Rows = dict[str, list[dict[str, Any]]]

_BOUNDARIES = (
    date(2013, 7, 1),
    date(2016, 2, 29),
    date(2016, 2, 29),
    date(2016, 9, 8),
    date(2020, 12, 31),
    date(2022, 3, 1),
    date(2023, 1, 1),
    date(2023, 3, 1),
    date(2023, 9, 1),
)
"""Days on which a rule changes; the obligation of result twice, for it bounds the population too."""

_TARGET_GROUPS = ("PLICHT", "RECHT_PLICHT", "RECHT", "MINDERJARIG", "NADER_TE_BEPALEN", "GEEN", None)
_TRACKS = ("TT_IBVP", "TT_IBVP", "TT_IBRH", "TT_IBRH", "TT_NT2", "TT_IB-18")
_COMPONENTS = (
    *("TO_OB_MO", "TO_OB_MO", "TO_OB_MO", "TO_A1", "TO_A1", "TO_A2", "TO_A2", "TO_B1/1", "TO_B1/4", "TO_B2"),
    *("TO_C1", "TO_C2", "TO_OB_PLO", "TO_NB"),
)
_PLACES = ("TOEGEWEZEN", "GERESERVEERD", "NT_INGESCHREVEN", "NT_TOEGEWEZEN")
_RESULTS = ("GESLAAGD", "NT_GESLAAGD", "NT_DEELGENOMEN", None)
_LEVELS = ("A1", "A1", "A2", "A2", "B1", "C2", None)
_NATIONALITIES = ("BE", "FR", "CH", "NO", "HR", "GB", "MA", "XK", "SU", "XX", None)
_MUNICIPALITIES = (
    *("11002", "11001", "44021", "44020", "21004", "23027", "24062", "31005", "46021", "71016", "25112", "62063"),
    *("92094", None),
)
_AGENCIES = ("0543307391", "0421722346", "0999999922", None)


PREFIX_LENGTH = 6


def prefix(seed: int) -> str:
    """What every identifier of the registry of this seed begins with."""
    return f"{seed:0{PREFIX_LENGTH}d}"


def random_registry(seed: int, known_on: date) -> Rows:
    """The rows of a few persons, whose last delivery is dated ``known_on``; extract -> rows as in ``SCHEMAS``."""
    return _Drawing(seed, known_on).rows


def packed(registries: Iterable[Rows]) -> Rows:
    """Registries of different seeds as one."""
    rows: Rows = {extract: [] for extract in SCHEMAS}
    for registry in registries:
        for extract in SCHEMAS:
            rows[extract] += registry[extract]
    return rows


class _Drawing:
    """One registry while it is drawn."""

    def __init__(self, seed: int, known_on: date):
        self.random = Random(seed)
        self.prefix = prefix(seed)
        self.rows: Rows = {extract: [] for extract in SCHEMAS}
        self._ids: defaultdict[str, set[str]] = defaultdict(set)
        self._keys: defaultdict[str, set[tuple[Any, ...]]] = defaultdict(set)
        boundaries = [*_BOUNDARIES, known_on, known_on, known_on - timedelta(days=400)]
        self.anchors = self.random.sample([day for day in boundaries if day <= known_on], self.random.choice((1, 1, 2)))
        self.span = self.random.choice((3, 8, 8, 40))
        self.days: list[date] = list(self.anchors)
        # Sparse registries reach the rules at the end of the list, which anything stronger would hide.
        self.density = self.random.choice((0.4, 0.8, 0.8, 1.3))
        for _ in range(self.random.choice((1, 1, 2))):
            self._person()
        self._foreign_rows()

    # Draws

    def one(self, *values: T) -> T:
        return self.random.choice(values)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def how_many(self, *weights: int) -> int:
        """A number of rows; ``weights`` of 0, 1, 2, … of them at density 1."""
        number = self.random.choices(range(len(weights)), weights)[0]
        return sum(self.chance(self.density) for _ in range(number)) if self.density < 1 else number

    def day(self) -> date:
        """Half of the time a day that something happened on already, or the day before or after it."""
        if self.chance(0.5):
            day = self.random.choice(self.days) + timedelta(days=self.one(0, 0, 0, -1, 1))
        else:
            day = self.random.choice(self.anchors) + timedelta(days=self.random.randint(-self.span // 2, self.span))
        self.days.append(day)
        return day

    def maybe_day(self, share: float) -> date | None:
        return self.day() if self.chance(share) else None

    def day_from(self, first: date, share: float) -> date | None:
        """An end of a period that begins on ``first``: perhaps none, never before it."""
        return max(first, self.day()) if self.chance(share) else None

    def identifier(self, extract: str) -> str:
        """Unique in its extract only, and in no order: rows of two extracts may well have the same."""
        while True:
            name = self.prefix + "".join(self.random.choice("09AZaé") for _ in range(self.one(1, 2)))
            if name not in self._ids[extract]:
                self._ids[extract].add(name)
                return name

    def add(self, extract: str, *key: Any, **row: Any) -> None:
        """Add a row, unless the extract has its ``key`` (where that is not an identifier) already."""
        if key:
            if key in self._keys[extract]:
                return
            self._keys[extract].add(key)
        self.rows[extract].append({name: row.get(name) for name in SCHEMAS[extract].names if name != "delivered_in"})
        assert not row.keys() - set(SCHEMAS[extract].names)

    def flags(self) -> dict[str, bool | None]:
        if self.chance(0.5):
            return dict.fromkeys(
                ("onderdeel_mo", "onderdeel_nt2", "onderdeel_lo"), self.one(True, True, True, False, None)
            )
        return {flag: self.one(True, True, False, None) for flag in ("onderdeel_mo", "onderdeel_nt2", "onderdeel_lo")}

    # Persons

    def _person(self) -> None:
        numbers = [
            f"{self.prefix}p{self.identifier('personen')[PREFIX_LENGTH:]}" for _ in range(self.one(1, 1, 2, 3, 4))
        ]
        for position, number in enumerate(numbers[1:]):
            # Every number leads to the first one, some through others: chains and forks.
            self.add(
                "insz_wijzigingen",
                old_person_key=number,
                new_person_key=self.random.choice(numbers[: position + 1]),
                datum=self.day(),
            )
        # At most one without kbi_nummer: of two such rows equally far from the current number no rule prefers either.
        unnumbered = self.one(None, None, *numbers)
        for number in numbers:
            if self.chance(0.8):
                self.add(
                    "personen",
                    person_key=number,
                    kbi_nummer=None if number == unnumbered else self.identifier("kbi_nummer"),
                    geboortedatum=self._birth(),
                    geslacht_code=self.one("1", "2", None),
                    nationaliteit_code=self.one(*_NATIONALITIES),
                    nis_gemeente=self.one(*_MUNICIPALITIES),
                )
        contracts = [
            self._contract(self.one(*numbers)) for _ in range(self.random.choices((0, 1, 2, 3), (1, 8, 8, 3))[0])
        ]
        for _ in range(self.how_many(1, 4, 4, 2)):
            self._target_group(self.one(*numbers))
        if self.chance(0.3):
            self._switch_of_target_group(self.one(*numbers))
        for _ in range(self.how_many(2, 4, 3, 1)):
            self._track(self.one(*numbers), contracts)
        for _ in range(self.how_many(2, 4, 3, 2)):
            self._mo_course(self.one(*numbers), self.day())
        for _ in range(self.how_many(2, 4, 3, 2)):
            self._nt2_course(self.one(*numbers), self.day())
        for _ in range(self.how_many(2, 4, 3, 2)):
            self._test(self.one(*numbers))
        if self.chance(0.2):
            self._results_of_one_day(self.one(*numbers))
        for _ in range(self.how_many(3, 4, 2)):
            self._document(self.one(*numbers), contracts)
        if self.chance(0.1):
            self._infringement(self.one(*numbers))

    def _birth(self) -> date | None:
        """Completing an age that bounds a group on or about some day, or any day."""
        if self.chance(0.2):
            return self.one(None, date(2004, 2, 29), date(1940, 5, 1))
        day, age = self.day(), self.one(18, 25, 35, 45, 55, 65)
        return date(day.year - age, day.month, min(day.day, 28))

    def _contract(self, number: str) -> str:
        contract_id = self.identifier("contracten")
        signed = self.day()
        self.add(
            "contracten",
            contract_id=contract_id,
            person_key=number,
            datum_registratie=signed,
            type="IC11G",
            kbo_nummer=self.one(*_AGENCIES),
            nis_gemeente=self.one(*_MUNICIPALITIES),
            **self.flags(),
        )
        for _ in range(self.how_many(5, 3, 2, 1)):
            self._addendum(contract_id)
        for _ in range(self.how_many(8, 2, 1)):
            self._suspension(contract_id)
        return contract_id

    def _addendum(self, contract_id: str) -> None:
        self.add(
            "addenda",
            addendum_id=self.identifier("addenda"),
            contract_id=contract_id,
            datum_registratie=self.day(),
            type="AIC14G",
            **self.flags(),
        )

    def _suspension(self, contract_id: str) -> None:
        begin = self.day()
        end = self.day_from(begin, 0.7)
        self.add("opschortingen", contract_id, begin, contract_id=contract_id, begin=begin, einde=end)

    def _target_group(self, number: str) -> None:
        # Most histories are under way when the rest happens.
        begin = self.one(min(self.days) - timedelta(days=self.random.randint(1, 3)), self.day())
        end = self.day_from(begin, 0.5)
        self._target_group_record(number, begin, end)
        if self.chance(0.2):
            # The same period under another number: after a merger only type and code tell such records apart.
            others = [row["old_person_key"] for row in self.rows["insz_wijzigingen"] if row["new_person_key"] == number]
            for other in others:
                self._target_group_record(other, begin, end)

    def _target_group_record(self, number: str, begin: date, end: date | None) -> None:
        self.add(
            "doelgroepen",
            number,
            begin,
            person_key=number,
            begin=begin,
            einde=end,
            code=self.one("JA", "JA", "JA", "JA", "NADER_TE_BEPALEN", "NEE"),
            type=self.one("PLICHT", "RECHT", *_TARGET_GROUPS[:-1], *_TARGET_GROUPS),
        )

    def _switch_of_target_group(self, number: str) -> None:
        """What rule 10 of R7 is about, with little else about the person."""
        first = min(self.days) - timedelta(days=4)
        last = max(first, self.day())
        groups = self.random.sample(("PLICHT", "RECHT_PLICHT", "RECHT"), 2)
        switch = last + timedelta(days=1)
        for begin, end, group in ((first, last, groups[0]), (switch, None, groups[1])):
            self.add("doelgroepen", number, begin, person_key=number, begin=begin, einde=end, code="JA", type=group)

    # Tracks

    def _track(self, number: str, contracts: Sequence[str]) -> None:
        track_id, begin = self.identifier("trajecten"), self.day()
        self.add(
            "trajecten",
            traject_id=track_id,
            person_key=number,
            contract_id=self.one(*contracts, self.prefix + "none") if self.chance(0.3) else None,
            type=self.one(*_TRACKS),
            begin=begin,
            einde=self.day_from(begin, 0.5),
            status_code=self.one("OP", "OP", "OP", "TS", "GS", None),
            status_begin=self.maybe_day(0.6),
            besluit_code=self.one("JA_IB", "NEE_ANALFA", None),
        )
        for _ in range(self.how_many(2, 5, 3, 1)):
            self._component(track_id)

    def _component(self, track_id: str) -> None:
        begin = self.day()
        end, decided_on = self.day_from(begin, 0.6), self.maybe_day(0.7)
        if self.chance(0.15):
            # Dates are taken as given: a decision on what has not begun.
            decided_on = begin - timedelta(days=self.random.randint(1, self.span))
        self.add(
            "trajectonderdelen",
            onderdeel_id=self.identifier("trajectonderdelen"),
            traject_id=track_id,
            type=self.one(*_COMPONENTS),
            begin=begin,
            einde=end,
            besluit_code=self.one("VO", "NVO", "NVT", None, None, None) if end or decided_on else None,
            besluit_datum=decided_on,
        )

    # Courses and tests

    def _course(self, enrolled: date) -> dict[str, Any]:
        begin = self.maybe_day(0.8)
        end = self.day_from(begin, 0.7) if begin else self.maybe_day(0.3)
        planned = self.one(None, Decimal(0), Decimal(60), Decimal("7.5"))
        share = self.one(None, Decimal(0), Decimal("0.80"), Decimal("0.7999"), Decimal(1))
        return {
            "begin": begin,
            "einde": end,
            "datum_inschrijving": enrolled,
            "datum_uitschrijving": self.day_from(enrolled, 0.4),
            "lesuren": planned,
            "aanwezige_uren": None if planned is None or share is None else planned * share,
        }

    def _mo_course(self, number: str, enrolled: date) -> None:
        identifier = self.identifier("mo_cursussen")
        self.add("mo_cursussen", deelname_id=identifier, person_key=number, taal="ara", **self._course(enrolled))

    def _nt2_course(self, number: str, enrolled: date) -> None:
        self.add(
            "nt2_cursussen",
            deelname_id=self.identifier("nt2_cursussen"),
            person_key=number,
            niveau=self.one(*_LEVELS),
            status=self.one("INGESCHREVEN", "UITGESCHREVEN", None, self.one(*_PLACES)),
            besluit=self.one(*_RESULTS, None),
            **self._course(enrolled),
        )

    def _test(self, number: str) -> None:
        kind, tested = self.one("MO", "MO", "NT2", "NT2", "NIVEAU"), self.day()
        self.add(
            "afgelegde_testen",
            test_id=self.identifier("afgelegde_testen"),
            person_key=number,
            type=kind,
            datum=tested,
            niveau=None if kind == "MO" else self.one(*_LEVELS),
            score_praktisch=self.one(None, 15, 16, 16, 30),
            score_waarden=self.one(None, 5, 6, 8, 9, 11),
            resultaat=self.one(*_RESULTS, *((None,) * 4 if kind == "MO" else ("NT_GESLAAGD",))),
        )
        if self.chance(0.3):
            self._enrol_again(number, kind, tested)

    def _results_of_one_day(self, number: str) -> None:
        """Ties in the order of R6: a decision, a test and a course of one component on the same day."""
        day, kind = self.day(), self.one("MO", "NT2")
        track_id = self.identifier("trajecten")
        self.add("trajecten", traject_id=track_id, person_key=number, type=self.one(*_TRACKS), begin=day)
        for _ in range(self.one(1, 2)):
            self.add(
                "trajectonderdelen",
                onderdeel_id=self.identifier("trajectonderdelen"),
                traject_id=track_id,
                type="TO_OB_MO" if kind == "MO" else self.one("TO_A1", "TO_A2"),
                begin=day,
                besluit_code=self.one("VO", "NVO", "NVO"),
                besluit_datum=day,
            )
        for _ in range(self.one(0, 1, 2)):
            self._clear_test(number, kind, day, self.one("GESLAAGD", "NT_GESLAAGD", "NT_GESLAAGD"))
        if kind == "NT2" and self.chance(0.5):
            self.add(
                "nt2_cursussen",
                deelname_id=self.identifier("nt2_cursussen"),
                person_key=number,
                niveau=self.one("A1", "A2", None),
                einde=day,
                datum_inschrijving=day,
                besluit=self.one("GESLAAGD", "NT_GESLAAGD"),
            )

    def _clear_test(self, number: str, kind: str, day: date, result: str) -> None:
        identifier = self.identifier("afgelegde_testen")
        level = None if kind == "MO" else self.one("A1", "A2", None)
        self.add(
            "afgelegde_testen",
            test_id=identifier,
            person_key=number,
            type=kind,
            datum=day,
            niveau=level,
            resultaat=result,
        )

    def _enrol_again(self, number: str, kind: str, tested: date) -> None:
        """What rule 6 of R7 is about: an enrolment on or right after the day of a result, perhaps of a second one."""
        if kind == "NIVEAU":
            return
        enrolled = tested + timedelta(days=self.one(0, 1, 1))
        again = self._mo_course if kind == "MO" else self._nt2_course
        again(number, enrolled)
        if self.chance(0.6):
            self._clear_test(number, kind, enrolled + timedelta(days=self.one(-1, 0, 0, 1)), "NT_GESLAAGD")

    # Documents

    def _document(self, number: str, contracts: Sequence[str]) -> None:
        signed = self.maybe_day(0.7)
        self.add(
            "attesten",
            attest_id=self.identifier("attesten"),
            person_key=number,
            contract_id=self.one(*contracts, self.prefix + "none") if self.chance(0.5) else None,
            soort="ATTEST",
            type=self.one("AI023", "AI023", "AI023", "AEVC05", "VGI01"),
            datum_aanmaak=self.maybe_day(0.5) if signed else self.day(),
            datum_ondertekening=signed,
        )

    def _infringement(self, number: str) -> None:
        found = self.day()
        identifier = self.identifier("inbreuken")
        self.add("inbreuken", inbreuk_id=identifier, person_key=number, type="3", datum_vaststelling=found)
        self.add("wachtlijst", number, "MO", found, person_key=number, onderdeel="MO", datum=found)

    # What only a registry that changes hands shows

    def _foreign_rows(self) -> None:
        """Rows that point at what is not there, or at a contract of somebody else."""
        contracts = [row["contract_id"] for row in self.rows["contracten"]]
        numbers = [row["person_key"] for row in self.rows["personen"]]
        if not contracts or not numbers or not self.chance(0.25):
            return
        self._track(self.one(*numbers), contracts)
        self._document(self.one(*numbers), contracts)
        self._component(self.prefix + "none")
        self._addendum(self.prefix + "none")
        self._suspension(self.prefix + "none")
