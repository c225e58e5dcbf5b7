{{ config(materialized='view') }}

-- R7, R9: outcomes of the population in both counting units, as intervals [valid_from, valid_until) of days. A person
-- counts with the latest contract: until the next one is signed.
with status as (

    select
        status.contract_no,
        status.component,
        status.outcome,
        status.valid_from,
        cast(status.valid_to + 1 as date) as valid_until,
        population.superseded_on,
        population.participation_type,
        case status.component when 'mo' then population.mo_passed_as_person else population.nt2_passed_as_person end
            as is_passed_as_person
    from {{ ref('fct_trajectory_component_status') }} as status
    inner join {{ ref('int_population') }} as population on status.contract_no = population.contract_no

)

select
    'contract' as counting_unit, contract_no, component, participation_type, outcome, valid_from, valid_until
from status

union all

select
    'person' as counting_unit,
    contract_no,
    component,
    participation_type,
    case when outcome = 'prior_level' and is_passed_as_person then 'passed' else outcome end as outcome,
    valid_from,
    least(valid_until, superseded_on) as valid_until
from status
where superseded_on is null or valid_from < superseded_on
