-- R3: the regimes, keyed by signature date.
select
    regime_code,
    signed_from,
    signed_until,
    nt2_target_level,
    cast(minimum_attendance as decimal(3, 2)) as minimum_attendance
from {{ ref('policy_regimes') }}
