with source as (

    select * from {{ source('registry', 'personen') }}

),

renamed as (

    select
        person_key,
        kbi_nummer as kbi_number,
        geboortedatum as birth_date,
        geslacht_code as sex_code,
        nationaliteit_code as nationality_code,
        nis_gemeente as nis_code
    from source

)

select * from renamed
