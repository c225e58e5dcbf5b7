-- One row per delivery directory, with its latest status.
select
    delivery_id,
    extracted_at,
    kind,
    synthetic,
    taken_at,
    status,
    refusal_code,
    refusal_detail
from {{ source('registry', 'deliveries') }}
