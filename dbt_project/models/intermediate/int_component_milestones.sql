-- R5-R7: per trajectory x component the facts that, once true, stay true, each as the first day on which it is.
with contracts as (

    select contract_no, signed_on, has_mo, has_nt2 from {{ ref('int_contracts') }}

),

trajectory_components as (

    select contract_no, 'mo' as component, signed_on, has_mo as is_in_contract from contracts
    union all
    select contract_no, 'nt2' as component, signed_on, has_nt2 as is_in_contract from contracts

),

evidence as (

    select
        contract_no,
        component,
        min(dated_on) filter (where kind in ('pass', 'progress', 'fail')) as first_attempt_on,
        min(dated_on) filter (where kind = 'pass') as passed_on,
        min(dated_on) filter (where kind = 'progress') as first_progress_on,
        min(dated_on) filter (where kind = 'exemption') as exempt_on
    from {{ ref('int_evaluations') }}
    group by contract_no, component

),

components as (

    select contract_no, component, min(begun_on) as first_begun_on
    from {{ ref('int_components') }}
    where contract_no is not null
    group by contract_no, component

),

enrolments as (

    select contract_no, component, min(enrolled_on) as first_enrolled_on
    from {{ ref('int_courses') }}
    where contract_no is not null and is_enrolment
    group by contract_no, component

),

tracks as (

    select
        contract_no,
        min(status_from) filter (where status_code = 'GS') as closed_on,
        min(status_from) filter (where status_code = 'TS') as suspended_on
    from {{ ref('int_tracks') }}
    where contract_no is not null and status_code in ('GS', 'TS')
    group by contract_no

)

select
    {{ trajectory_component_no('base.contract_no', 'base.component') }} as trajectory_component_no,
    base.contract_no,
    base.component,
    base.signed_on,
    base.is_in_contract,
    prior_passes.prior_pass_on,
    evidence.first_attempt_on,
    evidence.passed_on,
    -- From this day on only what R5 says can still move the outcome.
    case
        when prior_passes.prior_pass_on is not null then base.signed_on
        when evidence.passed_on is not null then greatest(evidence.passed_on, base.signed_on)
    end as settled_on,
    evidence.first_progress_on,
    evidence.exempt_on,
    components.first_begun_on,
    enrolments.first_enrolled_on,
    tracks.closed_on as track_closed_on,
    tracks.suspended_on as track_suspended_on
from trajectory_components as base
left join {{ ref('int_prior_passes') }} as prior_passes
    on base.contract_no = prior_passes.contract_no and base.component = prior_passes.component
left join evidence on base.contract_no = evidence.contract_no and base.component = evidence.component
left join components on base.contract_no = components.contract_no and base.component = components.component
left join enrolments on base.contract_no = enrolments.contract_no and base.component = enrolments.component
left join tracks on base.contract_no = tracks.contract_no
