-- R6: every piece of evidence of a trajectory; attempts are numbered, no-shows and exemptions are not.
with attempts as (

    select contract_no, component, source, source_id, attempt_no from {{ ref('int_attempts') }}

)

select
    contracts.contract_id,
    evidence.component,
    attempts.attempt_no,
    evidence.dated_on,
    evidence.kind,
    evidence.source,
    evidence.source_id,
    evidence.level
from {{ ref('int_evidence') }} as evidence
inner join {{ ref('int_contracts') }} as contracts on evidence.contract_no = contracts.contract_no
left join attempts
    on
        evidence.contract_no = attempts.contract_no
        and evidence.component = attempts.component
        and evidence.source = attempts.source
        and evidence.source_id = attempts.source_id
