{# Every count of the marts of Q1 to Q5 as one row: mart, the columns of all grains (empty where a mart lacks one),
   measure, value. #}
{% macro counts_of_marts() -%}
    {%- set outcomes = [
        'n_population', 'n_required', 'n_ended', 'n_evaluated', 'n_passed', 'n_failed', 'n_resitting',
        'n_dropped_out', 'n_left_target_group', 'n_changed_target_group', 'n_suspended', 'n_in_progress',
        'n_awaiting_result', 'n_waiting', 'n_exempt', 'n_prior_level', 'n_not_required', 'n_undetermined',
    ] -%}
    {%- set marts = [
        (ref('mart_q1_pass_rate'), ['component'], outcomes),
        (ref('mart_q2_pass_rate_by_participation'), ['component', 'participation_type'], outcomes),
        (ref('mart_q3_certificates'), ['participation_type'], [
            'n_population', 'n_certified', 'n_certificates', 'n_evc', 'n_effort_statements',
            'n_certificates_any_regime',
        ]),
        (ref('mart_q4_completed_and_certified'), ['participation_type'], [
            'n_completed_evaluated', 'n_certified_passed', 'n_uncertified_passed', 'n_uncertified_failed',
            'n_certified_failed',
        ]),
        (ref('mart_q5_completed_not_certified'), ['participation_type'], [
            'n_completed_evaluated', 'n_uncertified_failed', 'n_failed_mo_only', 'n_failed_nt2_only', 'n_failed_both',
        ]),
        (ref('mart_non_success_reasons'), ['component', 'participation_type', 'reason'], ['n', 'n_non_success']),
    ] -%}
    {%- for mart, grain, measures in marts -%}
        {%- set of_mart = loop -%}
        {%- for measure in measures %}
    select
        '{{ mart.identifier }}' as mart,
        as_of_date,
        counting_unit,
        {%- for column in ['component', 'participation_type', 'reason'] %}
        {{ column if column in grain else "cast(null as string)" }} as {{ column }},
        {%- endfor %}
        '{{ measure }}' as measure,
        {{ measure }} as value
    from {{ mart }}
    {{ 'union all' if not (of_mart.last and loop.last) }}
        {%- endfor -%}
    {%- endfor -%}
{%- endmacro %}

{# Equal grains: of two rows of counts_of_marts(), or of what is made from it. #}
{% macro is_same_grain(one, other) -%}
    {{ one }}.mart = {{ other }}.mart
        and {{ one }}.as_of_date = {{ other }}.as_of_date
        and {{ one }}.counting_unit = {{ other }}.counting_unit
        {%- for column in ['component', 'participation_type', 'reason'] %}
        and coalesce({{ one }}.{{ column }}, '') = coalesce({{ other }}.{{ column }}, '')
        {%- endfor %}
{%- endmacro %}

{# The columns of all grains, from a relation. #}
{% macro revision_grain(relation='') -%}
    {%- for column in ['mart', 'as_of_date', 'counting_unit', 'component', 'participation_type', 'reason'] -%}
        {{ relation ~ '.' if relation }}{{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
