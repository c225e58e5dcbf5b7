with source as (

    select * from {{ source('registry', 'mo_cursussen') }}

),

renamed as (

    select
        deelname_id as participation_id,
        person_key,
        taal as language_code,
        individueel as is_individual,
        begin as begun_on,
        einde as ended_on,
        datum_inschrijving as enrolled_on,
        datum_uitschrijving as left_on,
        lesuren as lesson_hours,
        aanwezige_uren as attended_hours
    from source

)

select * from renamed
