-- Q5: of those who completed both components and were evaluated, what share did not pass and received none?
with counts as (

    select * from {{ ref('int_completion_counts') }}

),

totals as (

    {{ with_all_participation_types(
        'counts', ['as_of_date', 'counting_unit', 'failed_components', 'is_certified']
    ) }}

),

cells as (

    select
        as_of_date,
        counting_unit,
        participation_type,
        cast(sum(n) as bigint) as n_completed_evaluated,
        cast(sum(n) filter (where not is_certified and failed_components <> 'none') as bigint) as n_uncertified_failed,
        cast(sum(n) filter (where not is_certified and failed_components = 'mo_only') as bigint) as n_failed_mo_only,
        cast(sum(n) filter (where not is_certified and failed_components = 'nt2_only') as bigint) as n_failed_nt2_only,
        cast(sum(n) filter (where not is_certified and failed_components = 'both') as bigint) as n_failed_both
    from totals
    group by as_of_date, counting_unit, participation_type

)

select
    cells.as_of_date,
    cells.counting_unit,
    cells.participation_type,
    cells.n_completed_evaluated,
    cells.n_uncertified_failed,
    {{ rate('n_uncertified_failed', 'n_completed_evaluated') }} as uncertified_failed_rate,
    cells.n_failed_mo_only,
    cells.n_failed_nt2_only,
    cells.n_failed_both,
    knowledge.known_on
from cells
cross join {{ source('registry', 'knowledge') }} as knowledge
