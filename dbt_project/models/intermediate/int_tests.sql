-- R2, R6: tests of both components (NIVEAU is no evidence), with their contract and their result; an MO test without
-- result is judged by its scores, by the thresholds that held on the day of the test.
with tests as (

    select
        test_id,
        person_key,
        case test_type when 'MO' then 'mo' else 'nt2' end as component,
        level,
        tested_on,
        practical_score,
        values_score,
        result_code
    from {{ ref('stg_registry__tests') }}
    where test_type in ('MO', 'NT2')

),

judged as (

    select
        tests.test_id,
        tests.person_key,
        tests.component,
        case when tests.component = 'nt2' then tests.level end as level,
        tests.tested_on,
        case
            when tests.result_code is not null then tests.result_code
            when tests.component = 'mo' and tests.practical_score is not null and tests.values_score is not null
                then
                    case
                        when
                            tests.practical_score >= thresholds.practical_minimum
                            and tests.values_score >= thresholds.values_minimum
                            then 'GESLAAGD'
                        else 'NT_GESLAAGD'
                    end
        end as result_code
    from tests
    inner join {{ ref('mo_test_thresholds') }} as thresholds
        on
            tests.tested_on >= thresholds.tested_from
            and (thresholds.tested_until is null or tests.tested_on <= thresholds.tested_until)

)

select
    judged.test_id,
    judged.component,
    judged.level,
    levels.level_rank,
    numbers.person_no,
    contracts.contract_no,
    judged.tested_on,
    judged.result_code
from judged
inner join {{ ref('int_person_numbers') }} as numbers on judged.person_key = numbers.person_key_delivered
left join {{ ref('nt2_levels') }} as levels on judged.level = levels.level
left join {{ ref('int_contracts') }} as contracts
    on
        numbers.person_no = contracts.person_no
        and {{ is_contract_at('judged.tested_on', 'contracts') }}
