{# What: every reporting date has its row set in a mart, whole: with the grain unique, so many rows are all of them.
   To resolve: a join in the mart lost rows; the dates told say where to look. #}
{% test whole_row_sets(model, n_rows) %}
with dates as (

    select as_of_date from {{ ref('int_reporting_dates') }}

),

counts as (

    select as_of_date, count(*) as n_found from {{ model }} group by as_of_date

)

select coalesce(dates.as_of_date, counts.as_of_date) as as_of_date, counts.n_found
from dates
full outer join counts on dates.as_of_date = counts.as_of_date
where dates.as_of_date is null or coalesce(counts.n_found, 0) <> {{ n_rows }}
{% endtest %}
