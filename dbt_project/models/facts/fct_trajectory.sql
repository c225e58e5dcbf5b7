-- R2: one row per contract, as it stands on the date of the last delivery: facts dated later do not exist yet.
with knowledge as (

    select known_on from {{ source('registry', 'knowledge') }}

),

outcomes as (

    select
        contract_no,
        max(outcome) filter (where component = 'mo') as mo_outcome,
        max(outcome) filter (where component = 'nt2') as nt2_outcome
    from {{ ref('fct_trajectory_component_status') }}
    where valid_to is null
    group by contract_no

),

milestones as (

    select
        contract_no,
        min(first_enrolled_on) filter (where component = 'mo') as mo_started_on,
        min(first_enrolled_on) filter (where component = 'nt2') as nt2_started_on,
        min(passed_on) filter (where component = 'mo') as mo_passed_on,
        min(passed_on) filter (where component = 'nt2') as nt2_passed_on,
        min(track_closed_on) as closed_on
    from {{ ref('int_component_milestones') }}
    group by contract_no

),

certificates as (

    select contract_no, min(dated_on) as certified_on
    from {{ ref('fct_certificate') }}
    where document_type = 'certificate' and contract_no is not null
    group by contract_no

)

select
    contracts.contract_id,
    persons.person_key,
    contracts.signed_on,
    contracts.regime_code,
    participation.participation_type,
    contracts.agency_kbo,
    contracts.nis_code as nis_gemeente,
    outcomes.mo_outcome,
    outcomes.nt2_outcome,
    case when milestones.mo_started_on <= knowledge.known_on then milestones.mo_started_on end as mo_started_on,
    case when milestones.nt2_started_on <= knowledge.known_on then milestones.nt2_started_on end as nt2_started_on,
    case when milestones.mo_passed_on <= knowledge.known_on then milestones.mo_passed_on end as mo_passed_on,
    case when milestones.nt2_passed_on <= knowledge.known_on then milestones.nt2_passed_on end as nt2_passed_on,
    case when certificates.certified_on <= knowledge.known_on then certificates.certified_on end as certified_on,
    case when milestones.closed_on <= knowledge.known_on then milestones.closed_on end as closed_on,
    contracts.contract_no
from {{ ref('int_contracts') }} as contracts
inner join {{ ref('int_persons') }} as persons on contracts.person_no = persons.person_no
inner join {{ ref('int_contract_participation') }} as participation
    on contracts.contract_no = participation.contract_no
inner join milestones on contracts.contract_no = milestones.contract_no
cross join knowledge
left join outcomes on contracts.contract_no = outcomes.contract_no
left join certificates on contracts.contract_no = certificates.contract_no
