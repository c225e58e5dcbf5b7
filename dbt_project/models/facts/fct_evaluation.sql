-- R6: every piece of evidence of a trajectory; attempts are numbered, no-shows and exemptions are not.
with evaluations as (

    select contract_no, component, attempt_no, dated_on, kind, source, source_id, level
    from {{ ref('int_attempts') }}

    union all

    select contract_no, component, cast(null as integer) as attempt_no, dated_on, kind, source, source_id, level
    from {{ ref('int_evidence') }}
    where kind not in ('pass', 'progress', 'fail')

)

select
    contracts.contract_id,
    evaluations.component,
    evaluations.attempt_no,
    evaluations.dated_on,
    evaluations.kind,
    evaluations.source,
    evaluations.source_id,
    evaluations.level
from evaluations
inner join {{ ref('int_contracts') }} as contracts on evaluations.contract_no = contracts.contract_no
