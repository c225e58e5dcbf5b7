-- R2: a track belongs to the contract it names (followed as it is, to none if that is not there); naming none, to the
-- contract at its begin, else to the person's first contract if the track had not ended before that signature.
with contracts as (

    select contract_no, contract_id, person_no, signed_on, superseded_on, is_first from {{ ref('int_contracts') }}

),

tracks as (

    select
        tracks.*,
        numbers.person_no,
        case when tracks.contract_id is null then numbers.person_no end as person_no_by_date
    from {{ ref('stg_registry__tracks') }} as tracks
    left join {{ ref('int_person_numbers') }} as numbers on tracks.person_key = numbers.person_key_delivered

)

select
    tracks.track_id,
    tracks.person_no,
    coalesce(named.contract_no, contracts_at.contract_no, first_contracts.contract_no) as contract_no,
    tracks.track_type,
    tracks.begun_on,
    tracks.ended_on,
    tracks.status_code,
    -- Everywhere, a missing date of the status is the track's begin.
    coalesce(tracks.status_from, tracks.begun_on) as status_from,
    tracks.decision_code,
    tracks.decided_on
from tracks
left join contracts as named on tracks.contract_id = named.contract_id
left join contracts as contracts_at
    on
        tracks.person_no_by_date = contracts_at.person_no
        and {{ is_contract_at('tracks.begun_on', 'contracts_at') }}
left join contracts as first_contracts
    on
        tracks.person_no_by_date = first_contracts.person_no
        and first_contracts.is_first
        and tracks.begun_on < first_contracts.signed_on
        and coalesce(tracks.ended_on, cast('9999-12-31' as date)) >= first_contracts.signed_on
