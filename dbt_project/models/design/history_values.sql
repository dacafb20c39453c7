{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment', 'metric', 'unit_id']}]) }}

with

moments as (
    {{ moments_by_metric(ref('history_units'), 'units.ends_at', ends='units.ends_at') }}
    where {{ in_partition('units.experiment', 'units.tenant_id') }}
),

-- By the very SQL that will measure the experiment.
outcomes as (
    {{ outcomes_of('select * from moments where ' ~ days_are_over('moments')) }}
),

{{ values_of_outcomes() }}
