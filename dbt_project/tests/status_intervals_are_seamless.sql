{{ config(meta={'dagster': {'ref': {'name': 'fct_trajectory_component_status'}}, 'of_single_persons': true}) }}

-- What: per trajectory x component the intervals start at signature, follow each other without gap or overlap, differ
-- from their neighbour and end open. When: always. To resolve: look at that contract's spans and milestones.
with ordered as (

    select
        status.contract_id,
        status.component,
        status.outcome,
        status.valid_from,
        status.valid_to,
        contracts.signed_on,
        lag(status.valid_to) over per_component as valid_to_before,
        lag(status.outcome) over per_component as outcome_before,
        row_number() over per_component as position,
        lead(status.valid_from) over per_component as next_valid_from
    from {{ ref('fct_trajectory_component_status') }} as status
    inner join {{ ref('int_contracts') }} as contracts on status.contract_no = contracts.contract_no
    window per_component as (partition by status.contract_no, status.component order by status.valid_from)

)

select *
from ordered
where
    (position = 1 and valid_from <> signed_on)
    or (position > 1 and (valid_to_before is null or valid_from <> valid_to_before + 1 or outcome = outcome_before))
    or (next_valid_from is null and valid_to is not null)
    or valid_to < valid_from
