{{ config(materialized='view') }}

-- R6: every dated piece of evidence of a trajectory, judged by its contract's regime and target level.
-- For social orientation there are no levels: level_rank is empty and any decision or test counts in full.
with contracts as (

    select contract_no, nt2_target_rank, minimum_attendance from {{ ref('int_contracts') }}

),

decisions as (

    select
        components.contract_no,
        components.component,
        components.decided_on as dated_on,
        case
            when components.decision_code = 'VO'
                then
                    case
                        when components.component = 'mo' or components.level_rank >= contracts.nt2_target_rank
                            then 'pass'
                        else 'progress'
                    end
            when
                components.decision_code = 'NVO'
                and (components.component = 'mo' or components.level_rank <= contracts.nt2_target_rank)
                then 'fail'
            when
                components.decision_code = 'NVT'
                and (components.component = 'mo' or components.level_rank >= contracts.nt2_target_rank)
                then 'exemption'
        end as kind,
        'decision' as source,
        components.component_id as source_id,
        components.level
    from {{ ref('int_components') }} as components
    inner join contracts on components.contract_no = contracts.contract_no
    where components.decision_code is not null

),

results as (

    select
        contract_no, component, over_on as dated_on, result_code, 'course' as source,
        participation_id as source_id, level, level_rank
    from {{ ref('int_courses') }}
    where result_code is not null and over_on is not null

    union all

    select
        contract_no, component, tested_on as dated_on, result_code, 'test' as source,
        test_id as source_id, level, level_rank
    from {{ ref('int_tests') }}
    where result_code is not null

),

judged_results as (

    select
        results.contract_no,
        results.component,
        results.dated_on,
        case
            when results.result_code = 'NT_DEELGENOMEN' then 'no_show'
            when results.result_code = 'GESLAAGD'
                then
                    case
                        when results.component = 'mo' or results.level_rank >= contracts.nt2_target_rank then 'pass'
                        -- Below the target, or at a level that was not recorded.
                        else 'progress'
                    end
            when
                results.result_code = 'NT_GESLAAGD'
                and (
                    results.component = 'mo'
                    or results.level_rank is null
                    or results.level_rank <= contracts.nt2_target_rank
                )
                then 'fail'
        end as kind,
        results.source,
        results.source_id,
        results.level
    from results
    inner join contracts on results.contract_no = contracts.contract_no

),

attendance as (

    select
        courses.contract_no,
        courses.component,
        courses.over_on as dated_on,
        'pass' as kind,
        'attendance' as source,
        courses.participation_id as source_id,
        courses.level
    from {{ ref('int_courses') }} as courses
    inner join contracts on courses.contract_no = contracts.contract_no
    where
        contracts.minimum_attendance is not null
        and courses.over_on is not null
        and {{ has_attended('courses', 'contracts.minimum_attendance') }}

),

evidence as (

    select * from decisions where dated_on is not null
    union all
    select * from judged_results
    union all
    select * from attendance

)

select
    contract_no,
    component,
    dated_on,
    kind,
    source,
    case source when 'course' then 1 when 'test' then 2 when 'decision' then 3 else 4 end as source_rank,
    source_id,
    level
from evidence
where kind is not null
