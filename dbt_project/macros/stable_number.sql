{# A whole number for what these columns name, the same in every build: one delivery's persons can be computed again
   without the others. A hash, of 62 bits so that it can be doubled; that no two names share one is a data test. #}
{% macro stable_number(columns) %}{{ return(adapter.dispatch('stable_number', 'kbi')(columns)) }}{% endmacro %}
{% macro default__stable_number(columns) -%} cast(hash({{ columns | join(', ') }}) >> 2 as bigint) {%- endmacro %}
{% macro spark__stable_number(columns) -%} shiftrightunsigned(xxhash64({{ columns | join(', ') }}), 2) {%- endmacro %}
