{# What: rows delivered = accepted + quarantined + exact duplicates. To resolve: a row got lost in validation. #}
{% test is_balanced(model) %}
select delivery_id, extract
from {{ model }}
where n_delivered <> n_accepted + n_quarantined + n_duplicates
{% endtest %}
