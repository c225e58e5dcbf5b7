-- Contracts per outcome by every fixed dimension, all regimes: additive, only cells that occur.
with dates as (

    select as_of_date from {{ ref('int_reporting_dates') }} where in_cube

),

cells as (

    select
        dates.as_of_date,
        strata.stratum_no,
        status.component,
        status.outcome,
        count(*) as n_contracts
    from {{ ref('fct_trajectory_component_status') }} as status
    inner join {{ ref('int_contract_strata') }} as strata on status.contract_no = strata.contract_no
    inner join dates
        on
            dates.as_of_date >= status.valid_from
            and (status.valid_to is null or dates.as_of_date <= status.valid_to)
    group by dates.as_of_date, strata.stratum_no, status.component, status.outcome

),

strata as (

    select distinct
        stratum_no, regime_code, cohort_quarter, participation_type,
        sex, age_group, nationality_group, region, agency_kbo
    from {{ ref('int_contract_strata') }}

)

select
    cells.as_of_date,
    strata.regime_code,
    strata.cohort_quarter,
    cells.component,
    strata.participation_type,
    strata.sex,
    strata.age_group,
    strata.nationality_group,
    strata.region,
    strata.agency_kbo,
    cells.outcome,
    cast(cells.n_contracts as bigint) as n_contracts,
    knowledge.known_on
from cells
inner join strata on cells.stratum_no = strata.stratum_no
cross join {{ source('registry', 'knowledge') }} as knowledge
order by cells.as_of_date, cells.stratum_no, cells.component, cells.outcome
