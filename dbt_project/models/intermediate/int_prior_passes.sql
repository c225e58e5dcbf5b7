-- R6: the earliest pass of the same person dated before the signature, by this contract's regime and target level,
-- wherever it belongs: decisions of any of the person's tracks, courses, tests, attendance for `effort` contracts.
with contracts as (

    select contract_no, person_no, signed_on, nt2_target_rank, minimum_attendance from {{ ref('int_contracts') }}

),

passes as (

    select person_no, component, decided_on as dated_on, level_rank
    from {{ ref('int_components') }}
    where decision_code = 'VO' and decided_on is not null

    union all

    select person_no, component, over_on as dated_on, level_rank
    from {{ ref('int_courses') }}
    where result_code = 'GESLAAGD' and over_on is not null

    union all

    select person_no, component, tested_on as dated_on, level_rank
    from {{ ref('int_tests') }}
    where result_code = 'GESLAAGD'

),

prior as (

    select contracts.contract_no, passes.component, passes.dated_on
    from contracts
    inner join passes
        on
            contracts.person_no = passes.person_no
            and passes.dated_on < contracts.signed_on
            and (passes.component = 'mo' or passes.level_rank >= contracts.nt2_target_rank)

    union all

    select contracts.contract_no, courses.component, courses.over_on as dated_on
    from contracts
    inner join {{ ref('int_courses') }} as courses
        on
            contracts.person_no = courses.person_no
            and courses.over_on < contracts.signed_on
    where
        contracts.minimum_attendance is not null
        and {{ has_attended('courses', 'contracts.minimum_attendance') }}

)

select
    contract_no,
    component,
    min(dated_on) as prior_pass_on
from prior
group by contract_no, component
