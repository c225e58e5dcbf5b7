-- R1: every number under which a person may occur, and the person behind it. Only numbers that are a person's or a
-- contract's matter here: a row under any other number belongs to nobody with a trajectory.
with recursive

number_changes as (

    select old_person_key, new_person_key from {{ ref('stg_registry__number_changes') }}

),

limits as (

    select count(*) as n_changes from number_changes

),

-- A number is replaced at most once, so a chain never forks. Validation keeps cycles out; should one slip in, a chain
-- ends where it began, or after as many steps as there are changes.
chains as (

    select old_person_key as person_key_delivered, new_person_key as current_key, 1 as steps
    from number_changes

    union all

    select chains.person_key_delivered, number_changes.new_person_key, chains.steps + 1
    from chains
    inner join number_changes on chains.current_key = number_changes.old_person_key
    cross join limits
    where chains.current_key <> chains.person_key_delivered and chains.steps < limits.n_changes

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
