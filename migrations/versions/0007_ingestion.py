"""Raw records in partitions, by how long they are kept and by month; exact keys, sticky assignments, audit.

A partition is dropped whole when its time is over. What must hold for ever, that a record of one id is stored once and
that a unit keeps its variant, stands in tables of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tenancy import (
    ANALYST,
    API,
    PIPELINE,
    count,
    create_index,
    create_table,
    drop_table,
    instant,
    json,
    sequence_number,
    tenant_id,
    text,
)

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SEVEN_YEARS = 2557
MONTHS_AHEAD = 3
PARTITIONED = ("events", "assignments", "quarantine")
KEYS = {"events": "raw.event_keys", "assignments": "raw.assignment_keys"}
NEVER_CHANGED = (*KEYS.values(), "raw.sticky_assignments", "raw.replays", "ops.audit")

VIEW_COLUMNS = {
    "tenant_id": "the tenant of the session",
    "unit_id": "the unit",
    "experiment": "key of the experiment",
    "variant": "the variant that the unit was given, and keeps",
    "assigned_at": "when it was given",
    "source": "where the assignment came from",
    "policy_version": "version of what decided it; null: it was decided elsewhere",
    "bucket_version": "the bucket version for which it holds",
    "window_start": "start of the switchback window for which it holds; -infinity: it holds for good",
}

REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION raw.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{form} is append-only: % refused', {name}, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

# Dropped in the opposite order. Every name in them is qualified, so that no session can put its own in their place.
FUNCTIONS = {
    # By the size of its files: security hides the rows from the owner, and to lift it needs a lock.
    "raw.holds_rows(regclass)": """
CREATE FUNCTION raw.holds_rows(kept regclass) RETURNS boolean LANGUAGE sql SET search_path TO pg_catalog, pg_temp AS $$
    SELECT pg_relation_size(kept) > 0
$$
""",
    # Forced security and the trigger hold back the owner like anybody else. To count or move the rows of a table it
    # lifts both for one transaction, under a lock with which nobody else can look in.
    "raw.lift(regclass, boolean)": """
CREATE FUNCTION raw.lift(kept regclass, is_lifted boolean) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'ALTER TABLE %s %s ROW LEVEL SECURITY, %s TRIGGER append_only', kept,
        CASE WHEN is_lifted THEN 'NO FORCE' ELSE 'FORCE' END, CASE WHEN is_lifted THEN 'DISABLE' ELSE 'ENABLE' END
    );
END $$
""",
    # Made beside the table and then attached, so that those who insert or read are not held up. It has the tenancy of
    # its parent, for whoever would reach it by its own name. Rows that came before it lie in the default partition.
    "raw.add_partition(regclass, text, text, text, text)": """
CREATE FUNCTION raw.add_partition(parent regclass, child text, bounds text, belongs text, subdivision text)
RETURNS void LANGUAGE plpgsql SET search_path TO pg_catalog, pg_temp AS $$
DECLARE
    made text := format('raw.%I', child);
    own text := 'tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')';
    remainder regclass;
BEGIN
    EXECUTE format(
        'CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING STORAGE) %s',
        made, parent, subdivision
    );
    EXECUTE format('COMMENT ON TABLE %s IS %L', made, obj_description(parent, 'pg_class'));
    EXECUTE format('CREATE POLICY tenant_isolation ON %s USING (%s) WITH CHECK (%s)', made, own, own);
    EXECUTE format(
        'CREATE POLICY pipeline_all_tenants ON %s TO causeway_pipeline USING (true) WITH CHECK (true)', made
    );
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s'
        ' FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change()', made
    );
    IF subdivision <> '' THEN
        PERFORM raw.add_partition(made::regclass, child || '_default', 'DEFAULT', 'false', '');
    END IF;
    SELECT partdefid INTO remainder FROM pg_partitioned_table WHERE partrelid = parent AND partdefid <> 0;
    IF remainder IS NOT NULL AND raw.holds_rows(remainder) THEN
        PERFORM raw.lift(remainder, true);
        EXECUTE format('INSERT INTO %s SELECT * FROM %s WHERE %s', made, remainder, belongs);
        EXECUTE format('DELETE FROM %s WHERE %s', remainder, belongs);
        PERFORM raw.lift(remainder, false);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', made);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s %s', parent, made, bounds);
END $$
""",
    "raw.ensure_class(text, integer)": """
