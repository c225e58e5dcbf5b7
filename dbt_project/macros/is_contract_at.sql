{# R2: contract_at(p, d), for a join on the person: the latest contract signed on or before the day. #}
{% macro is_contract_at(day, contract) -%}
(
        {{ contract }}.signed_on <= {{ day }}
        and ({{ contract }}.superseded_on is null or {{ day }} < {{ contract }}.superseded_on)
    )
{%- endmacro %}
