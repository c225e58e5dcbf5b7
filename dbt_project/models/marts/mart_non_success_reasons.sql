-- What the registry "could not yet refine at aggregate level": why did the others not succeed?
with counts as (

    select counts.*
    from {{ ref('int_outcome_counts') }} as counts
    inner join {{ ref('outcomes') }} as outcomes on counts.outcome = outcomes.outcome
    where outcomes.is_ended and outcomes.outcome <> 'passed'

),

totals as (

    {{ with_all_participation_types('counts', ['as_of_date', 'counting_unit', 'component', 'outcome']) }}

),

reasons as (

    select
        as_of_date,
        counting_unit,
        component,
        participation_type,
        outcome as reason,
        cast(n as bigint) as n,
        cast(
            sum(n) over (partition by as_of_date, counting_unit, component, participation_type) as bigint
        ) as n_non_success
    from totals

)

select
    reasons.*,
    {{ rate('n', 'n_non_success') }} as share,
    knowledge.known_on
from reasons
cross join {{ source('registry', 'knowledge') }} as knowledge
