{# Counting over many dates by differences. A relation of changes has `day`, `change` and the columns of a grain. #}

{# Move every change to the first reporting date on or after its day: there it first shows. #}
{% macro changes_by_reporting_date(changes, grain) -%}
select
        landing_dates.as_of_date,
        {%- for column in grain %}
        changes.{{ column }},
        {%- endfor %}
        sum(changes.change) as change
    from {{ changes }} as changes
    inner join (
        select days.day, min(dates.as_of_date) as as_of_date
        from (select distinct day from {{ changes }}) as days
        inner join {{ ref('int_reporting_dates') }} as dates on days.day <= dates.as_of_date
        group by days.day
    ) as landing_dates
        on changes.day = landing_dates.day
    group by landing_dates.as_of_date{% for column in grain %}, changes.{{ column }}{% endfor %}
{%- endmacro %}
