-- R2: participations in courses of both components, with the contract they belong to: contract_at(p, enrolment), else
-- the person's first contract if the course was not over before that signature.
with participations as (

    select
        participation_id,
        person_key,
        'mo' as component,
        cast(null as string) as level,
        enrolled_on,
        left_on,
        ended_on,
        lesson_hours,
        attended_hours,
        cast(null as string) as result_code,
        true as is_enrolment
    from {{ ref('stg_registry__mo_courses') }}

    union all

    select
        participation_id,
        person_key,
        'nt2' as component,
        level,
        enrolled_on,
        left_on,
        ended_on,
        lesson_hours,
        attended_hours,
        result_code,
        -- R7: the other statuses are places kept or refused; their result still is evidence.
        enrolment_status is null or enrolment_status in ('INGESCHREVEN', 'UITGESCHREVEN') as is_enrolment
    from {{ ref('stg_registry__nt2_courses') }}

),

known as (

    select
        participations.*,
        levels.level_rank,
        numbers.person_no
    from participations
    inner join {{ ref('int_person_numbers') }} as numbers
        on participations.person_key = numbers.person_key_delivered
    left join {{ ref('nt2_levels') }} as levels on participations.level = levels.level

),

contracts as (

    select contract_no, person_no, signed_on, superseded_on, is_first from {{ ref('int_contracts') }}

)

select
    known.participation_id,
    known.component,
    known.level,
    known.level_rank,
    known.person_no,
    coalesce(contracts_at.contract_no, first_contracts.contract_no) as contract_no,
    known.enrolled_on,
    known.left_on,
    known.ended_on,
    -- R6: a result is dated by the earlier of the two; without both it is no evidence. least() skips the empty one.
    least(known.ended_on, known.left_on) as over_on,
    known.lesson_hours,
    known.attended_hours,
    known.result_code,
    known.is_enrolment
from known
left join contracts as contracts_at
    on
        known.person_no = contracts_at.person_no
        and {{ is_contract_at('known.enrolled_on', 'contracts_at') }}
left join contracts as first_contracts
    on
        known.person_no = first_contracts.person_no
        and first_contracts.is_first
        and known.enrolled_on < first_contracts.signed_on
        and coalesce(known.left_on, known.ended_on, cast('9999-12-31' as date)) >= first_contracts.signed_on
