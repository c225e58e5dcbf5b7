{# What: the columns identify a row. When: always. To resolve: a join upstream multiplied rows. Rows are grouped by a
   hash first, and by their columns only where a hash comes twice: grouping millions by many columns costs several
   times as much. #}
{% test unique_grain(model, columns) %}
with hashed as (

    select {{ columns | join(', ') }}, {{ stable_number(columns) }} as grain_no from {{ model }}

),

suspects as (

    select grain_no from hashed group by grain_no having count(*) > 1

)

select {{ columns | join(', ') }}, count(*) as n_rows
from hashed
where grain_no in (select grain_no from suspects)
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
