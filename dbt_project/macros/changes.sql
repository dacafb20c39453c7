{# A table that is kept up to date by what changed. Records that arrived up to its own cut-off are in it already, and only rows
   that later ones could have changed are made again. The cut-off -infinity makes it anew, by the very same SQL. #}
{% macro cut_off(name) -%}
    {%- set known = var('changed_since') -%}
    {{ known.get(name, '-infinity') if known is mapping else '-infinity' }}
{%- endmacro %}

{% macro is_anew(name) -%}
    {{ 'yes' if (cut_off(name) | trim) == '-infinity' else '' }}
{%- endmacro %}

{% macro changed_since(name) -%}
    {{ text_literal(cut_off(name) | trim) }}::timestamptz
{%- endmacro %}

{% macro known_until() -%}
    {{ text_literal(var('known_at')) }}::timestamptz
{%- endmacro %}

{# A day's changes are few rows of many, and lie in memory: read by index, they cost what they are, and not what was before. #}
{% macro read_by_index(name) -%}
    {% if not is_anew(name) | trim -%}
        set local random_page_cost = 1.1
    {%- endif %}
{%- endmacro %}

{# In a model: only units that changed. They are noted once, before the model's SQL, so that what is deleted and what is put
   in its place are rows of the same units, whatever arrives meanwhile. #}
{% macro is_of_changed_unit(name, rows='') -%}
    {%- set of = rows ~ '.' if rows else '' -%}
    {% if is_anew(name) | trim -%}
        true
    {%- else -%}
        ({{ of }}tenant_id, {{ of }}unit_id) in (select noted.tenant_id, noted.unit_id from changed_units as noted)
    {%- endif %}
{%- endmacro %}

{% macro note_changed_units(name, maturing=false) -%}
    {% if not is_anew(name) | trim -%}
        create temporary table changed_units on commit drop as
        select tenant_id, unit_id
        from {{ var('schema_prefix') }}events.unit_changes
        where
            changed_at > {{ changed_since(name) }}
            {%- if var('partition') %} and tenant_id {{ is_one_of(tenants_asked_for()) }}{% endif %}
        {%- if maturing %}
        union
        {{ units_that_matured(name) }}
        {%- endif %};
        analyze changed_units;
    {%- endif %}
{%- endmacro %}

{# Time itself changes a value that has to wait for its days to be over, and a time that is still running. #}
{% macro units_that_matured(name) -%}
    select units.tenant_id, units.unit_id
    from (
        select
            tenant_id, experiment, type,
            coalesce(to_days, 36500) * interval '1 day' as until
        from {{ var('schema_prefix') }}experiments.metric_definitions
        where {{ in_partition('experiment') }} and type in ('retention', 'time_to_event')
    ) as metrics
    inner join {{ var('schema_prefix') }}experiments.first_exposures as units
        on
            metrics.tenant_id = units.tenant_id
            and metrics.experiment = units.experiment
            and units.first_exposed_at > {{ changed_since(name) }} - metrics.until
            and (metrics.type = 'time_to_event' or units.first_exposed_at <= {{ known_until() }} - metrics.until)
{%- endmacro %}

{# Days of which a unit's cell went or came, taken from the list of what is still to be done. #}
{% macro take_changed_days(name) -%}
    {% if not var('schema_prefix') -%}
        create temporary table changed_days (tenant_id text, experiment text, day date) on commit drop;
        with taken as (
            delete from ops.changed_days where {{ in_partition('experiment') }} returning tenant_id, experiment, day
        )
        insert into changed_days select tenant_id, experiment, day from taken;
    {%- endif %}
{%- endmacro %}

{% macro is_of_changed_day(name, rows) -%}
    {% if is_anew(name) | trim -%}
        true
    {%- else -%}
        ({{ rows }}.tenant_id, {{ rows }}.experiment, {{ rows }}.day) in (
            select taken.tenant_id, taken.experiment, taken.day from changed_days as taken
        )
    {%- endif %}
{%- endmacro %}

{# Which rows of a table may have changed, each condition with an index of its own. Rows that are made again meet the first. #}
{% macro conditions_of_change(name, changed_by, incoming) -%}
    {%- set partition = ' and ' ~ in_partition('made.experiment', 'made.tenant_id') if var('partition') else '' -%}
    {%- if changed_by == 'received' -%}
        {%- set since = changed_since(name) -%}
        {%- set landings = 'select tenant_id, landing_id from superseded_landings' -%}
        {%- set erased = 'select tenant_id, unit_id from raw.erasures where erased_at > ' ~ since -%}
        {% do return([
            'made.known_at > ' ~ since,
            '(made.tenant_id, made.source) in (' ~ landings ~ ')',
            '(made.tenant_id, made.unit_id) in (' ~ erased ~ ')',
        ]) %}
    {%- elif changed_by == 'units' -%}
        {% do return(['(made.tenant_id, made.unit_id) in (select tenant_id, unit_id from changed_units)' ~ partition]) %}
    {%- elif changed_by == 'rows' -%}
        {% do return(['(made.tenant_id, made.unit_id) in (select tenant_id, unit_id from ' ~ incoming ~ ')']) %}
    {%- elif changed_by == 'days' -%}
        {%- set days = 'select tenant_id, experiment, day from changed_days' -%}
        {% do return(['(made.tenant_id, made.experiment, made.day) in (' ~ days ~ ')' ~ partition]) %}
    {%- endif -%}
{%- endmacro %}

{% macro note_superseded_landings(name) -%}
    {% if not is_anew(name) | trim -%}
        create temporary table superseded_landings on commit drop as
        select tenant_id, landing_id
        from ({{ landings_and_what_superseded_them() }}) as landings
        where superseded_at > {{ changed_since(name) }};
    {%- endif %}
{%- endmacro %}

{# Rows that stay as they are are left where they are. What goes and what comes is added to the state of the table, so that its
   data version is known without reading it. #}
{% macro get_incremental_replace_changed_sql(arg_dict) -%}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set incoming = arg_dict["temp_relation"] -%}
    {%- set names = arg_dict["dest_columns"] | map(attribute="name") | list -%}
    {%- set columns = get_quoted_csv(names) -%}
    {%- set name = target.identifier -%}
    {%- if is_anew(name) | trim -%}
        delete from {{ target }} where {{ in_partition(config.get('partition_key')) if var('partition') else 'true' }};
        insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ incoming }};
    {%- else -%}
        {%- set days = config.get('days_are_noted', false) -%}
        {%- set key_column = config.get('partition_key') -%}
        {%- set returned = (', tenant_id, ' ~ key_column if key_column else '') ~ (', day' if days else '') -%}
        {%- set conditions = conditions_of_change(name, config.require('changed_by'), incoming) -%}
        {%- for condition in conditions %}
        with changed as (
            delete from {{ target }} as made
            where
                {{ condition }}
                and not exists (
                    select from {{ incoming }} as incoming
                    where {{ row_text('incoming', names) }} = {{ row_text('made', names) }}
                )
            returning {{ row_hash('made', names) }} as hash {{- returned }}
        )
        {{ note_days() if days }}
        {{ add_to_state(name, '-') }};
        {%- endfor %}
        with changed as (
            insert into {{ target }} as made ({{ columns }})
            select {{ columns }} from {{ incoming }} as incoming
            where not exists (
                select from {{ target }} as made
                where {{ conditions[0] }} and {{ row_text('incoming', names) }} = {{ row_text('made', names) }}
            )
            returning {{ row_hash('made', names) }} as hash {{- returned }}
        )
        {{ note_days() if days }}
        {{ add_to_state(name, '+') }};
    {%- endif %}
{%- endmacro %}

{% macro note_days() -%}
    , noted as (
        insert into ops.changed_days (tenant_id, experiment, day)
        select distinct tenant_id, experiment, day from changed
        on conflict do nothing
    )
{%- endmacro %}

{# The same text and hash as in resources/postgres_client.py. #}
{% macro row_text(rows, names) -%}
    row({% for name in names | sort %}{{ rows }}.{{ adapter.quote(name) }}{{ ', ' if not loop.last }}{% endfor %})::text
{%- endmacro %}

{% macro row_hash(rows, names) -%}
    ('x' || substr(md5({{ row_text(rows, names) }}), 1, 15))::bit(60)::bigint
{%- endmacro %}

{# The states of the partitions asked for; that of a table without partitions has none. #}
{% macro state_key(name) -%}
    relation = {{ text_literal(model.fqn[1] ~ '.' ~ name) }} and partition_key {{ is_one_of(partitions_asked_for() or ['']) }}
{%- endmacro %}

{% macro tenants_asked_for() -%}
    {%- set tenants = [] -%}
    {%- for partition in partitions_asked_for() if partition.split('|')[0] not in tenants -%}
        {%- do tenants.append(partition.split('|')[0]) -%}
    {%- endfor -%}
    {% do return(tenants) %}
{%- endmacro %}

{% macro add_to_state(name, sign) -%}
    {%- set key_column = config.get('partition_key') -%}
    update ops.table_states as state
    set row_count = state.row_count {{ sign }} change.rows, hash_sum = state.hash_sum {{ sign }} change.total
    from (
        select {{ "tenant_id || '|' || " ~ key_column if key_column else "''::text" }} as partition_key, count(*) as rows, sum(hash) as total
        from changed
        group by 1
    ) as change
    where state.relation = {{ text_literal(model.fqn[1] ~ '.' ~ name) }} and state.partition_key = change.partition_key
{%- endmacro %}

{# In the transaction of the model: up to where each partition is made, and from what. A table that was made by hand has no
   state, and a scratch copy needs none. `made_from` is one hash, or one of each partition. #}
{% macro record_state() -%}
    {%- if execute and config.get('incremental_strategy') == 'replace_changed' and not var('schema_prefix') -%}
        {%- set name = this.identifier -%}
        {%- if not var('made_from') -%}
            delete from ops.table_states where {{ state_key(name) if var('partition') else "relation = " ~ text_literal(model.fqn[1] ~ '.' ~ name) }}
        {%- elif is_anew(name) | trim -%}
            {%- set names = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
            {%- set key_column = config.get('partition_key') if var('partition') -%}
            insert into ops.table_states (tenant_id, relation, partition_key, made_from, known_at, row_count, hash_sum)
            select
                asked.tenant_id,
                {{ text_literal(model.fqn[1] ~ '.' ~ name) }},
                asked.partition_key,
                asked.made_from,
                {{ known_until() }},
                count(made.tenant_id),
                coalesce(sum({{ row_hash('made', names) }}) filter (where made.tenant_id is not null), 0)
            from (
                values
                {%- for partition in partitions_asked_for() or [''] %}
                {%- set parts = partition.split('|') %}
                {%- set made_from = var('made_from') if var('made_from') is string else var('made_from')[partition] %}
                (
                    {{ text_literal(parts[0] or 'every_tenant') }}, {{ text_literal(parts[1:] | join('|')) }},
                    {{ text_literal(partition) }}, {{ text_literal(made_from) }}
                ){{ ',' if not loop.last }}
                {%- endfor %}
            ) as asked (tenant_id, key, partition_key, made_from)
            left join {{ this }} as made
                on {{ 'made.tenant_id = asked.tenant_id and made.' ~ key_column ~ ' = asked.key' if key_column else 'true' }}
            group by asked.tenant_id, asked.partition_key, asked.made_from
            on conflict (relation, partition_key) do update
            set
                made_from = excluded.made_from, known_at = excluded.known_at,
                row_count = excluded.row_count, hash_sum = excluded.hash_sum;
            {%- if config.get('days_are_noted', false) %}
            delete from ops.table_states where {{ state_key('daily_statistics') }};
            {%- endif %}
        {%- else -%}
            update ops.table_states set known_at = {{ known_until() }} where {{ state_key(name) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# What comes next is planned from this table's statistics; the server's own analysis would come too late after all of it has
   been written, and is enough for a little more. #}
{% macro analyzed(relation) -%}
    {% if is_anew(relation.identifier) | trim %}analyze {{ relation }}{% endif %}
{%- endmacro %}

{# dbt makes indexes with a table; this makes those that a table from before lacks. #}
{% macro indexed(columns, unique=false) -%}
    create {{ 'unique ' if unique }}index if not exists {{ adapter.quote(this.identifier ~ '_' ~ columns | join('_') ~ '_idx') }}
    on {{ this }} ({{ columns | join(', ') }})
{%- endmacro %}

{# What a test looks at: of a table that was kept up to date, what could have changed in it. #}
{% macro get_where_subquery(relation) -%}
    {%- set name = relation.identifier -%}
    {%- set since = changed_since(name) -%}
    {%- set units = "select tenant_id, unit_id from " ~ var('schema_prefix') ~ "events.unit_changes where changed_at > " ~ since -%}
    {%- if is_anew(name) | trim or name == 'daily_statistics' or config.get('where') -%}
        {% do return(default__get_where_subquery(relation)) %}
    {%- elif name == 'events' -%}
        {% do return("(select * from " ~ relation ~ " where known_at > " ~ since ~ ") as changed") %}
    {%- else -%}
        {% do return("(select * from " ~ relation ~ " where (tenant_id, unit_id) in (" ~ units ~ ")) as changed") %}
    {%- endif -%}
{%- endmacro %}
