with source as (

    select * from {{ source('registry', 'doelgroepen') }}

),

renamed as (

    select
        person_key,
        begin as valid_from,
        einde as valid_to,
        code as target_group_code,
        type as target_group_type,
        subtype as target_group_subtype
    from source

)

select * from renamed
