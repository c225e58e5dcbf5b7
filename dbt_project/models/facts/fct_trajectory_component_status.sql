-- R7: the outcome of every trajectory x component on every day from signature to the date of the last delivery, as
-- maximal intervals. Each condition is a step function of the day, so the outcome can only change on a day on which
-- one of them does: those change points are judged once, then equal neighbours are merged.
with knowledge as (

    select known_on from {{ source('registry', 'knowledge') }}

),

milestones as (

    select milestones.*
    from {{ ref('int_component_milestones') }} as milestones
    cross join knowledge
    where milestones.signed_on <= knowledge.known_on

),

spans as (

    select * from {{ ref('int_component_spans') }}

),

-- What, once true, stays true: from which day on. Each signal comes once per trajectory x component.
lasting as (

    select trajectory_component_no, signed_on, settled_on, 'in_contract' as signal, signed_on as day from milestones
    where is_in_contract
    union all
    select trajectory_component_no, signed_on, settled_on, 'not_in_contract', signed_on as day from milestones
    where not is_in_contract
    union all
    select trajectory_component_no, signed_on, settled_on, 'passed_before', signed_on as day from milestones
    where prior_pass_on is not null
    union all
    select trajectory_component_no, signed_on, settled_on, 'attempted', first_attempt_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'passed', passed_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'progressed', first_progress_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'exempt', exempt_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'begun', first_begun_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'enrolled', first_enrolled_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'track_closed', track_closed_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, 'track_suspended', track_suspended_on from milestones

),

changes as (

    select trajectory_component_no, signal, from_on as day, 1 as change from spans
    union all
    select spans.trajectory_component_no, spans.signal, spans.until_on as day, -1 as change
    from spans
    cross join knowledge
    where spans.until_on <= knowledge.known_on
    union all
    select lasting.trajectory_component_no, lasting.signal, greatest(lasting.day, lasting.signed_on) as day, 1 as change
    from lasting
    cross join knowledge
    where lasting.day <= knowledge.known_on and (lasting.settled_on is null or lasting.day <= lasting.settled_on)
    union all
    select trajectory_component_no, 'signed' as signal, signed_on as day, 0 as change from milestones

),

-- Spans of one condition may overlap, so they are counted: a condition holds while its count is not 0. Few sums over
-- the days, of packed counts, instead of one for each condition take a third off what this model costs.
days as (

    select
        trajectory_component_no,
        day,
        {{ packed_counts(['component_open', 'running', 'kept_up']) }} as counts_1,
        {{ packed_counts(['running_after_attempts', 'last_attempt_failed', 'suspended']) }} as counts_2,
        {{ packed_counts(['outside_target_group', 'other_participation']) }} as counts_3,
        {{ packed_counts(['put_in', 'taken_out']) }} as counts_4,
        {{ packed_counts(
            [
                'in_contract', 'not_in_contract', 'passed_before', 'attempted', 'passed', 'progressed', 'exempt',
                'begun', 'enrolled', 'track_closed', 'track_suspended'
            ],
            digits=4
        ) }} as counts_5
    from changes
    group by trajectory_component_no, day

),

counts as (

    select
        trajectory_component_no,
        day,
        cast(sum(counts_1) over to_day as bigint) as counts_1,
        cast(sum(counts_2) over to_day as bigint) as counts_2,
        cast(sum(counts_3) over to_day as bigint) as counts_3,
        cast(sum(counts_4) over to_day as bigint) as counts_4,
        cast(sum(counts_5) over to_day as bigint) as counts_5
    from days
    window to_day as (
        partition by trajectory_component_no order by day rows between unbounded preceding and current row
    )

),

states as (

    select
        trajectory_component_no,
        day,
        {{ is_counted('counts_1', 1) }} as has_open_component,
        {{ is_counted('counts_1', 2) }} as is_running,
        {{ is_counted('counts_1', 3) }} as is_kept_up,
        {{ is_counted('counts_2', 1) }} as is_running_after_attempts,
        {{ is_counted('counts_2', 2) }} as has_last_attempt_failed,
        {{ is_counted('counts_2', 3) }} as is_suspended,
        {{ is_counted('counts_3', 1) }} as is_outside_target_group,
        {{ is_counted('counts_3', 2) }} as has_other_participation,
        {{ is_counted('counts_4', 1) }} as is_put_in,
        {{ is_counted('counts_4', 2) }} as is_taken_out,
        {{ is_counted('counts_5', 1, digits=4) }} as was_in_contract,
        {{ is_counted('counts_5', 2, digits=4) }} as was_not_in_contract,
        {{ is_counted('counts_5', 3, digits=4) }} as was_passed_before,
        {{ is_counted('counts_5', 4, digits=4) }} as was_attempted,
        {{ is_counted('counts_5', 5, digits=4) }} as was_passed,
        {{ is_counted('counts_5', 6, digits=4) }} as was_progressed,
        {{ is_counted('counts_5', 7, digits=4) }} as was_exempt,
        {{ is_counted('counts_5', 8, digits=4) }} as was_begun,
        {{ is_counted('counts_5', 9, digits=4) }} as was_enrolled,
        {{ is_counted('counts_5', 10, digits=4) }} as was_track_closed,
        {{ is_counted('counts_5', 11, digits=4) }} as was_track_suspended
    from counts

),

conditions as (

    select
        trajectory_component_no,
        day,
        case
            when is_put_in then true
            when is_taken_out then false
            when was_in_contract then true
            when was_not_in_contract then false
        end as is_in_contract,
        was_attempted or was_begun as has_trace,
        was_passed_before as has_prior_pass,
        was_passed as has_passed,
        was_exempt as is_exempt,
        is_running_after_attempts,
        has_last_attempt_failed,
        is_outside_target_group,
        is_suspended or was_track_suspended as is_suspended,
        has_other_participation,
        is_running,
        was_enrolled as has_enrolled,
        was_track_closed
        or (was_begun and not has_open_component)
        or (was_enrolled and not is_kept_up and not was_progressed) as is_closed
    from states

),

outcomes as (

    select
        trajectory_component_no,
        day,
        case
            when not is_in_contract then 'not_required'
            when has_prior_pass then 'prior_level'
            when has_passed then 'passed'
            when is_exempt then 'exempt'
            when is_in_contract is null and not has_trace then 'undetermined'
            when has_last_attempt_failed and is_running_after_attempts then 'resitting'
            when has_last_attempt_failed then 'failed'
            when is_outside_target_group then 'left_target_group'
            when is_suspended then 'suspended'
            when is_closed and has_other_participation then 'changed_target_group'
            when is_closed then 'dropped_out'
            when is_running then 'in_progress'
            when has_enrolled then 'awaiting_result'
            else 'waiting'
        end as outcome
    from conditions

),

turns as (

    select
        outcomes.*,
        lag(outcome) over (partition by trajectory_component_no order by day) as outcome_before
    from outcomes

),

intervals as (

    select
        trajectory_component_no,
        outcome,
        day as valid_from,
        cast(lead(day) over (partition by trajectory_component_no order by day) - 1 as date) as valid_to
    from turns
    where outcome_before is null or outcome_before <> outcome

)

select
    contracts.contract_id,
    {{ component_of('intervals.trajectory_component_no') }} as component,
    intervals.outcome,
    intervals.valid_from,
    intervals.valid_to,
    contracts.contract_no
from intervals
inner join {{ ref('int_contracts') }} as contracts
    on {{ doubled_contract_no_of('intervals.trajectory_component_no') }} = contracts.contract_no * 2
