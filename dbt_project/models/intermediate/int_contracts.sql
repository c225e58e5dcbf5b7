-- R2, R3, R5: one row per contract, in the order in which its person signed. contract_at(p, d) is the contract with
-- signed_on <= d and (superseded_on is null or d < superseded_on): of two signed on one day only the later qualifies.
with contracts as (

    select
        contracts.*,
        numbers.person_no,
        -- R5: three flags all false or empty say nothing.
        coalesce(contracts.has_mo, false)
        or coalesce(contracts.has_nt2, false)
        or coalesce(contracts.has_career, false) as says_something
    from {{ ref('stg_registry__contracts') }} as contracts
    inner join {{ ref('int_person_numbers') }} as numbers on contracts.person_key = numbers.person_key_delivered

),

ordered as (

    select
        contracts.*,
        lead(signed_on) over (partition by person_no order by signed_on, contract_id) as superseded_on,
        row_number() over (partition by person_no order by signed_on, contract_id) = 1 as is_first
    from contracts

)

select
    {{ stable_number(['ordered.contract_id']) }} as contract_no,
    ordered.contract_id,
    ordered.person_no,
    ordered.signed_on,
    ordered.superseded_on,
    ordered.is_first,
    regimes.regime_code,
    levels.level_rank as nt2_target_rank,
    regimes.minimum_attendance,
    ordered.agency_kbo,
    ordered.nis_code,
    case when ordered.says_something then ordered.has_mo end as has_mo,
    case when ordered.says_something then ordered.has_nt2 end as has_nt2
from ordered
inner join {{ ref('policy_regimes') }} as regimes
    on
        ordered.signed_on >= regimes.signed_from
        and (regimes.signed_until is null or ordered.signed_on <= regimes.signed_until)
inner join {{ ref('nt2_levels') }} as levels on regimes.nt2_target_level = levels.level
