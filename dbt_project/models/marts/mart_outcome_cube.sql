-- Contracts per outcome by every fixed dimension, all regimes: additive, only cells that occur.
with dates as (

    select as_of_date from {{ ref('int_reporting_dates') }} where in_cube

),

status as (

    select
        strata.stratum_no,
        status.component,
        status.outcome,
        status.valid_from,
        cast(status.valid_to + 1 as date) as valid_until
    from {{ ref('fct_trajectory_component_status') }} as status
    inner join {{ ref('int_contract_strata') }} as strata on status.contract_no = strata.contract_no

),

landing_dates as (

    select days.day, min(dates.as_of_date) as as_of_date
    from (select valid_from as day from status union select valid_until from status) as days
    inner join dates on days.day <= dates.as_of_date
    group by days.day

),

-- An interval counts from the first date on or after it until the first date after it; most lie between two dates.
-- Equal ones are counted before they are spread over their dates: joining days by ranges is what costs here.
spells as (

    select
        status.stratum_no,
        status.component,
        status.outcome,
        begins.as_of_date as counted_from,
        ends.as_of_date as counted_until,
        count(*) as n_contracts
    from status
    inner join landing_dates as begins on status.valid_from = begins.day
    left join landing_dates as ends on status.valid_until = ends.day
    where ends.as_of_date is null or begins.as_of_date < ends.as_of_date
    group by status.stratum_no, status.component, status.outcome, begins.as_of_date, ends.as_of_date

),

cells as (

    select dates.as_of_date, spells.stratum_no, spells.component, spells.outcome, sum(spells.n_contracts) as n_contracts
    from spells
    inner join dates
        on
            spells.counted_from <= dates.as_of_date
            and (spells.counted_until is null or dates.as_of_date < spells.counted_until)
    group by dates.as_of_date, spells.stratum_no, spells.component, spells.outcome

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
