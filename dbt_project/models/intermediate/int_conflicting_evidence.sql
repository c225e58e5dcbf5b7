-- R6: a pass once obtained stands; a fail dated after it changes nothing and is listed here.
with passes as (

    select contract_no, component, min(dated_on) as passed_on
    from {{ ref('int_evaluations') }}
    where kind = 'pass'
    group by contract_no, component

)

select
    contracts.contract_id,
    attempts.component,
    passes.passed_on,
    attempts.dated_on as failed_on,
    attempts.source,
    attempts.source_id
from {{ ref('int_evaluations') }} as attempts
inner join passes on attempts.contract_no = passes.contract_no and attempts.component = passes.component
inner join {{ ref('int_contracts') }} as contracts on attempts.contract_no = contracts.contract_no
where attempts.kind = 'fail' and attempts.dated_on > passes.passed_on
