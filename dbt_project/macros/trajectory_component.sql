{# One narrow number for a trajectory x component, which is what the intervals sort and join on: twice that of the
   contract, and one more for Dutch. #}
{% macro trajectory_component_no(contract_no, component) -%}
    {{ contract_no }} * 2 + case {{ component }} when 'mo' then 0 else 1 end
{%- endmacro %}

{% macro component_of(trajectory_component_no) -%}
    case {{ trajectory_component_no }} % 2 when 0 then 'mo' else 'nt2' end
{%- endmacro %}

{% macro doubled_contract_no_of(trajectory_component_no) -%}
    {{ trajectory_component_no }} - {{ trajectory_component_no }} % 2
{%- endmacro %}
