-- Days that are today or still to come, in rows of a person, whether a figure needs them or not. On these days, or on
-- the day after, figures change without any news, and on no others: a later night finds here whom to look at again.
with knowledge as (

    select known_on from {{ source('registry', 'knowledge') }}

),

named as (

    {{ days_ahead('stg_registry__target_group_records', ['valid_from', 'valid_to']) }}
    union all
    {{ days_ahead('stg_registry__contracts', ['signed_on']) }}
    union all
    {{ days_ahead('stg_registry__addenda', ['registered_on'], 'stg_registry__contracts', 'contract_id') }}
    union all
    {{ days_ahead(
        'stg_registry__suspensions', ['suspended_from', 'suspended_to'], 'stg_registry__contracts', 'contract_id'
    ) }}
    union all
    {{ days_ahead('stg_registry__tracks', ['begun_on', 'ended_on', 'status_from', 'decided_on']) }}
    union all
    {{ days_ahead(
        'stg_registry__components', ['begun_on', 'ended_on', 'decided_on'], 'stg_registry__tracks', 'track_id'
    ) }}
    union all
    {{ days_ahead('stg_registry__mo_courses', ['begun_on', 'ended_on', 'enrolled_on', 'left_on']) }}
    union all
    {{ days_ahead('stg_registry__nt2_courses', ['begun_on', 'ended_on', 'enrolled_on', 'left_on']) }}
    union all
    {{ days_ahead('stg_registry__tests', ['tested_on']) }}
    union all
    {{ days_ahead('stg_registry__certificates', ['signed_on', 'created_on']) }}
    union all
    {{ days_ahead('stg_registry__infringements', ['established_on', 'notified_on', 'fined_on']) }}
    union all
    {{ days_ahead('stg_registry__waiting_list', ['registered_on']) }}

),

days as (

    select person_key, day_1 as dated_on from named
    union
    select person_key, day_2 as dated_on from named
    union
    select person_key, day_3 as dated_on from named
    union
    select person_key, day_4 as dated_on from named

)

select
    days.person_key as person_key_delivered,
    days.dated_on
from days
cross join knowledge
where days.dated_on >= knowledge.known_on
