with source as (

    select * from {{ source('registry', 'nt2_cursussen') }}

),

renamed as (

    select
        deelname_id as participation_id,
        person_key,
        niveau as level,
        begin as begun_on,
        einde as ended_on,
        datum_inschrijving as enrolled_on,
        datum_uitschrijving as left_on,
        lesuren as lesson_hours,
        aanwezige_uren as attended_hours,
        status as enrolment_status,
        besluit as result_code
    from source

)

select * from renamed
