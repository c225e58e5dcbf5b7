"""Deliberate mistakes in the dbt project, each of which the comparison must find.

Here: the mistakes, as patches to the text of one file. Not here: how they are found (``test_teeth.py``). A mistake is
one that a tired colleague could make and a reviewer overlook: a boundary, an order, a tie, a condition left out.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Mutant(NamedTuple):
    """``old``, which occurs exactly once in ``file`` (below dbt_project), becomes ``new``; a mistake about ``rule``."""

    rule: str
    mistake: str
    file: str
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """The text with the mistake in it. White space may differ: formatting is no reason to adapt a mutant.

        Raises:
            AssertionError: the text has changed so that the mistake can no longer be made there.
        """
        old = re.compile(r"\s+".join(map(re.escape, self.old.split())))
        assert len(old.findall(text)) == 1, f"{self.file} has changed: adapt the mutant '{self.mistake}'"
        return old.sub(lambda _: self.new, text)


_MISTAKES = {
    "models/intermediate/int_person_numbers.sql": [
        ("R1", "one replacement followed", "max_by(current_key", "min_by(current_key"),
    ],
    "models/intermediate/int_persons.sql": [
        ("R1", "farthest row preferred", "numbers.steps asc", "numbers.steps desc"),
        ("R1", "lesser kbi_nummer", "kbi_number desc nulls last", "kbi_number asc nulls last"),
        ("R1", "empty kbi_nummer first", "kbi_number desc nulls last", "kbi_number desc nulls first"),
    ],
    "models/intermediate/int_contracts.sql": [
        ("R2", "lesser id is later", "contract_id) as superseded_on", "contract_id desc) as superseded_on"),
        ("R2", "first contract by greatest id", "contract_id) = 1", "contract_id desc) = 1"),
        ("R3", "last day of a regime", "<= regimes.signed_until", "< regimes.signed_until"),
        ("R5", "empty contract speaks", "case when ordered.says_something then ordered.has_nt2 end", "ordered.has_nt2"),
        ("R5", "career flag not heard", "or coalesce(contracts.has_career, false)", ""),
    ],
    "macros/is_contract_at.sql": [
        ("R2", "contract only after its day", "signed_on <= {{ day }}", "signed_on < {{ day }}"),
        ("R2", "contract on the next one's day", "{{ day }} < coalesce", "{{ day }} <= coalesce"),
    ],
    "models/intermediate/int_tracks.sql": [
        ("R2", "track ended on the signature", ">= first_contracts", "> first_contracts"),
        ("R2", "ended track kept", "coalesce(tracks.ended_on,", "coalesce(null,"),
        (
            "R2",
            "link to nothing not followed",
            "case when tracks.contract_id is null then numbers.person_no end",
            "numbers.person_no",
        ),
        ("R7", "status without date", "coalesce(tracks.status_from, tracks.begun_on)", "tracks.status_from"),
    ],
    "models/intermediate/int_courses.sql": [
        (
            "R2",
            "course over by its end",
            "coalesce(known.left_on, known.ended_on,",
            "coalesce(known.ended_on, known.left_on,",
        ),
        ("R2", "course over on the signature", ">= first_contracts", "> first_contracts"),
        ("R2", "courses before the first to none", "first_contracts.is_first", "false"),
        ("R6", "result dated by the end", "least(known.ended_on, known", "coalesce(known.ended_on, known"),
        ("R7", "places are enrolments", "enrolment_status is null or", "true or"),
    ],
    "models/facts/fct_certificate.sql": [
        ("R2", "document dated by creation", "coalesce(certificates.signed_on,", "coalesce(certificates.created_on,"),
        (
            "R2",
            "link to nothing not followed",
            "where documents.contract_id is null",
            "where coalesce(documents.contract_id, '') not in (select contract_id from contracts)",
        ),
        ("R8", "EVC taken for a certificate", "then 'evc'", "then 'certificate'"),
    ],
    "models/intermediate/int_tests.sql": [
        ("R3", "first day of thresholds", ">= thresholds.tested_from", "> thresholds.tested_from"),
        ("R6", "scores before the result", "when tests.result_code is not null then tests.result_code", ""),
    ],
    "seeds/mo_test_thresholds.csv": [
        ("R3", "threshold of the values test", "16,9", "16,10"),
    ],
    "seeds/policy_regimes.csv": [
        ("R3", "A2 in the effort regime", "2016-02-28,A1", "2016-02-28,A2"),
    ],
    "models/intermediate/int_target_group_spells.sql": [
        ("R4", "earliest begin", "records.valid_from desc", "records.valid_from asc"),
        ("R4", "open record last", "valid_to desc nulls first", "valid_to desc nulls last"),
        ("R4", "no order of types", "records.type_rank asc,", ""),
        ("R4", "order of codes reversed", "records.code_rank asc", "records.code_rank desc"),
    ],
    "models/intermediate/int_contract_participation.sql": [
        ("R4", "last day left out", "valid_to >= contracts.signed_on", "valid_to > contracts.signed_on"),
        ("R4", "both tracks: voluntary", "min(types.participation_type)", "max(types.participation_type)"),
    ],
    "models/intermediate/int_component_spans.sql": [
        (
            "R5",
            "addendum on the attempt's day",
            "or flags.registered_on <= greatest",
            "or flags.registered_on < greatest",
        ),
        ("R5", "attempt before the signature", "milestones.first_attempt_on, milestones.signed_on", "first_attempt_on"),
        ("R5", "addendum undoes an attempt", "milestones.first_attempt_on is null or", "true or"),
        ("R5", "lesser addendum_id is later", "flags.addendum_id )", "flags.addendum_id desc )"),
        ("R5", "empty addendum speaks", "where coalesce(addenda.has_mo, false) or", "where true or"),
        ("R7", "re-sit from the day of the fail", ">= enrolments.enrolled_on", "> enrolments.enrolled_on"),
        ("R7", "a no-show ends a re-sit", "and attempts.attempt_no is not null", ""),
        ("R7", "outside by code only", "or coalesce(spells.target_group_type = 'GEEN', false)", ""),
        ("R7", "suspension without last day", "suspensions.suspended_to + 1", "suspensions.suspended_to"),
        ("R7", "course without last day", "least(left_on, cast(ended_on + 1", "least(left_on, cast(ended_on"),
        ("R7", "changed from undetermined", "contract_participation_type <> 'undetermined' and", ""),
        ("R7", "no-show keeps enrolled", "case when result_code = 'NT_DEELGENOMEN' then over_on end", "null"),
        ("R7", "changes after the last delivery", "spans.from_on <= knowledge.known_on", "true"),
    ],
    "models/facts/fct_trajectory_component_status.sql": [
        ("R5", "a component is no trace", "was_attempted or was_begun as", "was_attempted as"),
        ("R5", "an attempt is no trace", "was_attempted or was_begun as", "was_begun as"),
        ("R7", "passed before prior level", "when has_prior_pass then", "when has_prior_pass and not has_passed then"),
        ("R7", "exempt before passed", "when has_passed then", "when has_passed and not is_exempt then"),
        ("R7", "undetermined before exempt", "when is_exempt then", "when is_exempt and has_trace then"),
        (
            "R7",
            "any running course is a re-sit",
            "has_last_attempt_failed and is_running_after_attempts",
            "has_last_attempt_failed and is_running",
        ),
        (
            "R7",
            "suspended before left",
            "when is_outside_target_group then",
            "when is_outside_target_group and not is_suspended then",
        ),
        (
            "R7",
            "changed though not closed",
            "when is_closed and has_other_participation",
            "when has_other_participation",
        ),
        ("R7", "closed in spite of progress", "and not was_progressed", ""),
        ("R7", "closed with an open component", "and not has_open_component", ""),
        ("R5", "true in the addendum only", "when was_in_contract then true", ""),
        ("R5", "false is empty", "when was_not_in_contract then false", ""),
        ("R7", "tracks are never suspended", "is_suspended or was_track_suspended", "is_suspended"),
        ("R7", "awaiting before in progress", "when is_running then", "when is_running and not has_enrolled then"),
        ("R7", "intervals not maximal", "where outcome_before is null or", "where true or"),
    ],
    "macros/packed_counts.sql": [
        ("R7", "counts in each other's digits", "{{ 2 ** (digits * loop.index0) }}", "{{ 2 ** loop.index0 }}"),
        ("R7", "a digit of the next count", "(2 ** digits - 1)", "(2 ** (digits + 1) - 1)"),
    ],
    "models/intermediate/int_evidence.sql": [
        (
            "R6",
            "exempt only above the target",
            "level_rank >= contracts.nt2_target_rank) then 'ex",
            "level_rank > contracts.nt2_target_rank) then 'ex",
        ),
        (
            "R6",
            "not met only below the target",
            "or components.level_rank <= contracts",
            "or components.level_rank < contracts",
        ),
        ("R6", "fail without level left out", "or results.level_rank is null", ""),
        ("R6", "below the target is nothing", "else 'progress' end when results", "end when results"),
        (
            "R6",
            "decision before test",
            "when 'test' then 2 when 'decision' then 3",
            "when 'test' then 3 when 'decision' then 2",
        ),
    ],
    "macros/has_attended.sql": [
        ("R6", "exactly four in five", ".attended_hours >=", ".attended_hours >"),
        ("R6", "no lessons at all", ".lesson_hours > 0", ".lesson_hours >= 0"),
    ],
    "models/intermediate/int_prior_passes.sql": [
        ("R6", "pass on the signature is prior", "passes.dated_on < contracts", "passes.dated_on <= contracts"),
        ("R6", "attendance is no prior pass", "courses.over_on < contracts.signed_on", "false"),
    ],
    "models/intermediate/int_evaluations.sql": [
        ("R6", "ties by greatest id", "source_rank, source_id)", "source_rank, source_id desc)"),
    ],
    "models/intermediate/int_components.sql": [
        (
            "R6",
            "decision dated by the end",
            "coalesce(components.decided_on, components.ended_on)",
            "coalesce(components.ended_on, components.decided_on)",
        ),
    ],
    "models/intermediate/int_conflicting_evidence.sql": [
        ("R6", "conflict on the same day", "dated_on > passes.passed_on", "dated_on >= passes.passed_on"),
    ],
    "models/intermediate/int_certificate_counts.sql": [
        (
            "R8",
            "unlinked left out of the naive figure",
            "left join {{ ref('int_contract_participation') }}",
            "inner join {{ ref('int_contract_participation') }}",
        ),
        (
            "R9",
            "documents of the latest only",
            "documents.person_no = population.person_no",
            "documents.contract_no = population.contract_no",
        ),
    ],
    "models/intermediate/int_population.sql": [
        ("R9", "population without its first day", ">= start.population_start", "> start.population_start"),
        ("R9", "prior pass on the first signature", "nt2_prior_pass_on >=", "nt2_prior_pass_on >"),
    ],
    "models/intermediate/int_unit_component_status.sql": [
        ("R9", "person's prior level never passed", "outcome = 'prior_level' and is_passed_as_person", "false"),
        ("R9", "person counted twice", "least(valid_until, superseded_on) as valid_until", "valid_until"),
    ],
    "models/intermediate/int_unit_completion.sql": [
        (
            "R9",
            "certificates of the latest only",
            "population.person_no = documents.person_no",
            "population.contract_no = documents.contract_no",
        ),
        (
            "R10",
            "both components evaluated",
            "mo.outcome in ('passed', 'failed') or",
            "mo.outcome in ('passed', 'failed') and",
        ),
        ("R10", "exempt not completed", "'prior_level', 'exempt',", "'prior_level',"),
        ("R10", "re-sitting completed", "'exempt', 'passed', 'failed'", "'exempt', 'passed', 'failed', 'resitting'"),
    ],
    "macros/mart_rates.sql": [
        ("marts", "rates cut off", "~ wide_int(numerator) ~ ' + ' ~ wide_int(denominator)", "~ wide_int(numerator)"),
        ("marts", "gap rounded towards zero", "difference ~ ' + ' ~ whole", "difference"),
    ],
    "models/intermediate/int_reporting_dates.sql": [
        ("marts", "cube a day too long", "reporting_dates.as_of_date > cast(", "reporting_dates.as_of_date >= cast("),
    ],
    "macros/age_group.sql": [
        (
            "marts",
            "age a day late",
            "< extract(month from {{ birth_date }})",
            "<= extract(month from {{ birth_date }})",
        ),
    ],
    "models/intermediate/int_contract_strata.sql": [
        ("marts", "last day of membership", "<= nationality_groups.valid_until", "< nationality_groups.valid_until"),
        ("marts", "stateless is third country", "or persons.nationality_code = 'XX'", ""),
        ("marts", "shortest prefix", "max_by(regions.region", "min_by(regions.region"),
    ],
}

MUTANTS = [
    Mutant(rule, mistake, file, old, new)
    for file, mistakes in _MISTAKES.items()
    for rule, mistake, old, new in mistakes
]
