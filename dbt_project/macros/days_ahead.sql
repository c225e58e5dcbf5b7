{# Of the rows that name a day from known_on on: whose they are, and the days they name, in four columns.
   days: columns of the relation, at most four. parent, link: the relation that tells whose a row is, and by what.
   The model has a CTE `knowledge` with known_on. #}
{% macro days_ahead(relation, days, parent=none, link=none) -%}
    select
        {% if parent %}parents{% else %}named{% endif %}.person_key,
        {% for n in range(4) %}
        {% if n < days | length %}named.{{ days[n] }}{% else %}cast(null as date){% endif %} as day_{{ n + 1 }}{% if not loop.last %},{% endif %}

        {% endfor %}
    from {{ ref(relation) }} as named
    {% if parent %}
    inner join {{ ref(parent) }} as parents on named.{{ link }} = parents.{{ link }}
    {% endif %}
    cross join knowledge
    where
        {% for day in days %}
        {% if not loop.first %}or {% endif %}named.{{ day }} >= knowledge.known_on
        {% endfor %}
{%- endmacro %}
