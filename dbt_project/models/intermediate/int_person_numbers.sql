-- R1: every number under which a person may occur, and the person behind it. Only numbers that are a person's or a
-- contract's matter here: a row under any other number belongs to nobody with a trajectory.
with recursive

number_changes as (

    select old_person_key, new_person_key from {{ ref('stg_registry__number_changes') }}

),

-- A number is replaced at most once, so a chain never forks. Validation keeps cycles out; should one slip in, a chain
-- ends where it began, or, if it led into the cycle from outside, at its landmark: the number at which it stood after
-- the last 1, 2, 4, 8 … steps, to which a cycle must lead back.
chains as (

    select
        old_person_key as person_key_delivered,
        new_person_key as current_key,
        old_person_key as landmark,
        1 as steps
    from number_changes

    union all

    select
        chains.person_key_delivered,
        number_changes.new_person_key,
        case when (chains.steps & (chains.steps - 1)) = 0 then chains.current_key else chains.landmark end,
        chains.steps + 1
    from chains
    inner join number_changes on chains.current_key = number_changes.old_person_key
    where chains.current_key not in (chains.person_key_delivered, chains.landmark)

),

ends as (

    select
        person_key_delivered,
        max_by(current_key, steps) as person_key,
        max(steps) as steps
    from chains
    group by person_key_delivered

),

occurring as (

    select person_key as person_key_delivered from {{ ref('stg_registry__persons') }}
    union
    select person_key from {{ ref('stg_registry__contracts') }}
    union
    select old_person_key from number_changes
    union
    select new_person_key from number_changes

),

resolved as (

    select
        occurring.person_key_delivered,
        coalesce(ends.person_key, occurring.person_key_delivered) as person_key,
        coalesce(ends.steps, 0) as steps
    from occurring
    left join ends on occurring.person_key_delivered = ends.person_key_delivered

)

select
    person_key_delivered,
    person_key,
    cast(steps as integer) as steps,
    {{ stable_number(['person_key']) }} as person_no
from resolved
