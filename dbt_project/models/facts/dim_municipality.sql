-- Every municipality that occurs in a contract or is known by name.
with occurring as (

    select nis_code from {{ ref('int_contracts') }} where nis_code is not null
    union
    select nis_code from {{ ref('municipalities') }}

),

regions as (

    select occurring.nis_code, max_by(regions.region, length(regions.nis_prefix)) as region
    from occurring
    inner join {{ ref('regions') }} as regions
        on left(occurring.nis_code, length(regions.nis_prefix)) = regions.nis_prefix
    group by occurring.nis_code

)

select
    occurring.nis_code,
    coalesce(municipalities.municipality_name, 'unknown') as municipality_name,
    coalesce(regions.region, 'other') as region
from occurring
left join {{ ref('municipalities') }} as municipalities on occurring.nis_code = municipalities.nis_code
left join regions on occurring.nis_code = regions.nis_code
