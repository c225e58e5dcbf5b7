with source as (

    select * from {{ source('registry', 'opschortingen') }}

),

renamed as (

    select
        contract_id,
        begin as suspended_from,
        einde as suspended_to
    from source

)

select * from renamed
