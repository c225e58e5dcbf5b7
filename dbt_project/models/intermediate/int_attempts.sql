-- R6: the attempts of a trajectory at a component, in order. next_dated_on says until when one is the last.
select
    contract_no,
    component,
    cast(row_number() over attempts as integer) as attempt_no,
    dated_on,
    kind,
    source,
    source_id,
    level,
    lead(dated_on) over attempts as next_dated_on
from {{ ref('int_evidence') }}
where kind in ('pass', 'progress', 'fail')
window attempts as (partition by contract_no, component order by dated_on, source_rank, source_id)
