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
        {%- for column, measure in [
            ('n_population', 'population'), ('n_certified', 'certified'), ('n_certificates', 'certificate'),
            ('n_evc', 'evc'), ('n_effort_statements', 'effort_statement'),
            ('n_certificates_any_regime', 'any_regime'),
        ] %}
        cast(sum(n) filter (where measure = '{{ measure }}') as bigint) as {{ column }}{{ "," if not loop.last }}
        {%- endfor %}
    from totals
    group by as_of_date, counting_unit, participation_type

)

select
    measures.*,
    knowledge.known_on
from measures
cross join {{ source('registry', 'knowledge') }} as knowledge
