-- The fixed dimensions of a contract by which the cube counts, and one number for each combination that occurs.
with contracts as (

    select
        contracts.contract_no,
        contracts.regime_code,
        cast(extract(year from contracts.signed_on) as string)
        || 'Q' || cast(extract(quarter from contracts.signed_on) as string) as cohort_quarter,
        participation.participation_type,
        case persons.sex_code when '1' then 'male' when '2' then 'female' else 'unknown' end as sex,
        {{ age_group('persons.birth_date', 'contracts.signed_on') }} as age_group,
        case
            when persons.nationality_code is null or persons.nationality_code = 'XX' then 'unknown'
            else coalesce(nationality_groups.nationality_group, 'third_country')
        end as nationality_group,
        coalesce(
            regions.region, case when contracts.nis_code is null then 'unknown' else 'other' end
        ) as region,
        coalesce(contracts.agency_kbo, 'unknown') as agency_kbo
    from {{ ref('int_contracts') }} as contracts
    inner join {{ ref('int_contract_participation') }} as participation
        on contracts.contract_no = participation.contract_no
    inner join {{ ref('int_persons') }} as persons on contracts.person_no = persons.person_no
    left join {{ ref('nationality_groups') }} as nationality_groups
        on
            persons.nationality_code = nationality_groups.nationality_code
            and contracts.signed_on >= nationality_groups.valid_from
            and (nationality_groups.valid_until is null or contracts.signed_on <= nationality_groups.valid_until)
    left join (
        -- The longest prefix of the NIS code that names a region.
        select municipalities.nis_code, max_by(regions.region, length(regions.nis_prefix)) as region
        from (select distinct nis_code from {{ ref('int_contracts') }} where nis_code is not null) as municipalities
        inner join {{ ref('regions') }} as regions
            on left(municipalities.nis_code, length(regions.nis_prefix)) = regions.nis_prefix
        group by municipalities.nis_code
    ) as regions on contracts.nis_code = regions.nis_code

)

select
    contracts.*,
    {{ stable_number([
        'regime_code', 'cohort_quarter', 'participation_type', 'sex', 'age_group', 'nationality_group', 'region',
        'agency_kbo',
    ]) }} as stratum_no
from contracts
