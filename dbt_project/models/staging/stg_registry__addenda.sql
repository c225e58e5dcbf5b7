with source as (

    select * from {{ source('registry', 'addenda') }}

),

renamed as (

    select
        addendum_id,
        contract_id,
        datum_registratie as registered_on,
        type as document_template,
        onderdeel_mo as has_mo,
        onderdeel_nt2 as has_nt2,
        onderdeel_lo as has_career
    from source

)

select * from renamed
