{# Up to three counts in one whole number, 20 binary digits each: three sums for the price of one, where sums over many
   rows are what costs. Every count must stay between 0 and a million; its changes may be negative. #}

{# The sum of changes, each counted under its signal. #}
{% macro packed_counts(signals, change='change', signal='signal') -%}
    sum(
            {{ change }} * case {{ signal }}
                {%- for name in signals %}
                when '{{ name }}' then {{ 2 ** (20 * loop.index0) }}
                {%- endfor %}
                else 0
            end
        )
{%- endmacro %}

{# Whether the count of the signal at a position (from 1) is above 0. #}
{% macro is_counted(counts, position) -%}
    ({{ counts }} & {{ (2 ** 20 - 1) * 2 ** (20 * (position - 1)) }}) <> 0
{%- endmacro %}
