-- R2: a track belongs to the contract it names (followed as it is, to none if that is not there); naming none, to the
-- contract at its begin, else to the person's first contract if the track had not ended before that signature.
with contracts as (

    select contract_no, contract_id, person_no, signed_on, superseded_on, is_first from {{ ref('int_contracts') }}

),

tracks as (

    select
        tracks.*,
        numbers.person_no
    from {{ ref('stg_registry__tracks') }} as tracks
    left join {{ ref('int_person_numbers') }} as numbers on tracks.person_key = numbers.person_key_delivered

),

named as (

    select
        tracks.track_id,
        contracts.contract_no
    from tracks
    inner join contracts on tracks.contract_id = contracts.contract_id

),

by_date as (

    select
        tracks.track_id,
        contracts.contract_no
    from tracks
    inner join contracts
        on
            tracks.person_no = contracts.person_no
            and (
                {{ is_contract_at('tracks.begun_on', 'contracts') }}
                or (
                    contracts.is_first
                    and tracks.begun_on < contracts.signed_on
                    and (tracks.ended_on is null or tracks.ended_on >= contracts.signed_on)
                )
            )
    where tracks.contract_id is null

),

placed as (

    select * from named
    union all
    select * from by_date

)

select
    tracks.track_id,
    tracks.person_no,
    placed.contract_no,
    tracks.track_type,
    tracks.begun_on,
    tracks.ended_on,
    tracks.status_code,
    -- Everywhere, a missing date of the status is the track's begin.
    coalesce(tracks.status_from, tracks.begun_on) as status_from,
    tracks.decision_code,
    tracks.decided_on
from tracks
left join placed on tracks.track_id = placed.track_id
