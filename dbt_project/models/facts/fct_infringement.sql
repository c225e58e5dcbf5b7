-- Infringements as recorded, with the person behind the number.
select
    infringements.infringement_id,
    coalesce(numbers.person_key, infringements.person_key) as person_key,
    infringements.infringement_type,
    infringements.sanctioning_authority,
    infringements.established_on,
    infringements.notified_on,
    cast(infringements.fine_amount as decimal(18, 2)) as fine_amount,
    infringements.fined_on
from {{ ref('stg_registry__infringements') }} as infringements
left join {{ ref('int_person_numbers') }} as numbers on infringements.person_key = numbers.person_key_delivered
