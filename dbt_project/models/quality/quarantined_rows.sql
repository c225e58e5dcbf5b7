{{ config(materialized='view') }}

-- A window on the restricted quarantine folder: the warehouse file stores none of these rows.
select
    delivery_id,
    extract,
    line_number,
    rule_codes,
    row,
    released_by
from {{ source('registry', 'quarantined_rows') }}
