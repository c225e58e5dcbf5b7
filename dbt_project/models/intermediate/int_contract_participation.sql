-- R4: participation type of a contract, fixed at signature; else by the type of the trajectory's tracks, whatever
-- their dates.
with contracts as (

    select contract_no, person_no, signed_on from {{ ref('int_contracts') }}

),

by_target_group as (

    select
        contracts.contract_no,
        spells.participation_type
    from contracts
    inner join {{ ref('int_target_group_spells') }} as spells
        on
            contracts.person_no = spells.person_no
            and spells.valid_from <= contracts.signed_on
            and (spells.valid_to is null or spells.valid_to >= contracts.signed_on)

),

by_track as (

    select
        tracks.contract_no,
        -- Both kinds: compulsory, which sorts first.
        min(types.participation_type) as participation_type
    from {{ ref('int_tracks') }} as tracks
    inner join {{ ref('track_types') }} as types on tracks.track_type = types.track_type
    where tracks.contract_no is not null
    group by tracks.contract_no

)

select
    contracts.contract_no,
    coalesce(by_target_group.participation_type, by_track.participation_type, 'undetermined') as participation_type
from contracts
left join by_target_group on contracts.contract_no = by_target_group.contract_no
left join by_track on contracts.contract_no = by_track.contract_no
