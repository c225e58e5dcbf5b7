{{ config(meta={'dagster': {'ref': {'name': 'reconciliation'}}}) }}

-- What: as many quarantined rows are found as the row accounting says, per delivery and extract. When: always.
-- To resolve: files of the quarantine were lost: restore them, or run `kbi rebuild`.
with accounted as (

    select delivery_id, extract, n_quarantined from {{ ref('reconciliation') }} where n_quarantined > 0

),

found as (

    select delivery_id, extract, count(*) as n_found from {{ ref('quarantined_rows') }} group by delivery_id, extract

)

select
    coalesce(accounted.delivery_id, found.delivery_id) as delivery_id,
    coalesce(accounted.extract, found.extract) as extract,
    accounted.n_quarantined,
    found.n_found
from accounted
full outer join found on accounted.delivery_id = found.delivery_id and accounted.extract = found.extract
where coalesce(accounted.n_quarantined, 0) <> coalesce(found.n_found, 0)
