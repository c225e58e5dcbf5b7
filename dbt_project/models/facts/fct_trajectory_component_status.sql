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

milestone_days as (

    select trajectory_component_no, signed_on, settled_on, first_attempt_on as day from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, passed_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, first_progress_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, exempt_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, first_begun_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, first_enrolled_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, track_closed_on from milestones
    union all
    select trajectory_component_no, signed_on, settled_on, track_suspended_on from milestones

),

changes as (

    select trajectory_component_no, signal, from_on as day, 1 as change from spans
    union all
    select spans.trajectory_component_no, spans.signal, spans.until_on as day, -1 as change
    from spans
    cross join knowledge
    where spans.until_on <= knowledge.known_on
    union all
    select trajectory_component_no, 'signed' as signal, signed_on as day, 0 as change from milestones
    union all
    select days.trajectory_component_no, 'milestone' as signal, days.day, 0 as change
    from milestone_days as days
    cross join knowledge
    where
        days.day > days.signed_on
        and days.day <= knowledge.known_on
        and (days.settled_on is null or days.day <= days.settled_on)

),

-- Spans of one condition may overlap, so they are counted: a condition holds while its count is not 0. Four sums over
-- the days, of packed counts, instead of ten take a third off what this model costs.
days as (

    select
        trajectory_component_no,
        day,
        {{ packed_counts(['component_open', 'running', 'kept_up']) }} as counts_1,
        {{ packed_counts(['running_after_attempts', 'last_attempt_failed', 'suspended']) }} as counts_2,
        {{ packed_counts(['outside_target_group', 'other_participation']) }} as counts_3,
        {{ packed_counts(['put_in', 'taken_out']) }} as counts_4
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
        cast(sum(counts_4) over to_day as bigint) as counts_4
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
        {{ is_counted('counts_4', 2) }} as is_taken_out
    from counts

),

conditions as (

    select
        states.*,
        milestones.contract_no,
        milestones.component,
        milestones.prior_pass_on is not null as has_prior_pass,
        coalesce(milestones.passed_on <= states.day, false) as has_passed,
        coalesce(milestones.exempt_on <= states.day, false) as is_exempt,
        case
            when states.is_put_in then true
            when states.is_taken_out then false
            else milestones.is_in_contract
        end as is_in_contract,
        coalesce(milestones.first_attempt_on <= states.day, false)
        or coalesce(milestones.first_begun_on <= states.day, false) as has_trace,
        coalesce(milestones.track_suspended_on <= states.day, false) as is_track_suspended,
        coalesce(milestones.first_enrolled_on <= states.day, false) as has_enrolled,
        (
            coalesce(milestones.track_closed_on <= states.day, false)
            or (coalesce(milestones.first_begun_on <= states.day, false) and not states.has_open_component)
            or (
                coalesce(milestones.first_enrolled_on <= states.day, false)
                and not states.is_kept_up
                and not coalesce(milestones.first_progress_on <= states.day, false)
            )
        ) as is_closed
    from states
    inner join milestones on states.trajectory_component_no = milestones.trajectory_component_no

),

outcomes as (

    select
        trajectory_component_no,
        contract_no,
        component,
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
            when is_suspended or is_track_suspended then 'suspended'
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
        contract_no,
        component,
        outcome,
        day as valid_from,
        cast(lead(day) over (partition by trajectory_component_no order by day) - 1 as date) as valid_to
    from turns
    where outcome_before is null or outcome_before <> outcome

)

select
    contracts.contract_id,
    intervals.component,
    intervals.outcome,
    intervals.valid_from,
    intervals.valid_to,
    intervals.contract_no
from intervals
inner join {{ ref('int_contracts') }} as contracts on intervals.contract_no = contracts.contract_no
