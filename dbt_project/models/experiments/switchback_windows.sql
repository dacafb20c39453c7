{{ config(partition_key='experiment', indexes=[{'columns': ['tenant_id', 'experiment']}]) }}

with

declared as (
    {{ switchbacks() }}
),

variants as (
    select * from {{ ref('experiment_variants') }}
    where {{ in_partition('experiment') }}
),

-- Who asks just before a window ends may be written down just after, with the variant that was in force when it asked.
exposures as (
    select
        exposed.*,
        declared.starts_on,
        declared.ends_on,
        {{ window_start('exposed.window_index', 'declared') }} as window_start,
        {{ window_start('(exposed.window_index + 1)', 'declared') }} as window_end,
        exposed.exposed_at
        < {{ window_start('exposed.window_index', 'declared') }} + least(60, declared.seconds / 10) * interval '1 second'
            as is_early
    from {{ ref('switchback_exposures') }} as exposed
    inner join declared
        on
            exposed.tenant_id = declared.tenant_id
            and exposed.experiment = declared.experiment
    where exposed.cluster_id is not null
),

windows as (
    select
        tenant_id,
        experiment,
        cluster_id,
        window_index,
        window_start,
        window_end,
        starts_on,
        ends_on,
        coalesce(
            (array_agg(variant order by exposed_at, variant) filter (where not is_early))[1],
            (array_agg(variant order by exposed_at, variant))[1]
        ) as variant,
        coalesce(
            nullif(count(distinct variant) filter (where not is_early), 0), count(distinct variant)
        )::integer as variants_seen,
        count(distinct unit_id) as units,
        min(exposed_at) as first_exposed_at
    from exposures
    group by tenant_id, experiment, cluster_id, window_index, window_start, window_end, starts_on, ends_on
)

select
    windows.tenant_id,
    windows.experiment,
    windows.cluster_id,
    windows.window_index,
    windows.window_start,
    windows.window_end,
    windows.variant,
    windows.variants_seen,
    windows.units,
    windows.first_exposed_at,
    variants.variant is not null as is_listed,
    variants.variant is not null and windows.variants_seen = 1 as is_eligible,
    windows.window_start >= coalesce(windows.starts_on, '-infinity'::date)
    and windows.window_end <= coalesce(windows.ends_on + 1, 'infinity'::date)
    and windows.window_end <= {{ known_until() }} as is_whole
from windows
left join variants
    on
        windows.tenant_id = variants.tenant_id
        and windows.experiment = variants.experiment
        and windows.variant = variants.variant
