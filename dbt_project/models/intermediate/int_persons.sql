-- R1: one row per person, with the attributes of the row under the current number, else the nearest in the chain.
with numbers as (

    select * from {{ ref('int_person_numbers') }}

),

records as (

    select
        numbers.person_no,
        persons.sex_code,
        persons.birth_date,
        persons.nationality_code,
        persons.nis_code,
        row_number() over (
            partition by numbers.person_no
            order by numbers.steps asc, persons.kbi_number desc nulls last, persons.person_key desc
        ) as preference
    from {{ ref('stg_registry__persons') }} as persons
    inner join numbers on persons.person_key = numbers.person_key_delivered

),

people as (

    select distinct person_no, person_key from numbers

)

select
    people.person_no,
    people.person_key,
    records.sex_code,
    records.birth_date,
    records.nationality_code,
    records.nis_code,
    records.person_no is not null as has_record
from people
left join records on people.person_no = records.person_no and records.preference = 1
