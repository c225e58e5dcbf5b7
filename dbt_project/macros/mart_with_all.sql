{# The participation types and their total, which is named `all`. #}
{% macro with_all_participation_types(counts, grain) -%}
select {{ (grain + ['participation_type']) | join(', ') }}, n from {{ counts }}
    union all
    select {{ grain | join(', ') }}, 'all' as participation_type, sum(n) as n
    from {{ counts }}
    group by {{ grain | join(', ') }}
{%- endmacro %}