CREATE FUNCTION raw.ensure_class(name text, days integer) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass(format('raw.%I', name || '_' || days)) IS NULL THEN
        PERFORM raw.add_partition(
            format('raw.%I', name)::regclass, name || '_' || days, format('FOR VALUES IN (%s)', days),
            format('retention_days = %s', days), 'PARTITION BY RANGE (received_at)'
        );
    END IF;
END $$
""",
    "raw.ensure_month(text, integer, timestamptz)": """
CREATE FUNCTION raw.ensure_month(name text, days integer, instant timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' AS $$
DECLARE
    first timestamptz := date_trunc('month', instant);
    following timestamptz := first + interval '1 month';
    child text := format('%s_%s_%s', name, days, to_char(first, 'YYYY_MM'));
BEGIN
    IF to_regclass(format('raw.%I', child)) IS NULL THEN
        PERFORM raw.add_partition(
            format('raw.%I', name || '_' || days)::regclass, child,
            format('FOR VALUES FROM (%L) TO (%L)', first, following),
            format('received_at >= %L AND received_at < %L', first, following), ''
        );
    END IF;
END $$
""",
    "raw.values_in(regclass, text)": """
CREATE FUNCTION raw.values_in(kept regclass, expression text) RETURNS text[] LANGUAGE plpgsql
SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' AS $$
DECLARE
    listed text[] := '{}';
BEGIN
    IF raw.holds_rows(kept) THEN
        PERFORM raw.lift(kept, true);
        EXECUTE format('SELECT coalesce(array_agg(DISTINCT (%s)::text), ''{}'') FROM %s', expression, kept) INTO listed;
        PERFORM raw.lift(kept, false);
    END IF;
    RETURN listed;
END $$
""",
    # A row finds its class first, then its month; what had come before its partition is moved there.
    "raw.ensure_partitions(integer, integer[])": """
CREATE FUNCTION raw.ensure_partitions(months_ahead integer, retention integer[] DEFAULT '{}') RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' SET lock_timeout TO '5s' AS $$
DECLARE
    before bigint := (SELECT count(*) FROM pg_class WHERE relispartition AND relkind IN ('r', 'p'));
    name text;
    days integer;
    month timestamptz;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'assignments', 'quarantine'] LOOP
        FOR days IN
            SELECT unnest(retention || raw.values_in(format('raw.%I_default', name), 'retention_days')::integer[])
        LOOP
            PERFORM raw.ensure_class(name, days);
        END LOOP;
        FOR days IN
            SELECT substring(relname FROM '[0-9]+$')::integer
            FROM pg_partition_tree(format('raw.%I', name)) JOIN pg_class ON oid = relid
            WHERE level = 1 AND NOT isleaf
        LOOP
            FOR month IN
                SELECT now() + make_interval(months => ahead) FROM generate_series(0, months_ahead) AS ahead
                UNION ALL
                SELECT unnest(raw.values_in(
                    format('raw.%I', name || '_' || days || '_default'), 'date_trunc(''month'', received_at)'
                )::timestamptz[])
            LOOP
                PERFORM raw.ensure_month(name, days, month);
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN (SELECT count(*) FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')) - before;
END $$
""",
    # Never before its time: whoever may call it may not say that it is later than it is.
    "raw.drop_expired(timestamptz)": """
CREATE FUNCTION raw.drop_expired(moment timestamptz)
RETURNS TABLE (partition text, tenant_id text, rows bigint, first timestamptz, following timestamptz)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' SET lock_timeout TO '5s' AS $$
DECLARE
    expired record;
    session text := coalesce(current_setting('app.tenant_id', true), '');
BEGIN
    FOR expired IN
        SELECT leaf.relid, class.relname AS name, bounds.since, bounds.until
        FROM unnest(ARRAY['events', 'assignments', 'quarantine']) AS parent
        CROSS JOIN LATERAL pg_partition_tree(format('raw.%I', parent)) AS leaf
        JOIN pg_class AS class ON class.oid = leaf.relid
        JOIN pg_class AS kept ON kept.oid = leaf.parentrelid
        CROSS JOIN LATERAL (
            SELECT (edge[1])::timestamptz AS since, (edge[2])::timestamptz AS until,
                make_interval(days => substring(kept.relname FROM '[0-9]+$')::integer) AS retention
            FROM regexp_matches(
                pg_get_expr(class.relpartbound, class.oid), 'FROM \\(''([^'']+)''\\) TO \\(''([^'']+)''\\)'
            ) AS edge
        ) AS bounds
        WHERE leaf.isleaf AND leaf.level = 2 AND bounds.until + bounds.retention <= least(moment, clock_timestamp())
        ORDER BY class.relname
    LOOP
        PERFORM raw.lift(expired.relid, true);
        FOR partition, tenant_id, rows, first, following IN EXECUTE format(
            'SELECT %L, kept.tenant_id, count(*), %L::timestamptz, %L::timestamptz FROM %s AS kept GROUP BY 2',
            'raw.' || expired.name, expired.since, expired.until, expired.relid::regclass
        ) LOOP
            PERFORM set_config('app.tenant_id', tenant_id, true);
            INSERT INTO ops.audit (tenant_id, actor, action, subject, details) VALUES (
                drop_expired.tenant_id, 'retention', 'drop_partition', partition,
                jsonb_build_object('rows', rows, 'from', first, 'to', following)
            );
            RETURN NEXT;
        END LOOP;
        EXECUTE format('DROP TABLE %s', expired.relid::regclass);
    END LOOP;
    PERFORM set_config('app.tenant_id', session, true);
END $$
""",
}
CALLED_BY_PIPELINE = ("raw.ensure_partitions(integer, integer[])", "raw.drop_expired(timestamptz)")


def arrival(comment: str) -> sa.Column[Any]:
    """The order of arrival, by a counter alone: an index of its own would cost every insertion."""
    return sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False, comment=comment)


def retention() -> sa.Column[Any]:
    return sa.Column(
        "retention_days",
        sa.Integer,
        nullable=False,
        server_default=str(SEVEN_YEARS),
        comment="for how many days after its month the row is kept; with received_at it decides the partition",
    )


def envelope(seq: sa.Column[Any]) -> list[sa.Column[Any]]:
    """The columns that every record has."""
    return [
        seq,
        tenant_id(),
        text("source", "where the record came from: a declared source, or the name that the sender gave"),
        text("event_id", "the sender's id of the record, unique in its source"),
        text("type", "the kind of event"),
        text("unit_id", "the unit that the record is about"),
        instant("occurred_at", "when it happened, by the sender"),
        instant("sent_at", "when the sender sent it; null if unknown", null=True),
        instant("received_at", "when it arrived here, by our clock", now=True),
        json("properties", "everything else that the sender said, as a JSON object", default="{}"),
        text("landing_id", "the file landing that brought it; null: it came over HTTP", null=True),
    ]


def assigned() -> list[sa.Column[Any]]:
    return [
        text("experiment", "key of the experiment"),
        text("variant", "the variant that the unit was given"),
    ]


def refused(seq: sa.Column[Any]) -> list[sa.Column[Any]]:
    return [
        seq,
        tenant_id(),
        text("source", "where the record came from"),
        text("landing_id", "the file landing that brought it; null: it came over HTTP", null=True),
        count("row_number", "position of the record in its file or request, from 1", null=True),
        text("code", "machine-readable reason"),
        text("reason", "the reason in words"),
        text("record", "the record as it was, as JSON text"),
        instant("received_at", "when it arrived here, by our clock", now=True),
    ]


APPENDED_ONLY: Mapping[str, Sequence[str]] = {"pipeline": ("SELECT", "INSERT"), "api": ("INSERT",)}
BEFORE: Mapping[str, Sequence[str]] = {
    "events": [column.name for column in envelope(arrival("."))],
    "assignments": [column.name for column in (*envelope(arrival(".")), *assigned())],
    "quarantine": [column.name for column in refused(arrival("."))],
}


def upgrade() -> None:
    op.execute(REFUSE_CHANGE.format(form="%.%", name="TG_TABLE_SCHEMA, TG_TABLE_NAME"))
    for signature, definition in FUNCTIONS.items():
        op.execute(definition)
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    for signature in CALLED_BY_PIPELINE:
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {PIPELINE}")
    op.execute("DROP VIEW serving.unit_assignments")
    for name in PARTITIONED:
        set_aside(name)
    create_partitioned_tables()
    create_tables_that_stay()
    for name in PARTITIONED:
        move_into_partitions(name)
        if name in KEYS:
            fill_keys(name)
    fill_sticky_assignments()
    for name in PARTITIONED:
        drop_table(f"raw.{name}_before")
    for table in (*(f"raw.{name}" for name in PARTITIONED), *NEVER_CHANGED):
        hold(table)
    op.execute(f"SELECT raw.ensure_partitions({MONTHS_AHEAD})")
    create_view(
        "SELECT tenant_id, unit_id, experiment, variant, assigned_at, source, policy_version, bucket_version,"
        " window_start FROM raw.sticky_assignments WHERE unit_attribute = 'targetingKey'",
        VIEW_COLUMNS,
        "Grain: one row per unit, experiment, bucket version and window.",
    )
    op.execute(f"GRANT USAGE ON SCHEMA ops TO {API}")


def create_partitioned_tables() -> None:
    create_table(
        "raw.events",
        *envelope(arrival("order of arrival in this table; gaps are normal")),
        retention(),
        count("schema_version", "version of the type's schema that the event was held against; null: none", null=True),
        instant("first_received_at", "when it arrived and was refused, if it was replayed later", null=True),
        comment="Events as received",
        grain="one row per tenant, source and event_id, which raw.event_keys proves",
        partition_by="LIST (retention_days)",
        **APPENDED_ONLY,
    )
    create_table(
        "raw.assignments",
        *envelope(arrival("order of arrival in this table; gaps are normal")),
        *assigned(),
        retention(),
        comment="Assignments of units to variants as received; a unit may have many",
        grain="one row per received assignment; of landed ones, one per tenant, source and event_id",
        partition_by="LIST (retention_days)",
        **APPENDED_ONLY,
    )
    create_table(
        "raw.quarantine",
        *refused(arrival("order of arrival in this table; raw.replays points to it")),
        retention(),
        text("type", "the kind of event that it says it is; null if it cannot be read", null=True),
        text("event_id", "the sender's id of it; null if it cannot be read", null=True),
        count("schema_version", "version of the type's schema that refused it; null: something else did", null=True),
        text("content_type", "media type in which it came; null: in a landed file", null=True),
        comment="Records that were refused, kept so that they can be mended and sent again",
        grain="one row per refused record",
        partition_by="LIST (retention_days)",
        **APPENDED_ONLY,
    )
    for name in PARTITIONED:
        op.execute(f"CREATE INDEX {name}_received_at_idx ON raw.{name} USING brin (received_at)")
        # The owner moves rows into it first; the trigger is there for its partitions to be made alike.
        op.execute(f"ALTER TABLE raw.{name} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"SELECT raw.add_partition('raw.{name}', '{name}_default', 'DEFAULT', 'false', '')")
        op.execute(f"SELECT raw.ensure_class('{name}', {SEVEN_YEARS})")


def create_tables_that_stay() -> None:
    for name, kind in (("event_keys", "event"), ("assignment_keys", "landed assignment")):
        create_table(
            f"raw.{name}",
            tenant_id(),
            text("source", f"source of the {kind}"),
            text("event_id", f"the sender's id of the {kind}"),
            sa.Column(
                "body_hash",
                postgresql.BYTEA,
                nullable=True,
                comment="hash of what the record says; null: it was landed, or came before hashes were kept",
            ),
            instant("received_at", "when it arrived here, by our clock", now=True),
            sa.PrimaryKeyConstraint("tenant_id", "source", "event_id"),
            comment=f"The ids of every {kind} that was ever stored, which outlive its row: none is stored twice",
            grain="one row per tenant, source and event_id",
            pipeline=("SELECT", "INSERT"),
            api=("SELECT", "INSERT") if name == "event_keys" else (),
        )
        # The record's own row is checked; here the same check would be a fifth of the cost of storing an event.
        op.execute(f"ALTER TABLE raw.{name} DROP CONSTRAINT {name}_tenant_id_form")
    create_table(
        "raw.sticky_assignments",
        tenant_id(),
        text("experiment", "key of the experiment"),
        count("bucket_version", "the bucket version for which it holds"),
        text("unit_id", "the unit"),
        sa.Column(
            "window_start",
            postgresql.TIMESTAMP(timezone=True),
            nullable=False,
            server_default="-infinity",
            comment="start of the switchback window for which it holds; -infinity: it holds for good",
        ),
        text("variant", "the variant that the unit was given, and keeps"),
        text("unit_attribute", "the attribute that named the unit", server_default="targetingKey"),
        text("policy_version", "version of what decided it; null: it was decided elsewhere", null=True),
        instant("assigned_at", "when it was given", now=True),
        text("source", "where the assignment came from"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "experiment", "bucket_version", "unit_attribute", "unit_id", "window_start"
        ),
        comment="The variant that each unit keeps: the first one that was stored",
        grain="one row per tenant, experiment, bucket version, unit or cluster, and window",
        pipeline=("SELECT", "INSERT"),
        api=("SELECT", "INSERT"),
    )
    create_index("raw.sticky_assignments", "tenant_id", "unit_id")
    create_table(
        "raw.replays",
        sequence_number("order of the replays"),
        tenant_id(),
        count("quarantine_seq", "seq of the refused record in raw.quarantine"),
        text("outcome", "what became of it: accepted, duplicate, conflict, invalid or retry"),
        text("code", "why it was refused again, in a word; null if it was not", null=True),
        text("reason", "why it was refused again, in words; null if it was not", null=True),
        instant("replayed_at", "when it was sent again", now=True),
        comment="Refused records that were sent again, and what became of them",
        grain="one row per replay of a record",
        pipeline=("SELECT", "INSERT"),
        api=("INSERT",),
    )
    create_index("raw.replays", "tenant_id", "quarantine_seq")
    create_table(
        "ops.audit",
        sequence_number("order of what was done"),
        tenant_id(),
        instant("at", "when it was done, by our clock", now=True),
        text("actor", "who did it: a key's id, or a job"),
        text("action", "what was done, in a word"),
        text("subject", "what it was done to"),
        json("details", "what else is to be known about it", default="{}"),
        comment="What was done that cannot be seen from the rows that are left",
        grain="one row per action, and per tenant if it touched several",
        pipeline=("SELECT", "INSERT"),
        api=("INSERT",),
    )
    create_table(
        "ops.idempotency_keys",
        tenant_id(),
        text("scope", "the route that the key was sent to"),
        text("key", "the Idempotency-Key that the caller chose"),
        text("request_hash", "hash of the request's body"),
        count("status", "status of the answer"),
        text("answer", "body of the answer, as it was sent"),
        json("headers", "what else of the answer is to be sent again", default="{}"),
        instant("created_at", "when it was answered", now=True),
        sa.PrimaryKeyConstraint("tenant_id", "scope", "key"),
        comment="Answers to requests with an Idempotency-Key, which a repetition gets again for seven days",
        grain="one row per tenant, scope and key",
        pipeline=("SELECT", "DELETE"),
        api=("SELECT", "INSERT"),
    )
    op.execute("CREATE INDEX idempotency_keys_created_at_idx ON ops.idempotency_keys USING brin (created_at)")


def set_aside(name: str) -> None:
    """Let the owner read the table as it was, under another name."""
    op.execute(f"ALTER TABLE raw.{name} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"ALTER SEQUENCE raw.{name}_seq_seq RENAME TO {name}_before_seq_seq")
    op.execute(f"ALTER TABLE raw.{name} RENAME TO {name}_before")
    for index in ("tenant_id_source_idx", "received_at_idx"):
        op.execute(f"DROP INDEX IF EXISTS raw.{name}_{index}")


def move_into_partitions(name: str) -> None:
    op.execute(
        f"SELECT raw.ensure_month('{name}', {SEVEN_YEARS}, month) FROM ("
        f"SELECT DISTINCT date_trunc('month', received_at, 'UTC') AS month FROM raw.{name}_before) AS received"
    )
    move(name)


def move(name: str) -> None:
    """Rows keep their number, and those to come begin behind them."""
    columns = ", ".join(BEFORE[name])
    op.execute(
        f"INSERT INTO raw.{name} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {columns} FROM raw.{name}_before ORDER BY seq"
    )
    op.execute(
        f"SELECT setval(pg_get_serial_sequence('raw.{name}', 'seq'), max(seq)) FROM raw.{name} HAVING count(*) > 0"
    )


def fill_keys(name: str) -> None:
    op.execute(f"ALTER TABLE {KEYS[name]} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        f"INSERT INTO {KEYS[name]} (tenant_id, source, event_id, received_at)"
        f" SELECT tenant_id, source, event_id, received_at FROM raw.{name}"
    )
    op.execute(f"ALTER TABLE {KEYS[name]} FORCE ROW LEVEL SECURITY")


def fill_sticky_assignments() -> None:
    """The earliest assignment of each unit holds, as it did; those of refused landings never counted."""
    for table in ("sticky_assignments", "landings"):
        op.execute(f"ALTER TABLE raw.{table} NO FORCE ROW LEVEL SECURITY")
    op.execute(
        """
        INSERT INTO raw.sticky_assignments
            (tenant_id, experiment, bucket_version, unit_id, variant, assigned_at, source)
        SELECT DISTINCT ON (received.tenant_id, received.experiment, received.unit_id)
            received.tenant_id, received.experiment, 0, received.unit_id, received.variant, received.occurred_at,
            received.source
        FROM raw.assignments AS received
        LEFT JOIN raw.landings ON
            landings.tenant_id = received.tenant_id AND landings.landing_id = received.landing_id
        WHERE received.experiment ~ '^[A-Za-z0-9._-]{1,100}$' AND landings.accepted IS NOT FALSE
        ORDER BY received.tenant_id, received.experiment, received.unit_id, received.occurred_at, received.source,
            received.variant
        """
    )
    for table in ("sticky_assignments", "landings"):
        op.execute(f"ALTER TABLE raw.{table} FORCE ROW LEVEL SECURITY")


def hold(table: str) -> None:
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change()"
    )


def create_view(query: str, columns: Mapping[str, str], grain: str) -> None:
    # The view reads as its owner, whose own policy is that of the session's tenant: security is forced.
    op.execute(f"CREATE VIEW serving.unit_assignments WITH (security_barrier) AS {query}")
    op.execute(
        "COMMENT ON VIEW serving.unit_assignments IS 'Assignments of units to variants, of the tenant of the"
        f" session, pipeline included. {grain}'"
    )
    for column, comment in columns.items():
        op.execute(f"COMMENT ON COLUMN serving.unit_assignments.{column} IS '{comment}'")
    op.execute(f"GRANT SELECT ON serving.unit_assignments TO {PIPELINE}, {API}, {ANALYST}")


def downgrade() -> None:
    op.execute(f"REVOKE USAGE ON SCHEMA ops FROM {API}")
    op.execute("DROP VIEW serving.unit_assignments")
    for table in ("ops.idempotency_keys", *reversed(NEVER_CHANGED)):
        drop_table(table)
    for name in PARTITIONED:
        set_aside(name)
    create_whole_tables()
    for name in PARTITIONED:
        op.execute(f"ALTER TABLE raw.{name} NO FORCE ROW LEVEL SECURITY")
        move(name)
        drop_table(f"raw.{name}_before")
        hold(f"raw.{name}")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {signature}")
    op.execute(REFUSE_CHANGE.format(form="raw.%", name="TG_TABLE_NAME"))
    create_view(
        "SELECT tenant_id, unit_id, experiment, variant, occurred_at AS assigned_at, source FROM raw.assignments",
        {name: VIEW_COLUMNS[name] for name in list(VIEW_COLUMNS)[:6]},
        "Grain: one row per received assignment.",
    )


def create_whole_tables() -> None:
    """The tables as they were, from revision 0003."""
    create_table(
        "raw.events",
        *envelope(sequence_number("order of arrival in this table; gaps are normal, a duplicate uses up a number")),
        sa.UniqueConstraint("tenant_id", "source", "event_id", name="events_grain"),
        comment="Events as received",
        grain="one row per tenant, source and event_id; a second one with the same id is not stored",
        **APPENDED_ONLY,
    )
    create_table(
        "raw.assignments",
        *envelope(sequence_number("order of arrival in this table; gaps are normal, a duplicate uses up a number")),
        *assigned(),
        sa.UniqueConstraint("tenant_id", "source", "event_id", name="assignments_grain"),
        comment="Assignments of units to variants as received; a unit may have many",
        grain="one row per tenant, source and event_id; a second one with the same id is not stored",
        **APPENDED_ONLY,
    )
    create_table(
        "raw.quarantine",
        *refused(sequence_number("order of arrival in this table")),
        comment="Records that were refused, kept so that their sender can mend them",
        grain="one row per refused record",
        **APPENDED_ONLY,
    )
    create_index("raw.events", "tenant_id", "type")
    create_index("raw.events", "received_at")
    create_index("raw.assignments", "tenant_id", "experiment")
    create_index("raw.assignments", "tenant_id", "unit_id")
    create_index("raw.assignments", "received_at")
    create_index("raw.quarantine", "tenant_id", "source")
