with source as (

    select * from {{ source('registry', 'insz_wijzigingen') }}

),

renamed as (

    select
        old_person_key,
        new_person_key,
        datum as changed_on
    from source

)

select * from renamed
