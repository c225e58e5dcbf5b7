-- R2, R8: every document, with the contract it names (to none if that is not there), else contract_at its date.
with documents as (

    select
        certificates.certificate_id,
        certificates.contract_id,
        certificates.document_code,
        coalesce(certificates.signed_on, certificates.created_on) as dated_on,
        numbers.person_no,
        coalesce(numbers.person_key, certificates.person_key) as person_key
    from {{ ref('stg_registry__certificates') }} as certificates
    left join {{ ref('int_person_numbers') }} as numbers on certificates.person_key = numbers.person_key_delivered

),

contracts as (

    select contract_no, contract_id, person_no, signed_on, superseded_on from {{ ref('int_contracts') }}

),

placed as (

    select documents.certificate_id, contracts.contract_id, contracts.contract_no
    from documents
    inner join contracts on documents.contract_id = contracts.contract_id

    union all

    select documents.certificate_id, contracts.contract_id, contracts.contract_no
    from documents
    inner join contracts
        on
            documents.person_no = contracts.person_no
            and {{ is_contract_at('documents.dated_on', 'contracts') }}
    where documents.contract_id is null

)

select
    documents.certificate_id,
    placed.contract_id,
    documents.person_key,
    case documents.document_code
        when 'AI023' then 'certificate'
        when 'AEVC05' then 'evc'
        when 'VGI01' then 'effort_statement'
    end as document_type,
    documents.dated_on,
    placed.contract_no
from documents
left join placed on documents.certificate_id = placed.certificate_id
