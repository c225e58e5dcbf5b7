-- Q2: is there a difference between compulsory and voluntary participants?
with counts as (

    select counts.*, outcomes.is_required, outcomes.is_ended, outcomes.is_evaluated
    from {{ ref('int_outcome_counts') }} as counts
    inner join {{ ref('outcomes') }} as outcomes on counts.outcome = outcomes.outcome

),

totals as (

    {{ pass_rate_counts('counts', ['as_of_date', 'counting_unit', 'component', 'participation_type']) }}

),

rates as (

    select
        {{ pass_rates('totals') }}
    from totals

),

voluntary as (

    select as_of_date, counting_unit, component, n_passed, n_evaluated, n_ended
    from totals
    where participation_type = 'voluntary'

)

select
    rates.*,
    {{ rate_gap('rates.n_passed', 'rates.n_evaluated', 'voluntary.n_passed', 'voluntary.n_evaluated') }}
        as pass_rate_evaluated_gap,
    {{ rate_gap('rates.n_passed', 'rates.n_ended', 'voluntary.n_passed', 'voluntary.n_ended') }}
        as pass_rate_ended_gap,
    knowledge.known_on
from rates
inner join voluntary
    on
        rates.as_of_date = voluntary.as_of_date
        and rates.counting_unit = voluntary.counting_unit
        and rates.component = voluntary.component
cross join {{ source('registry', 'knowledge') }} as knowledge
