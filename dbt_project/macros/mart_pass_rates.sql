{# Q1 and Q2 count alike; only the grain differs. #}

{% macro pass_rate_counts(counts, grain) -%}
select
        {{ grain | join(', ') }},
        cast(sum(n) as bigint) as n_population,
        cast(coalesce(sum(n) filter (where is_required), 0) as bigint) as n_required,
        cast(coalesce(sum(n) filter (where is_ended), 0) as bigint) as n_ended,
        cast(coalesce(sum(n) filter (where is_evaluated), 0) as bigint) as n_evaluated
        {%- for outcome in [
            'passed', 'failed', 'resitting', 'dropped_out', 'left_target_group', 'changed_target_group', 'suspended',
            'in_progress', 'awaiting_result', 'waiting', 'exempt', 'prior_level', 'not_required', 'undetermined'
        ] %},
        cast(coalesce(sum(n) filter (where outcome = '{{ outcome }}'), 0) as bigint) as n_{{ outcome }}
        {%- endfor %}
    from {{ counts }}
    group by {{ grain | join(', ') }}
{%- endmacro %}

{% macro pass_rates(counts) -%}
{{ counts }}.*,
        {{ rate('n_passed', 'n_evaluated') }} as pass_rate_evaluated,
        {{ rate('n_passed', 'n_ended') }} as pass_rate_ended,
        {{ rate('n_passed', 'n_required') }} as pass_rate_required,
        {{ rate('n_passed', '(n_ended - n_left_target_group - n_changed_target_group)') }}
            as pass_rate_ended_in_target_group
{%- endmacro %}
