with source as (

    select * from {{ source('registry', 'inbreuken') }}

),

renamed as (

    select
        inbreuk_id as infringement_id,
        person_key,
        type as infringement_type,
        sanctionerende_overheid as sanctioning_authority,
        datum_vaststelling as established_on,
        datum_ingebrekestelling as notified_on,
        boete_bedrag as fine_amount,
        boete_datum as fined_on
    from source

)

select * from renamed
