-- R2, R5, R6: components of social orientation and Dutch, with the contract of their track and their dated decision.
select
    components.component_id,
    types.component,
    types.level,
    levels.level_rank,
    tracks.person_no,
    tracks.contract_no,
    components.begun_on,
    components.ended_on,
    components.decision_code,
    coalesce(components.decided_on, components.ended_on) as decided_on
from {{ ref('stg_registry__components') }} as components
inner join {{ ref('component_types') }} as types on components.component_type = types.component_type
inner join {{ ref('int_tracks') }} as tracks on components.track_id = tracks.track_id
left join {{ ref('nt2_levels') }} as levels on types.level = levels.level
