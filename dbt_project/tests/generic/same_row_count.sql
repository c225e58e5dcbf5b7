{# What: nothing was lost or multiplied between two models. To resolve: look at the joins between them. #}
{% test same_row_count(model, compare_to) %}
select counts.n_here, counts.n_there
from (
    select
        (select count(*) from {{ model }}) as n_here,
        (select count(*) from {{ compare_to }}) as n_there
) as counts
where counts.n_here <> counts.n_there
{% endtest %}
