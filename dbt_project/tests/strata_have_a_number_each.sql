{{ config(meta={'dagster': {'ref': {'name': 'int_contract_strata'}}}) }}

-- What: a stratum_no stands for one combination of fixed dimensions, and a combination has one. When: always.
-- To resolve: two combinations that share a number are counted together: change what stable_number hashes.
{%- set dimensions = [
    'regime_code', 'cohort_quarter', 'participation_type', 'sex', 'age_group', 'nationality_group', 'region',
    'agency_kbo',
] %}
with pairs as (

    select distinct stratum_no, {{ dimensions | join(', ') }} from {{ ref('int_contract_strata') }}

),

counts as (

    select
        pairs.*,
        count(*) over (partition by stratum_no) as n_combinations,
        count(*) over (partition by {{ dimensions | join(', ') }}) as n_numbers
    from pairs

)

select *
from counts
where n_combinations > 1 or n_numbers > 1
