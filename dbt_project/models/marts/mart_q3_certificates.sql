-- Q3: how many certificates were issued since then, to that population?
with counts as (

    select * from {{ ref('int_certificate_counts') }}

),

totals as (

    {{ with_all_participation_types('counts', ['as_of_date', 'counting_unit', 'measure']) }}

),

measures as (

    select
        as_of_date,
        counting_unit,
        participation_type,
        cast(sum(n) filter (where measure = 'population') as bigint) as n_population,
        cast(sum(n) filter (where measure = 'certified') as bigint) as n_certified,
        cast(sum(n) filter (where measure = 'certificate') as bigint) as n_certificates,
        cast(sum(n) filter (where measure = 'evc') as bigint) as n_evc,
        cast(sum(n) filter (where measure = 'effort_statement') as bigint) as n_effort_statements,
        cast(sum(n) filter (where measure = 'any_regime') as bigint) as n_certificates_any_regime
    from totals
    group by as_of_date, counting_unit, participation_type

)

select
    measures.*,
    knowledge.known_on
from measures
cross join {{ source('registry', 'knowledge') }} as knowledge
