-- Units per outcome on every reporting date, zeros included. Counted by differences: +1 on the day an interval begins,
-- -1 on the day after it, added up over the days; never one pass per date.
with status as (

    select * from {{ ref('int_unit_component_status') }}

),

changes as (

    select counting_unit, component, participation_type, outcome, valid_from as day, count(*) as change
    from status
    group by counting_unit, component, participation_type, outcome, valid_from

    union all

    select counting_unit, component, participation_type, outcome, valid_until as day, -count(*) as change
    from status
    where valid_until is not null
    group by counting_unit, component, participation_type, outcome, valid_until

),

grid as (

    select
        dates.as_of_date,
        units.counting_unit,
        components.component,
        types.participation_type,
        outcomes.outcome
    from {{ ref('int_reporting_dates') }} as dates
    cross join (select 'contract' as counting_unit union all select 'person' as counting_unit) as units
    cross join (select 'mo' as component union all select 'nt2' as component) as components
    cross join {{ ref('participation_types') }} as types
    cross join {{ ref('outcomes') }} as outcomes

),

dated_changes as (

    {{ changes_by_reporting_date('changes', ['counting_unit', 'component', 'participation_type', 'outcome']) }}

)

select
    grid.as_of_date,
    grid.counting_unit,
    grid.component,
    grid.participation_type,
    grid.outcome,
    cast(
        sum(coalesce(dated_changes.change, 0)) over (
            partition by grid.counting_unit, grid.component, grid.participation_type, grid.outcome
            order by grid.as_of_date
            rows between unbounded preceding and current row
        ) as bigint
    ) as n
from grid
left join dated_changes
    on
        grid.as_of_date = dated_changes.as_of_date
        and grid.counting_unit = dated_changes.counting_unit
        and grid.component = dated_changes.component
        and grid.participation_type = dated_changes.participation_type
        and grid.outcome = dated_changes.outcome
