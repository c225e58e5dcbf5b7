-- The days for which the marts hold a row set: every month's last day from the start of the obligation of result, the
-- date of the last delivery, and the dates of the seed. Every model that depends on a reporting date is downstream of
-- this one, so that any other day can be asked by running those models again with that one day here.
with knowledge as (

    select known_on from {{ source('registry', 'knowledge') }}

),

start as (

    select signed_from as population_start from {{ ref('policy_regimes') }} where regime_code = 'result_2016'

),

month_ends as (

    select distinct last_day(days.date_day) as as_of_date
    from {{ ref('dim_date') }} as days
    cross join knowledge
    cross join start
    where days.date_day between start.population_start and knowledge.known_on

),

reporting_dates as (

    select month_ends.as_of_date, false as is_asked
    from month_ends
    cross join knowledge
    where month_ends.as_of_date <= knowledge.known_on

    union all

    select known_on as as_of_date, false as is_asked from knowledge

    union all

    select seed.as_of_date, true as is_asked
    from {{ ref('reporting_dates') }} as seed
    cross join knowledge
    where seed.as_of_date <= knowledge.known_on

)

select
    reporting_dates.as_of_date,
    bool_or(
        reporting_dates.is_asked
        or reporting_dates.as_of_date > cast(knowledge.known_on - interval '24' month as date)
    ) as in_cube
from reporting_dates
cross join knowledge
group by reporting_dates.as_of_date
