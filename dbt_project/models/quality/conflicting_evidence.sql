-- R6: fails dated after a pass. They change no outcome, but somebody should look.
select
    contract_id,
    component,
    passed_on,
    failed_on,
    source,
    source_id
from {{ ref('int_conflicting_evidence') }}
