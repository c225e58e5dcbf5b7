-- Q1: of those evaluated since the obligation of result, what share passed social orientation, and Dutch?
with counts as (

    select counts.*, outcomes.is_required, outcomes.is_ended, outcomes.is_evaluated
    from {{ ref('int_outcome_counts') }} as counts
    inner join {{ ref('outcomes') }} as outcomes on counts.outcome = outcomes.outcome

),

totals as (

    {{ pass_rate_counts('counts', ['as_of_date', 'counting_unit', 'component']) }}

),

rates as (

    select
        {{ pass_rates('totals') }}
    from totals

)

select
    rates.*,
    knowledge.known_on
from rates
cross join {{ source('registry', 'knowledge') }} as knowledge
