{{ config(materialized='view') }}

-- R5-R7: per trajectory x component the conditions that come and go, each as spans [from_on, until_on) of days on
-- which it holds; until_on is empty where it never ends. What holds on D is the spans that cover D. Once an outcome is
-- settled only what R5 says can still move it: nothing else begins or ends after that, so that fewer days are judged.
with milestones as (

    select * from {{ ref('int_component_milestones') }}

),

open_components as (

    -- Closed (b): ended from the day of its end on.
    select contract_no, component, 'component_open' as signal, begun_on as from_on, ended_on as until_on
    from {{ ref('int_components') }}
    where contract_no is not null

),

enrolments as (

    select
        participation_id,
        contract_no,
        component,
        enrolled_on,
        -- Running through the last day of the course, but not on the day of leaving.
        least(left_on, cast(ended_on + 1 as date)) as stops_running_on,
        -- Closed (c): left, or not taken part.
        least(left_on, case when result_code = 'NT_DEELGENOMEN' then over_on end) as given_up_on
    from {{ ref('int_courses') }}
    where contract_no is not null and is_enrolment

),

running as (

    select contract_no, component, 'running' as signal, enrolled_on as from_on, stops_running_on as until_on
    from enrolments

),

kept_up as (

    select contract_no, component, 'kept_up' as signal, enrolled_on as from_on, given_up_on as until_on
    from enrolments

),

failed_before as (

    select contract_no, component, min(dated_on) as first_failed_on
    from {{ ref('int_evaluations') }}
    where kind = 'fail'
    group by contract_no, component

),

-- Rule 6: an enrolment is later than the last attempt until the first attempt dated on or after it.
running_after_attempts as (

    select
        enrolments.contract_no,
        enrolments.component,
        'running_after_attempts' as signal,
        enrolments.enrolled_on as from_on,
        least(enrolments.stops_running_on, min(attempts.dated_on)) as until_on
    from enrolments
    inner join failed_before
        on
            enrolments.contract_no = failed_before.contract_no
            and enrolments.component = failed_before.component
            and enrolments.enrolled_on > failed_before.first_failed_on
    left join {{ ref('int_evaluations') }} as attempts
        on
            enrolments.contract_no = attempts.contract_no
            and enrolments.component = attempts.component
            and attempts.attempt_no is not null
            and attempts.dated_on >= enrolments.enrolled_on
    group by
        enrolments.participation_id, enrolments.contract_no, enrolments.component, enrolments.enrolled_on,
        enrolments.stops_running_on

),

last_attempt_failed as (

    select contract_no, component, 'last_attempt_failed' as signal, dated_on as from_on, next_dated_on as until_on
    from {{ ref('int_evaluations') }}
    where kind = 'fail'

),

suspended as (

    select
        contracts.contract_no,
        'suspended' as signal,
        suspensions.suspended_from as from_on,
        cast(suspensions.suspended_to + 1 as date) as until_on
    from {{ ref('stg_registry__suspensions') }} as suspensions
    inner join {{ ref('int_contracts') }} as contracts on suspensions.contract_id = contracts.contract_id

),

target_group as (

    select
        contracts.contract_no,
        participation.participation_type as contract_participation_type,
        spells.participation_type,
        spells.target_group_code = 'NEE' or coalesce(spells.target_group_type = 'GEEN', false) as is_outside,
        spells.valid_from as from_on,
        cast(spells.valid_to + 1 as date) as until_on
    from {{ ref('int_target_group_spells') }} as spells
    inner join {{ ref('int_contracts') }} as contracts on spells.person_no = contracts.person_no
    inner join {{ ref('int_contract_participation') }} as participation
        on contracts.contract_no = participation.contract_no

),

of_contracts as (

    select contract_no, signal, from_on, until_on from suspended
    union all
    select contract_no, 'outside_target_group' as signal, from_on, until_on from target_group where is_outside
    union all
    -- Rule 10: both types known and different.
    select contract_no, 'other_participation' as signal, from_on, until_on
    from target_group
    where contract_participation_type <> 'undetermined' and participation_type <> contract_participation_type

),

addenda as (

    select
        contracts.contract_no,
        addenda.addendum_id,
        addenda.registered_on,
        addenda.has_mo,
        addenda.has_nt2
    from {{ ref('stg_registry__addenda') }} as addenda
    inner join {{ ref('int_contracts') }} as contracts on addenda.contract_id = contracts.contract_id
    where coalesce(addenda.has_mo, false) or coalesce(addenda.has_nt2, false) or coalesce(addenda.has_career, false)

),

addendum_flags as (

    select contract_no, 'mo' as component, addendum_id, registered_on, has_mo as is_in_contract from addenda
    where has_mo is not null
    union all
    select contract_no, 'nt2' as component, addendum_id, registered_on, has_nt2 as is_in_contract from addenda
    where has_nt2 is not null

),

-- R5: an addendum after an attempt (or after the signature, where the attempt came before it) does not undo it.
amended as (

    select
        flags.contract_no,
        flags.component,
        case when flags.is_in_contract then 'put_in' else 'taken_out' end as signal,
        flags.registered_on as from_on,
        lead(flags.registered_on) over (
            partition by flags.contract_no, flags.component order by flags.registered_on, flags.addendum_id
        ) as until_on
    from addendum_flags as flags
    inner join milestones
        on flags.contract_no = milestones.contract_no and flags.component = milestones.component
    where
        milestones.first_attempt_on is null
        or flags.registered_on <= greatest(milestones.first_attempt_on, milestones.signed_on)

),

spans as (

    select * from open_components
    union all
    select * from running
    union all
    select * from kept_up
    union all
    select * from running_after_attempts
    union all
    select * from last_attempt_failed
    union all
    select contract_no, 'mo' as component, signal, from_on, until_on from of_contracts
    union all
    select contract_no, 'nt2' as component, signal, from_on, until_on from of_contracts
    union all
    select * from amended

)

select
    milestones.trajectory_component_no,
    spans.signal,
    greatest(spans.from_on, milestones.signed_on) as from_on,
    case
        when milestones.settled_on is null or spans.signal in ('put_in', 'taken_out') then spans.until_on
        when spans.until_on <= milestones.settled_on then spans.until_on
    end as until_on
from spans
inner join milestones
    on {{ trajectory_component_no('spans.contract_no', 'spans.component') }} = milestones.trajectory_component_no
cross join {{ source('registry', 'knowledge') }} as knowledge
where
    spans.from_on <= knowledge.known_on
    and milestones.signed_on <= knowledge.known_on
    and (spans.until_on is null or spans.until_on > greatest(spans.from_on, milestones.signed_on))
    and (
        spans.signal in ('put_in', 'taken_out')
        or milestones.settled_on is null
        or milestones.settled_on > greatest(spans.from_on, milestones.signed_on)
    )
