-- R10: spells in which a unit has completed every component asked of it and was evaluated in at least one, with the
-- result and whether the certificate (of this contract; of any contract of the person) was there.
with status as (

    select counting_unit, contract_no, component, participation_type, outcome, valid_from, valid_until
    from {{ ref('int_unit_component_status') }}
    where outcome in ('not_required', 'prior_level', 'exempt', 'passed', 'failed')

),

completed as (

    select
        mo.counting_unit,
        mo.contract_no,
        mo.participation_type,
        case
            when mo.outcome = 'failed' and nt2.outcome = 'failed' then 'both'
            when mo.outcome = 'failed' then 'mo_only'
            when nt2.outcome = 'failed' then 'nt2_only'
            else 'none'
        end as failed_components,
        greatest(mo.valid_from, nt2.valid_from) as completed_from,
        least(mo.valid_until, nt2.valid_until) as completed_until
    from status as mo
    inner join status as nt2
        on
            mo.contract_no = nt2.contract_no
            and mo.counting_unit = nt2.counting_unit
            and (nt2.valid_until is null or mo.valid_from < nt2.valid_until)
            and (mo.valid_until is null or nt2.valid_from < mo.valid_until)
    where
        mo.component = 'mo'
        and nt2.component = 'nt2'
        and (mo.outcome in ('passed', 'failed') or nt2.outcome in ('passed', 'failed'))

),

documents as (

    select
        population.contract_no,
        population.person_no,
        greatest(certificates.dated_on, population.signed_on) as certified_from
    from {{ ref('fct_certificate') }} as certificates
    inner join {{ ref('int_population') }} as population on certificates.contract_no = population.contract_no
    where certificates.document_type = 'certificate'

),

certified as (

    select 'contract' as counting_unit, contract_no, min(certified_from) as certified_from
    from documents
    group by contract_no

    union all

    select 'person' as counting_unit, population.contract_no, min(documents.certified_from) as certified_from
    from {{ ref('int_population') }} as population
    inner join documents on population.person_no = documents.person_no
    group by population.contract_no

),

dated as (

    select completed.*, certified.certified_from
    from completed
    left join certified
        on completed.counting_unit = certified.counting_unit and completed.contract_no = certified.contract_no

),

split as (

    select
        counting_unit, contract_no, participation_type, failed_components, false as is_certified,
        completed_from as valid_from, least(completed_until, certified_from) as valid_until
    from dated
    where certified_from is null or completed_from < certified_from

    union all

    select
        counting_unit, contract_no, participation_type, failed_components, true as is_certified,
        greatest(completed_from, certified_from) as valid_from, completed_until as valid_until
    from dated
    where certified_from is not null and (completed_until is null or certified_from < completed_until)

)

select * from split
