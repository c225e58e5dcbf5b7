{# Where the engines' integers differ. sqlfluff cannot follow a dispatch: its stand-ins are in .sqlfluff. #}

{# Products of two counts outgrow 64 bits. #}
{% macro wide_int(integer) %}{{ return(adapter.dispatch('wide_int', 'kbi')(integer)) }}{% endmacro %}
{% macro default__wide_int(integer) -%} cast({{ integer }} as hugeint) {%- endmacro %}
{% macro spark__wide_int(integer) -%} cast({{ integer }} as decimal(19, 0)) {%- endmacro %}

{% macro int_div(dividend, divisor) %}{{ return(adapter.dispatch('int_div', 'kbi')(dividend, divisor)) }}{% endmacro %}
{% macro default__int_div(dividend, divisor) -%} (({{ dividend }}) // ({{ divisor }})) {%- endmacro %}
{% macro spark__int_div(dividend, divisor) -%} (({{ dividend }}) div ({{ divisor }})) {%- endmacro %}
