-- R6: every piece of evidence of a trajectory; attempts are numbered, no-shows and exemptions are not.
select
    contracts.contract_id,
    evaluations.component,
    evaluations.attempt_no,
    evaluations.dated_on,
    evaluations.kind,
    evaluations.source,
    evaluations.source_id,
    evaluations.level
from {{ ref('int_evaluations') }} as evaluations
inner join {{ ref('int_contracts') }} as contracts on evaluations.contract_no = contracts.contract_no
