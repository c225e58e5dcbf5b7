{{ config(meta={'dagster': {'ref': {'name': 'fct_trajectory_component_status'}}, 'of_single_persons': true}) }}

-- What: every contract signed up to the last delivery has intervals for both components, no other has any.
-- To resolve: look at int_component_milestones for that contract.
with expected as (

    select contracts.contract_no, components.component
    from {{ ref('int_contracts') }} as contracts
    cross join (select 'mo' as component union all select 'nt2' as component) as components
    cross join {{ source('registry', 'knowledge') }} as knowledge
    where contracts.signed_on <= knowledge.known_on

),

present as (

    select distinct contract_no, component from {{ ref('fct_trajectory_component_status') }}

)

select
    coalesce(expected.contract_no, present.contract_no) as contract_no,
    coalesce(expected.component, present.component) as component,
    present.contract_no is not null as has_status
from expected
full outer join present on expected.contract_no = present.contract_no and expected.component = present.component
where expected.contract_no is null or present.contract_no is null
