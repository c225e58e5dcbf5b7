-- R6: the evidence of a trajectory at a component, once. Attempts are numbered in order, no-shows and exemptions are
-- not; next_dated_on says until when an attempt is the last.
with evidence as (

    select
        *,
        kind in ('pass', 'progress', 'fail') as is_attempt
    from {{ ref('int_evidence') }}

)

select
    contract_no,
    component,
    case when is_attempt then cast(row_number() over in_order as integer) end as attempt_no,
    dated_on,
    kind,
    source,
    source_id,
    level,
    case when is_attempt then lead(dated_on) over in_order end as next_dated_on
from evidence
window in_order as (partition by contract_no, component, is_attempt order by dated_on, source_rank, source_id)
