{# R6: enough of the lessons attended. Multiplied out, so that the comparison stays exact decimal arithmetic. #}
{% macro has_attended(course, minimum_attendance) -%}
    {{ course }}.lesson_hours > 0
        and {{ course }}.attended_hours >= {{ course }}.lesson_hours * {{ minimum_attendance }}
{%- endmacro %}
