-- One row per day, without gaps, over every year a date in the registry may fall in.
with days as (

    select cast(cast('1900-01-01' as date) + cast(numbers.day_no as integer) as date) as date_day
    from range(0, 73414) as numbers (day_no)

)

select
    date_day,
    cast(extract(year from date_day) as integer) as year_no,
    cast(extract(quarter from date_day) as integer) as quarter_no,
    cast(extract(month from date_day) as integer) as month_no,
    date_day = last_day(date_day) as is_month_end
from days
