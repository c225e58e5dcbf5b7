-- R8, R9: population, certificates and other documents per participation type on every reporting date. A document
-- counts from the day on which both it and its contract are there; for a person it counts with every contract of the
-- population, under the participation type of the contract that is the latest.
with population as (

    select * from {{ ref('int_population') }}

),

documents as (

    select
        certificates.document_type,
        population.contract_no,
        population.person_no,
        population.participation_type,
        greatest(certificates.dated_on, population.signed_on) as counted_from
    from {{ ref('fct_certificate') }} as certificates
    inner join population on certificates.contract_no = population.contract_no

),

contract_certified as (

    select contract_no, participation_type, min(counted_from) as counted_from
    from documents
    where document_type = 'certificate'
    group by contract_no, participation_type

),

person_certified as (

    select person_no, min(counted_from) as counted_from
    from documents
    where document_type = 'certificate'
    group by person_no

),

-- Whatever the contract: one that is named before it is signed gives its type all the same, for that does not move.
any_regime as (

    select
        coalesce(participation.participation_type, 'undetermined') as participation_type,
        certificates.dated_on
    from {{ ref('fct_certificate') }} as certificates
    inner join {{ ref('policy_regimes') }} as regimes
        on regimes.regime_code = 'result_2016' and certificates.dated_on >= regimes.signed_from
    left join {{ ref('int_contract_participation') }} as participation
        on certificates.contract_no = participation.contract_no
    where certificates.document_type = 'certificate'

),

-- One row per thing counted: from counted_from on, until counted_until where that is given.
spans as (

    select
        'contract' as counting_unit, participation_type, 'population' as measure,
        signed_on as counted_from, cast(null as date) as counted_until
    from population

    union all

    select 'person', participation_type, 'population', signed_on, superseded_on
    from population

    union all

    select 'contract', participation_type, 'certified', counted_from, cast(null as date)
    from contract_certified

    union all

    select
        'person', population.participation_type, 'certified',
        greatest(certified.counted_from, population.signed_on), population.superseded_on
    from person_certified as certified
    inner join population on certified.person_no = population.person_no

    union all

    select 'contract', participation_type, document_type, counted_from, cast(null as date)
    from documents

    union all

    select
        'person', population.participation_type, documents.document_type,
        greatest(documents.counted_from, population.signed_on), population.superseded_on
    from documents
    inner join population on documents.person_no = population.person_no

    union all

    select units.counting_unit, any_regime.participation_type, 'any_regime', any_regime.dated_on, cast(null as date)
    from any_regime
    cross join (select 'contract' as counting_unit union all select 'person' as counting_unit) as units

),

changes as (

    select counting_unit, participation_type, measure, counted_from as day, count(*) as change
    from spans
    where counted_until is null or counted_from < counted_until
    group by counting_unit, participation_type, measure, counted_from

    union all

    select counting_unit, participation_type, measure, counted_until as day, -count(*) as change
    from spans
    where counted_from < counted_until
    group by counting_unit, participation_type, measure, counted_until

),

grid as (

    select
        dates.as_of_date,
        units.counting_unit,
        types.participation_type,
        measures.measure
    from {{ ref('int_reporting_dates') }} as dates
    cross join (select 'contract' as counting_unit union all select 'person' as counting_unit) as units
    cross join {{ ref('participation_types') }} as types
    cross join (
        select 'population' as measure
        union all
        select 'certified'
        union all
        select 'certificate'
        union all
        select 'evc'
        union all
        select 'effort_statement'
        union all
        select 'any_regime'
    ) as measures

),

dated_changes as (

    {{ changes_by_reporting_date('changes', ['counting_unit', 'participation_type', 'measure']) }}

)

select
    grid.as_of_date,
    grid.counting_unit,
    grid.participation_type,
    grid.measure,
    cast(
        sum(coalesce(dated_changes.change, 0)) over (
            partition by grid.counting_unit, grid.participation_type, grid.measure
            order by grid.as_of_date
            rows between unbounded preceding and current row
        ) as bigint
    ) as n
from grid
left join dated_changes
    on
        grid.as_of_date = dated_changes.as_of_date
        and grid.counting_unit = dated_changes.counting_unit
        and grid.participation_type = dated_changes.participation_type
        and grid.measure = dated_changes.measure
