with source as (

    select * from {{ source('registry', 'wachtlijst') }}

),

renamed as (

    select
        person_key,
        onderdeel as component_code,
        datum as registered_on,
        module_code
    from source

)

select * from renamed
