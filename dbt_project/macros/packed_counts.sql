{# Several counts in one whole number, so many binary digits each: three sums for the price of one, where sums over many
   rows are what costs. A double holds 53 digits exactly and is added faster than an integer, which both engines widen.
   Every count must stay between 0 and what its digits hold (17: 131,071; 4: 15); its changes may be negative. #}

{# The sum of changes, each counted under its signal. #}
{% macro packed_counts(signals, digits=17, change='change', signal='signal') -%}
    sum(
            cast({{ change }} * case {{ signal }}
                {%- for name in signals %}
                when '{{ name }}' then {{ 2 ** (digits * loop.index0) }}
                {%- endfor %}
                else 0
            end as double)
        )
{%- endmacro %}

{# Whether the count of the signal at a position (from 1) is above 0; the counts as a whole number. #}
{% macro is_counted(counts, position, digits=17) -%}
    ({{ counts }} & {{ (2 ** digits - 1) * 2 ** (digits * (position - 1)) }}) <> 0
{%- endmacro %}
