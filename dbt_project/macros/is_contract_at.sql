{# R2: contract_at(p, d), for a join on the person: the latest contract signed on or before the day. Comparisons only:
   with an `or` in it a left join falls back to comparing every pair of rows. #}
{% macro is_contract_at(day, contract) -%}
{{ contract }}.signed_on <= {{ day }}
        and {{ day }} < coalesce({{ contract }}.superseded_on, cast('9999-12-31' as date))
{%- endmacro %}
