-- R4: the one target-group record that counts for a person on each day, as spells without overlap. Needed because
-- records may overlap, always after a merger of numbers: then the latest begin wins, then the latest end as recorded.
with records as (

    select
        numbers.person_no,
        records.valid_from,
        records.valid_to,
        records.target_group_code,
        records.target_group_type,
        types.participation_type,
        coalesce(types.choice_rank, 7) as type_rank,
        case records.target_group_code when 'JA' then 1 when 'NADER_TE_BEPALEN' then 2 else 3 end as code_rank
    from {{ ref('stg_registry__target_group_records') }} as records
    inner join {{ ref('int_person_numbers') }} as numbers on records.person_key = numbers.person_key_delivered
    left join {{ ref('target_group_types') }} as types on records.target_group_type = types.target_group_type

),

boundaries as (

    select person_no, valid_from as starts_on from records
    union
    select person_no, cast(valid_to + 1 as date) as starts_on from records where valid_to is not null

),

segments as (

    select
        person_no,
        starts_on,
        lead(starts_on) over (partition by person_no order by starts_on) as next_starts_on
    from boundaries

),

covering as (

    select
        segments.person_no,
        segments.starts_on,
        segments.next_starts_on,
        records.target_group_code,
        records.target_group_type,
        records.participation_type,
        row_number() over (
            partition by segments.person_no, segments.starts_on
            order by
                records.valid_from desc, records.valid_to desc nulls first, records.type_rank asc, records.code_rank asc
        ) as preference
    from segments
    inner join records
        on
            segments.person_no = records.person_no
            and records.valid_from <= segments.starts_on
            and (records.valid_to is null or records.valid_to >= segments.starts_on)

)

select
    person_no,
    starts_on as valid_from,
    cast(next_starts_on - 1 as date) as valid_to,
    target_group_code,
    target_group_type,
    participation_type
from covering
where preference = 1
