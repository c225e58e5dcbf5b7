with source as (

    select * from {{ source('registry', 'afgelegde_testen') }}

),

renamed as (

    select
        test_id,
        person_key,
        type as test_type,
        datum as tested_on,
        niveau as level,
        score_praktisch as practical_score,
        score_waarden as values_score,
        resultaat as result_code
    from source

)

select * from renamed
