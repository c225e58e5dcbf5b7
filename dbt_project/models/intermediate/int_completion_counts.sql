-- R10: units that completed and were evaluated, per result and certificate, on every reporting date, zeros included.
with changes as (

    select counting_unit, participation_type, failed_components, is_certified, valid_from as day, count(*) as change
    from {{ ref('int_unit_completion') }}
    group by counting_unit, participation_type, failed_components, is_certified, valid_from

    union all

    select counting_unit, participation_type, failed_components, is_certified, valid_until as day, -count(*) as change
    from {{ ref('int_unit_completion') }}
    where valid_until is not null
    group by counting_unit, participation_type, failed_components, is_certified, valid_until

),

grid as (

    select
        dates.as_of_date,
        units.counting_unit,
        types.participation_type,
        results.failed_components,
        documents.is_certified
    from {{ ref('int_reporting_dates') }} as dates
    cross join (select 'contract' as counting_unit union all select 'person' as counting_unit) as units
    cross join {{ ref('participation_types') }} as types
    cross join (
        select 'none' as failed_components
        union all
        select 'mo_only'
        union all
        select 'nt2_only'
        union all
        select 'both'
    ) as results
    cross join (select true as is_certified union all select false as is_certified) as documents

),

dated_changes as (

    {{ changes_by_reporting_date(
        'changes', ['counting_unit', 'participation_type', 'failed_components', 'is_certified']
    ) }}

)

select
    grid.as_of_date,
    grid.counting_unit,
    grid.participation_type,
    grid.failed_components,
    grid.is_certified,
    cast(
        sum(coalesce(dated_changes.change, 0)) over (
            partition by
                grid.counting_unit, grid.participation_type, grid.failed_components, grid.is_certified
            order by grid.as_of_date
            rows between unbounded preceding and current row
        ) as bigint
    ) as n
from grid
left join dated_changes
    on
        grid.as_of_date = dated_changes.as_of_date
        and grid.counting_unit = dated_changes.counting_unit
        and grid.participation_type = dated_changes.participation_type
        and grid.failed_components = dated_changes.failed_components
        and grid.is_certified = dated_changes.is_certified
