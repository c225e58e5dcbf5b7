{{ config(meta={'dagster': {'ref': {'name': 'mart_outcome_cube'}}}) }}

-- What: on the date of the last delivery the cube holds every contract signed up to it, once per component.
-- To resolve: look at int_contract_strata: a contract without stratum, or with two.
with cube as (

    select cube.component, sum(cube.n_contracts) as n_contracts
    from {{ ref('mart_outcome_cube') }} as cube
    inner join {{ source('registry', 'knowledge') }} as knowledge on cube.as_of_date = knowledge.known_on
    group by cube.component

),

components as (

    select 'mo' as component union all select 'nt2' as component

),

contracts as (

    select count(*) as n_contracts
    from {{ ref('int_contracts') }} as contracts
    cross join {{ source('registry', 'knowledge') }} as knowledge
    where contracts.signed_on <= knowledge.known_on

)

select components.component, cube.n_contracts, contracts.n_contracts as n_signed
from components
cross join contracts
left join cube on components.component = cube.component
where coalesce(cube.n_contracts, 0) <> contracts.n_contracts
