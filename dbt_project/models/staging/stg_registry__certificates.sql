with source as (

    select * from {{ source('registry', 'attesten') }}

),

renamed as (

    select
        attest_id as certificate_id,
        person_key,
        contract_id,
        type as document_code,
        datum_ondertekening as signed_on,
        datum_aanmaak as created_on
    from source

)

select * from renamed
