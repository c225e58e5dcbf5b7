with source as (

    select * from {{ source('registry', 'trajecten') }}

),

renamed as (

    select
        traject_id as track_id,
        person_key,
        contract_id,
        type as track_type,
        begin as begun_on,
        einde as ended_on,
        status_code,
        status_begin as status_from,
        besluit_code as decision_code,
        besluit_datum as decided_on
    from source

)

select * from renamed
