"""Rows of what the agency decides: tracks, components, certificates, infringements.

Here: trajecten, trajectonderdelen, attesten, inbreuken, and how the registry overwrites their status. Not here: the
evaluations behind the decisions (``social_orientation.py``, ``dutch.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestration.simulation import parameters as p
from orchestration.simulation.contracts import Contracts
from orchestration.simulation.draws import NEVER, Days, Draws, Mask, by_year, day
from orchestration.simulation.events import (
    COMPONENT_KINDS,
    DECISIONS,
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    Career,
    Decisions,
    decided_on,
    never,
    small,
)
from orchestration.simulation.persons import People, late
from orchestration.simulation.table import RegistryTable, Version, labels, numbered, text
from orchestration.simulation.trajectories import COMPULSORY, COURSE, UNDETERMINED, Trajectories

_TRACK_TYPES = ("TT_IBVP", "TT_IBRH", "TT_IBBXL", "TT_IBNB", "TT_NT2", "TT_NT2VDAB", "TT_NT2OCMW")
_RUNNING, _ENDED = "TO_STA_31", "TO_STA_99"
_COMPONENT_REASONS = ("NIET_GESLAAGD", None, "VRIJGESTELD")
_CAREER_ORIENTATION = COMPONENT_KINDS.index("TO_OB_LLO")


@dataclass(frozen=True)
class Ends:
    """How each trajectory ends: certificate, and closing of the track."""

    completed: Days
    certified: Days
    closed: Days
    failed: Mask


def draw_ends(draws: Draws, who: Trajectories, mo: Career, nt2: Career) -> Ends:
    """Certificates follow the last component passed; tracks close after a certificate, a departure or the end."""
    n = len(who)
    has_contract = who.sequence > 0
    mo_met = np.where(who.mo_by == COURSE, mo.passed, who.signed)
    nt2_met = np.where(who.nt2_by == COURSE, nt2.passed, who.signed)
    completed = np.maximum(mo_met, nt2_met).astype(np.int32)
    pillars = (who.signed >= day(p.TEST_REGIME_FROM)).astype(np.int8)
    tables = np.asarray(p.CERTIFIED_AFTER)
    wait = draws.spread_by(list(tables.reshape(4, -1)), pillars * 2 + who.voluntary)
    gets_it = draws.chance(np.asarray(p.CERTIFIED_SHARE)[pillars, who.voluntary], n) & has_contract
    certified = np.where((completed < NEVER) & gets_it, completed + wait, NEVER)
    certified = np.where(certified < who.left, certified, NEVER)
    failed = (completed == NEVER) & ((mo.failed_for_good < NEVER) | (nt2.failed_for_good < NEVER))
    by_mistake = failed & draws.chance(p.CERTIFICATE_WITHOUT_PASS, n) & has_contract
    last_event = np.maximum(mo.last_event, nt2.last_event)
    certified = np.where(by_mistake, last_event + wait, certified).astype(np.int32)

    by_change = np.where(who.closed_by_change, who.changed, NEVER)
    ended = np.where(mo.planned | nt2.planned, NEVER, last_event)
    ended = np.where((completed < NEVER) & gets_it, NEVER, ended)
    closed = never(n)
    for reason, since in (("ended", ended), ("certified", certified), ("changed", by_change), ("left", who.left)):
        after = since.astype(np.int64) + draws.spread(p.TRACK_CLOSED_AFTER[reason], n)
        happens = (since < NEVER) & draws.chance(p.TRACK_CLOSED[reason], n)
        closed = np.where(happens, np.minimum(closed, after), closed)
    return Ends(completed, certified, closed.astype(np.int32), failed)


class Tracks:
    """The tracks of a batch, and the rows that hang on them."""

    def __init__(
        self, draws: Draws, who: Trajectories, people: People, contracts: Contracts, ends: Ends, first_number: int
    ) -> None:
        n = len(who)
        self.who, self.people, self.contracts, self.ends = who, people, contracts, ends
        self._first_number = first_number
        before, after = draws.spread(p.TRACK_BEGINS_BEFORE, n), draws.spread(p.TRACK_BEGINS_AFTER, n)
        self.begin = np.where(who.sequence <= 1, who.signed - before, who.signed + after).astype(np.int32)
        self.begin = np.minimum(self.begin, np.where(who.sequence == 0, who.signed - 1, NEVER)).astype(np.int32)
        people.knows_from(who.person, self.begin)
        self.names_contract = draws.chance(p.TRACK_NAMES_CONTRACT, n) & (who.sequence > 0)
        own = self.begin + late(draws, n)
        self.recorded = np.where(self.names_contract, np.maximum(own, contracts.recorded), own).astype(np.int32)
        # A departure soon after signature may come before the track is opened.
        closed = ends.closed
        self.closed = np.where(closed < NEVER, np.maximum(closed, self.begin), NEVER).astype(np.int32)

    def tracks(self, draws: Draws) -> RegistryTable:
        """trajecten, some of them entered twice."""
        twice = np.flatnonzero(draws.chance(p.TRACK_TWICE, len(self.who)) & ~self.names_contract)
        at = np.concatenate([np.arange(len(self.who)), twice])
        n, n_once = len(at), len(self.who)
        who = self.who.take(at)
        recorded = self.recorded[at]
        deleted = never(n)
        removed = draws.chance(p.TRACK_TWICE_REMOVED, len(twice))
        deleted[n_once:] = np.where(removed, recorded[n_once:] + draws.spread(p.MISTAKEN_FOR, len(twice)), NEVER)
        # A track entered twice and left there is never closed: nobody looks at it again.
        closed = self.closed[at]
        closed[n_once:] = NEVER
        closed_known = np.where(closed < NEVER, np.maximum(closed + late(draws, n), recorded), NEVER)
        suspended, until = who.suspended, who.suspended_until
        resumed = np.where(until < NEVER, until + 1, NEVER)
        suspended_known = np.where(suspended < closed, suspended, NEVER).astype(np.int32)
        resumed_known = np.where(resumed < closed, resumed, NEVER).astype(np.int32)
        decision, decided = self._decisions(draws, at)
        reason = np.where(decision >= 2, draws.pick((3, 2, 1), n), -1)
        return RegistryTable(
            "trajecten",
            recorded,
            {
                "traject_id": numbered("T", self._first_number + np.arange(n)),
                "insz": self.people.insz(who.person, recorded),
                "contract_id": numbered("C", np.where(self.names_contract[at], self.contracts.number[at], -1)),
                "type": labels(_track_type(draws, who), _TRACK_TYPES),
                "begin": self.begin[at],
                "status_code": text("OP", n),
                "status_begin": np.where(draws.chance(0.3, n), NEVER, self.begin[at]).astype(np.int32),
            },
            [
                Version(suspended_known, {"status_code": text("TS", n), "status_begin": suspended}),
                Version(resumed_known, {
                    "status_code": text("OP", n), "status_begin": resumed.astype(np.int32),
                }),
                Version(closed_known.astype(np.int32), {
                    "status_code": text("GS", n), "status_begin": closed, "einde": closed,
                }),
                Version(np.where(decided < NEVER, np.maximum(decided, recorded), NEVER).astype(np.int32), {
                    "besluit_code": labels(decision, ("JA_IB", "JA_EVC", "NEE", "NEE_ANALFA")),
                    "besluit_reden": labels(reason, ("NIET_GESLAAGD", "STOPGEZET", "GEEN_DOELGROEP")),
                    "besluit_datum": decided,
                }),
            ],
            deleted=deleted,
        )  # fmt: skip

    def _decisions(self, draws: Draws, at: NDArray[np.int64]) -> tuple[NDArray[np.int8], Days]:
        """The decision on the track: with the certificate, else for most when it closes."""
        n = len(at)
        certified, closed = self.ends.certified[at], self.closed[at]
        negative = (certified == NEVER) & (closed < NEVER) & ~draws.chance(p.TRACK_CLOSED_NO_DECISION, n)
        low_literate = draws.chance(p.LOW_LITERATE_DECISION, n)
        decision = np.where(certified < NEVER, 0, np.where(negative, np.where(low_literate, 3, 2), -1))
        decision[len(self.who) :] = -1
        dated = np.where(certified < NEVER, certified, np.where(negative, closed, NEVER))
        dated[len(self.who) :] = NEVER
        return decision.astype(np.int8), dated.astype(np.int32)

    def components(self, draws: Draws, decisions: Decisions, first_number: int) -> RegistryTable:
        """trajectonderdelen, with a first decision overwritten by a later one where the registry did so."""
        followed = np.flatnonzero(draws.chance(p.LO_FOLLOWED, len(self.who)) & (self.who.sequence > 0))
        begin = self.who.signed[followed] + draws.whole(10, 150, len(followed))
        dated = begin + draws.whole(30, 120, len(followed))
        career = decided_on(
            small(_CAREER_ORIENTATION, len(followed)), followed, begin, dated, draws.chance(0.9, len(followed))
        )
        decisions = Decisions.join([decisions, career])
        at, n = decisions.trajectory, len(decisions)
        recorded = np.maximum(decisions.begin + late(draws, n), self.recorded[at]).astype(np.int32)
        opened_with_track = draws.chance(0.4, n) & (decisions.kind != _CAREER_ORIENTATION)
        begin = np.where(opened_with_track, np.minimum(self.begin[at], decisions.begin), decisions.begin)

        has_earlier, has_last = decisions.earlier_dated < NEVER, decisions.last >= 0
        earlier_known = np.where(has_earlier, decisions.earlier_dated + late(draws, n), NEVER)
        last_known = np.where(has_last, np.maximum(decisions.last_dated, begin) + late(draws, n), NEVER)
        # A decision entered wrongly is put right later; one that was overwritten is not wrong twice.
        wrong = draws.chance(p.CORRECTED_SHARE, n) & has_last & ~has_earlier & (decisions.last != NOT_APPLICABLE)
        right_known = last_known + draws.spread(p.CORRECTED_AFTER, n)
        earlier = np.where(wrong, np.where(decisions.last == MET, NOT_MET, MET), decisions.earlier)
        earlier_dated = np.where(wrong, decisions.last_dated, decisions.earlier_dated)
        earlier_known = np.where(wrong, last_known, earlier_known)
        last_known = np.where(wrong, right_known, last_known)

        closed = self.closed[at]
        ends_silently = ~has_last & (closed < NEVER) & (closed >= begin) & draws.chance(0.6, n)
        silent_known = np.where(ends_silently, closed, NEVER)
        # Where only the end is dated, the decision is dated by it.
        undated = draws.chance(0.02, n)

        def _decided(known: NDArray[np.int64], decision: NDArray[np.int8], dated: Days) -> Version:
            return Version(known.astype(np.int32), {
                "besluit_code": labels(decision, DECISIONS),
                "besluit_reden": labels(decision, _COMPONENT_REASONS),
                "besluit_datum": np.where(undated, NEVER, dated).astype(np.int32),
                "einde": np.maximum(dated, begin).astype(np.int32),
                "status_code": text(_ENDED, n),
                "status_begin": dated.astype(np.int32),
            })  # fmt: skip

        return RegistryTable(
            "trajectonderdelen",
            recorded,
            {
                "onderdeel_id": numbered("O", first_number + np.arange(n)),
                "traject_id": numbered("T", self._first_number + at),
                "type": labels(decisions.kind, COMPONENT_KINDS),
                "begin": begin.astype(np.int32),
                "status_code": text(_RUNNING, n),
                "status_begin": begin.astype(np.int32),
            },
            [
                Version(silent_known.astype(np.int32), {
                    "einde": closed, "status_code": text(_ENDED, n), "status_begin": closed,
                }),
                _decided(earlier_known, earlier, earlier_dated),
                _decided(last_known, decisions.last, decisions.last_dated),
            ],
        )  # fmt: skip

    def certificates(self, draws: Draws, first_number: int) -> RegistryTable:
        """attesten: certificates, those of prior competences (until 2016) and statements of efforts (from 2022)."""
        who, ends = self.who, self.ends
        has_contract = who.sequence > 0
        certified = np.flatnonzero(ends.certified < NEVER)
        early = has_contract & (who.signed <= day(p.EVC_UNTIL) - 60)
        competences = np.flatnonzero(early & draws.chance(p.EVC_SHARE, len(who)))
        regime = has_contract & (who.signed >= day(p.TEST_REGIME_FROM))
        statement = regime & ends.failed & (ends.certified == NEVER) & (ends.closed < NEVER)
        statements = np.flatnonzero(statement & draws.chance(p.EFFORT_STATEMENT_SHARE, len(who)))
        at = np.concatenate([certified, competences, statements])
        kind = np.repeat(np.array([0, 1, 2], dtype=np.int8), [len(certified), len(competences), len(statements)])
        n = len(at)
        competences_on = np.minimum(who.signed[competences] + draws.whole(5, 60, len(competences)), day(p.EVC_UNTIL))
        made = np.concatenate([ends.certified[certified], competences_on, self.closed[statements]])
        signed = np.where(
            draws.chance(p.CERTIFICATE_UNSIGNED, n), NEVER, made + draws.spread(p.CERTIFICATE_SIGNED_AFTER, n)
        )
        recorded = np.maximum(made + late(draws, n), self.contracts.recorded[at]).astype(np.int32)
        names = draws.chance(p.CERTIFICATE_NAMES_CONTRACT, n)
        return RegistryTable(
            "attesten",
            recorded,
            {
                "attest_id": numbered("D", first_number + np.arange(n)),
                "insz": self.people.insz(who.person[at], recorded),
                "contract_id": numbered("C", np.where(names, self.contracts.number[at], -1)),
                "soort": labels((kind == 2).astype(np.int8), ("ATTEST", "VERKLARING")),
                "type": labels(kind, ("AI023", "AEVC05", "VGI01")),
                "datum_aanmaak": made.astype(np.int32),
            },
            # Signed only after it was made: till then the date of creation is all there is.
            [Version(signed.astype(np.int32), {"datum_ondertekening": signed.astype(np.int32)})],
        )

    def infringements(self, draws: Draws, first_number: int) -> RegistryTable:
        """inbreuken, mostly of compulsory participants, with the fines that follow some."""
        who = self.who
        compulsory = who.participation == COMPULSORY
        share = by_year(p.INFRINGEMENT_SHARE, who.signed)
        voluntary = np.where(who.signed < day(p.TEST_REGIME_FROM), p.INFRINGEMENT_SHARE_VOLUNTARY, 0.0)
        happens = draws.chance(np.where(compulsory, share, voluntary), len(who)) & (who.sequence > 0)
        at = np.flatnonzero(happens)
        n = len(at)
        found = (who.signed[at] + draws.spread(p.INFRINGEMENT_AFTER, n)).astype(np.int32)
        recorded = (found + late(draws, n)).astype(np.int32)
        warned = np.where(draws.chance(0.85, n), found + draws.whole(1, 21, n), NEVER).astype(np.int32)
        fined = np.where(draws.chance(p.FINED_SHARE, n), found + draws.spread(p.FINED_AFTER, n), NEVER)
        amount = np.asarray(p.FINES, dtype=float)[draws.whole(0, len(p.FINES) - 1, n)]
        authority = np.where(draws.chance(0.15, n), -1, draws.pick((1, 2, 1, 12), n))
        return RegistryTable(
            "inbreuken",
            recorded,
            {
                "inbreuk_id": numbered("I", first_number + np.arange(n)),
                "insz": self.people.insz(who.person[at], recorded),
                "type": labels(draws.pick(p.INFRINGEMENT_TYPES, n), tuple("12345678")),
                "sanctionerende_overheid": labels(authority, ("VDAB", "OCMW", "VMSW", "HH")),
                "datum_vaststelling": found,
                "boete_bedrag": np.full(n, np.nan),
            },
            [
                Version(warned, {"datum_ingebrekestelling": warned}),
                Version(fined.astype(np.int32), {"boete_bedrag": amount, "boete_datum": fined.astype(np.int32)}),
            ],
        )


def _track_type(draws: Draws, who: Trajectories) -> NDArray[np.int8]:
    """The type of the track: by participation, some in Brussels their own, Dutch alone without a contract."""
    n = len(who)
    kind = np.where(who.participation == COMPULSORY, 0, np.where(who.participation == UNDETERMINED, 3, 1))
    brussels = who.in_brussels & (who.participation != COMPULSORY) & draws.chance(p.TRACK_BRUSSELS, n)
    kind = np.where(brussels, 2, kind)
    return np.where(who.sequence == 0, 4 + draws.pick((6, 2, 2), n), kind).astype(np.int8)
