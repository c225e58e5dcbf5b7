-- Q4: of those who completed both components and were evaluated, what share passed and received the certificate?
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
        cast(sum(n) filter (where is_certified and failed_components = 'none') as bigint) as n_certified_passed,
        cast(sum(n) filter (where not is_certified and failed_components = 'none') as bigint) as n_uncertified_passed,
        cast(sum(n) filter (where not is_certified and failed_components <> 'none') as bigint) as n_uncertified_failed,
        cast(sum(n) filter (where is_certified and failed_components <> 'none') as bigint) as n_certified_failed
    from totals
    group by as_of_date, counting_unit, participation_type

)

select
    cells.*,
    {{ rate('n_certified_passed', 'n_completed_evaluated') }} as certified_passed_rate,
    {{ rate('n_uncertified_passed', 'n_completed_evaluated') }} as uncertified_passed_rate,
    {{ rate('n_uncertified_failed', 'n_completed_evaluated') }} as uncertified_failed_rate,
    {{ rate('n_certified_failed', 'n_completed_evaluated') }} as certified_failed_rate,
    {{ rate('n_certified_passed', 'n_completed_evaluated') }} as certified_rate,
    {{ rate('(n_certified_passed + n_uncertified_passed)', 'n_completed_evaluated') }} as passed_rate,
    knowledge.known_on
from cells
cross join {{ source('registry', 'knowledge') }} as knowledge
