with source as (

    select * from {{ source('registry', 'trajectonderdelen') }}

),

renamed as (

    select
        onderdeel_id as component_id,
        traject_id as track_id,
        type as component_type,
        begin as begun_on,
        einde as ended_on,
        besluit_code as decision_code,
        besluit_datum as decided_on
    from source

)

select * from renamed
