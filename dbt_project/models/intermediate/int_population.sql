-- R9: contracts signed since the obligation of result, with what the counting unit `person` needs: until when the
-- contract is the person's latest, and whether a level had before it was reached within the population.
with start as (

    select signed_from as population_start from {{ ref('policy_regimes') }} where regime_code = 'result_2016'

),

contracts as (

    select
        contracts.contract_no,
        contracts.person_no,
        contracts.signed_on,
        contracts.superseded_on,
        min(contracts.signed_on) over (partition by contracts.person_no) as person_signed_on
    from {{ ref('int_contracts') }} as contracts
    cross join start
    where contracts.signed_on >= start.population_start

),

prior_passes as (

    select
        contract_no,
        min(prior_pass_on) filter (where component = 'mo') as mo_prior_pass_on,
        min(prior_pass_on) filter (where component = 'nt2') as nt2_prior_pass_on
    from {{ ref('int_prior_passes') }}
    group by contract_no

)

select
    contracts.contract_no,
    contracts.person_no,
    contracts.signed_on,
    contracts.superseded_on,
    participation.participation_type,
    coalesce(prior_passes.mo_prior_pass_on >= contracts.person_signed_on, false) as mo_passed_as_person,
    coalesce(prior_passes.nt2_prior_pass_on >= contracts.person_signed_on, false) as nt2_passed_as_person
from contracts
inner join {{ ref('int_contract_participation') }} as participation
    on contracts.contract_no = participation.contract_no
left join prior_passes on contracts.contract_no = prior_passes.contract_no
