-- R1: one row per person. No direct identifier, no date of birth.
select
    person_key,
    case sex_code when '1' then 'male' when '2' then 'female' else 'unknown' end as sex,
    cast(extract(year from birth_date) as integer) as birth_year,
    nationality_code,
    has_record
from {{ ref('int_persons') }}
