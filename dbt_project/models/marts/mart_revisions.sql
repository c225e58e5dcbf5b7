-- What each delivery changed in the figures of reporting dates before it: old, new, and how much by cause. A figure as
-- it was after a delivery is the figure of now without what later deliveries changed.
with revisions as (

    select
        position,
        delivery_id,
        previous_delivery_id,
        known_before,
        known_after,
        {{ revision_grain() }},
        measure,
        cause,
        difference
    from {{ source('registry', 'revisions') }}

),

deliveries as (

    select distinct position, delivery_id, previous_delivery_id, known_before, known_after from revisions

),

changes as (

    select
        position,
        {{ revision_grain() }},
        measure,
        sum(difference) as difference,
        coalesce(sum(difference) filter (where cause = 'late_registration'), 0) as n_late_registration,
        coalesce(sum(difference) filter (where cause = 'corrected_decision'), 0) as n_corrected_decision,
        coalesce(sum(difference) filter (where cause = 'deleted_row'), 0) as n_deleted_row,
        coalesce(sum(difference) filter (where cause = 'replaced_number'), 0) as n_replaced_number,
        coalesce(sum(difference) filter (where cause = 'repaired_from_quarantine'), 0) as n_repaired_from_quarantine,
        coalesce(sum(difference) filter (where cause = 'other'), 0) as n_other
    from revisions
    group by position, {{ revision_grain() }}, measure

),

-- The rows of marts that a delivery changed in any count: every count of such a row may be part of a changed rate.
changed_rows as (

    select distinct position, {{ revision_grain() }} from changes

),

counts as (

    {{ counts_of_marts() }}

),

later as (

    select
        rows_of.position,
        {{ revision_grain('rows_of') }},
        changes.measure,
        sum(changes.difference) as difference
    from changed_rows as rows_of
    inner join changes on {{ is_same_grain('rows_of', 'changes') }} and rows_of.position < changes.position
    group by rows_of.position, {{ revision_grain('rows_of') }}, changes.measure

),

states as (

    select
        changed_rows.position,
        {{ revision_grain('counts') }},
        counts.measure,
        counts.value - coalesce(later.difference, 0) - coalesce(changes.difference, 0) as old_value,
        counts.value - coalesce(later.difference, 0) as new_value
    from changed_rows
    inner join counts on {{ is_same_grain('changed_rows', 'counts') }}
    left join later
        on
            {{ is_same_grain('counts', 'later') }}
            and counts.measure = later.measure
            and changed_rows.position = later.position
    left join changes
        on
            {{ is_same_grain('counts', 'changes') }}
            and counts.measure = changes.measure
            and changed_rows.position = changes.position

),

fractions as (

    select
        states.position,
        {{ revision_grain('states') }},
        rates.rate as measure,
        sum(states.old_value * rates.sign) filter (where rates.role = 'numerator') as old_numerator,
        sum(states.old_value * rates.sign) filter (where rates.role = 'denominator') as old_denominator,
        sum(states.new_value * rates.sign) filter (where rates.role = 'numerator') as new_numerator,
        sum(states.new_value * rates.sign) filter (where rates.role = 'denominator') as new_denominator
    from states
    inner join {{ ref('rate_definitions') }} as rates on states.mart = rates.mart and states.measure = rates.measure
    group by states.position, {{ revision_grain('states') }}, rates.rate

),

rates as (

    select
        position,
        {{ revision_grain() }},
        measure,
        {{ rate('old_numerator', 'old_denominator') }} as old_value,
        {{ rate('new_numerator', 'new_denominator') }} as new_value
    from fractions

),

revised as (

    select
        states.position,
        {{ revision_grain('states') }},
        states.measure,
        cast(states.old_value as decimal(18, 6)) as old_value,
        cast(states.new_value as decimal(18, 6)) as new_value,
        cast(changes.n_late_registration as bigint) as n_late_registration,
        cast(changes.n_corrected_decision as bigint) as n_corrected_decision,
        cast(changes.n_deleted_row as bigint) as n_deleted_row,
        cast(changes.n_replaced_number as bigint) as n_replaced_number,
        cast(changes.n_repaired_from_quarantine as bigint) as n_repaired_from_quarantine,
        cast(changes.n_other as bigint) as n_other
    from states
    inner join changes
        on
            {{ is_same_grain('states', 'changes') }}
            and states.measure = changes.measure
            and states.position = changes.position
    where changes.difference <> 0

    union all

    select
        position,
        {{ revision_grain() }},
        measure,
        cast(old_value as decimal(18, 6)) as old_value,
        cast(new_value as decimal(18, 6)) as new_value,
        cast(null as bigint) as n_late_registration,
        cast(null as bigint) as n_corrected_decision,
        cast(null as bigint) as n_deleted_row,
        cast(null as bigint) as n_replaced_number,
        cast(null as bigint) as n_repaired_from_quarantine,
        cast(null as bigint) as n_other
    from rates
    where
        old_value <> new_value
        or (old_value is null and new_value is not null)
        or (old_value is not null and new_value is null)

)

select
    deliveries.delivery_id,
    {{ revision_grain('revised') }},
    revised.measure,
    revised.old_value,
    revised.new_value,
    cast(revised.new_value - revised.old_value as decimal(18, 6)) as difference,
    revised.n_late_registration,
    revised.n_corrected_decision,
    revised.n_deleted_row,
    revised.n_replaced_number,
    revised.n_repaired_from_quarantine,
    revised.n_other,
    deliveries.previous_delivery_id,
    deliveries.known_before,
    deliveries.known_after,
    knowledge.known_on
from revised
inner join deliveries on revised.position = deliveries.position
cross join {{ source('registry', 'knowledge') }} as knowledge
