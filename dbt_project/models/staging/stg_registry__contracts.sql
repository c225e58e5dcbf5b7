with source as (

    select * from {{ source('registry', 'contracten') }}

),

renamed as (

    select
        contract_id,
        person_key,
        datum_registratie as signed_on,
        type as document_template,
        kbo_nummer as agency_kbo,
        nis_gemeente as nis_code,
        onderdeel_mo as has_mo,
        onderdeel_nt2 as has_nt2,
        onderdeel_lo as has_career
    from source

)

select * from renamed
