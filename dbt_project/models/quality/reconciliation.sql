-- Nothing is lost: rows delivered = accepted + quarantined + exact duplicates, per delivery and extract.
select
    delivery_id,
    extract,
    n_delivered,
    n_accepted,
    n_quarantined,
    n_duplicates
from {{ source('registry', 'reconciliation') }}
