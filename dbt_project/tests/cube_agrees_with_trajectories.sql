{{ config(meta={'dagster': {'ref': {'name': 'mart_outcome_cube'}}}) }}

-- What: on the date of the last delivery the cube holds every contract signed up to it, once per component.
-- To resolve: look at int_contract_strata: a contract without stratum, or with two.
with cube as (

    select cube.component, sum(cube.n_contracts) as n_contracts
    from {{ ref('mart_outcome_cube') }} as cube
    inner join {{ source('registry', 'knowledge') }} as knowledge on cube.as_of_date = knowledge.known_on
    group by cube.component

),

contracts as (

    select count(*) as n_contracts
    from {{ ref('int_contracts') }} as contracts
    cross join {{ source('registry', 'knowledge') }} as knowledge
    where contracts.signed_on <= knowledge.known_on

)

select cube.component, cube.n_contracts
from cube
cross join contracts
where cube.n_contracts <> contracts.n_contracts
