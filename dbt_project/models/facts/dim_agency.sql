-- Every agency that occurs in a contract or is known by name.
with occurring as (

    select agency_kbo from {{ ref('int_contracts') }} where agency_kbo is not null
    union
    select agency_kbo from {{ ref('agencies') }}

)

select
    occurring.agency_kbo,
    coalesce(agencies.agency_name, 'unknown') as agency_name
from occurring
left join {{ ref('agencies') }} as agencies on occurring.agency_kbo = agencies.agency_kbo
