{# Rates, exact: computed in whole millionths from integers and rounded once, half away from zero. NULL on 0. #}

{% macro rate(numerator, denominator) -%}
    case
        when {{ denominator }} > 0
            then {{ millionths(
                int_div(
                    '2000000 * ' ~ wide_int(numerator) ~ ' + ' ~ wide_int(denominator),
                    '2 * ' ~ wide_int(denominator)
                )
            ) }}
    end
{%- endmacro %}

{# a/b - c/d as one fraction, so that only the difference is rounded. #}
{% macro rate_gap(numerator, denominator, other_numerator, other_denominator) -%}
    {%- set difference = '(' ~ wide_int(numerator) ~ ' * ' ~ wide_int(other_denominator) ~ ' - '
        ~ wide_int(other_numerator) ~ ' * ' ~ wide_int(denominator) ~ ')' -%}
    {%- set whole = '(' ~ wide_int(denominator) ~ ' * ' ~ wide_int(other_denominator) ~ ')' -%}
    case
        when {{ denominator }} > 0 and {{ other_denominator }} > 0
            then {{ millionths(
                'sign(' ~ difference ~ ') * ' ~ int_div('2000000 * abs' ~ difference ~ ' + ' ~ whole, '2 * ' ~ whole)
            ) }}
    end
{%- endmacro %}

{% macro millionths(integer) -%}
    cast(cast({{ integer }} as decimal(18, 0)) * cast(0.000001 as decimal(7, 6)) as decimal(9, 6))
{%- endmacro %}
