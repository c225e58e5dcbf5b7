{{ config(meta={'dagster': {'ref': {'name': 'mart_q1_pass_rate'}}}) }}

-- What: outcomes add up to the population, numerators lie within denominators, strata add up to totals, the four cells
-- to the completed, the reasons to the non-successful. When: before every publication. To resolve: the first column
-- names the broken identity; start at the counts model it is made from.
with q1 as (

    select * from {{ ref('mart_q1_pass_rate') }}

),

q2 as (

    select
        as_of_date, counting_unit, component,
        sum(n_population) as n_population, sum(n_passed) as n_passed, sum(n_ended) as n_ended
    from {{ ref('mart_q2_pass_rate_by_participation') }}
    group by as_of_date, counting_unit, component

),

q3 as (

    select * from {{ ref('mart_q3_certificates') }} where participation_type = 'all'

)

select 'outcomes add up to the population' as identity, as_of_date, counting_unit
from q1
where
    n_population <> n_passed + n_failed + n_resitting + n_dropped_out + n_left_target_group + n_changed_target_group
    + n_suspended + n_in_progress + n_awaiting_result + n_waiting + n_exempt + n_prior_level + n_not_required
    + n_undetermined

union all

select 'numerators lie within denominators', as_of_date, counting_unit
from q1
where
    n_passed > n_evaluated or n_evaluated > n_ended or n_ended > n_required or n_required > n_population
    or n_passed < 0

union all

select 'participation types add up to the total', q1.as_of_date, q1.counting_unit
from q1
inner join q2
    on q1.as_of_date = q2.as_of_date and q1.counting_unit = q2.counting_unit and q1.component = q2.component
where q1.n_population <> q2.n_population or q1.n_passed <> q2.n_passed or q1.n_ended <> q2.n_ended

union all

select 'both components and the certificates have one population', q1.as_of_date, q1.counting_unit
from q1
inner join q3 on q1.as_of_date = q3.as_of_date and q1.counting_unit = q3.counting_unit
where q1.n_population <> q3.n_population or q3.n_certified > q3.n_population

union all

select 'the four cells add up to the completed', as_of_date, counting_unit
from {{ ref('mart_q4_completed_and_certified') }}
where
    n_completed_evaluated <> n_certified_passed + n_uncertified_passed + n_uncertified_failed + n_certified_failed
    or least(n_certified_passed, n_uncertified_passed, n_uncertified_failed, n_certified_failed) < 0

union all

select 'the failed are failed in one component, the other or both', as_of_date, counting_unit
from {{ ref('mart_q5_completed_not_certified') }}
where n_uncertified_failed <> n_failed_mo_only + n_failed_nt2_only + n_failed_both

union all

select 'the reasons add up to ended less passed', q1.as_of_date, q1.counting_unit
from q1
inner join {{ ref('mart_non_success_reasons') }} as reasons
    on
        q1.as_of_date = reasons.as_of_date
        and q1.counting_unit = reasons.counting_unit
        and q1.component = reasons.component
        and reasons.participation_type = 'all'
where reasons.n_non_success <> q1.n_ended - q1.n_passed
