"""Units that are erased for good, and what lets derived tables be kept up to date by what changed alone."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import (
    PIPELINE,
    count,
    create_table,
    drop_table,
    instant,
    sequence_number,
    tenant_id,
    text,
)

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ERASE_UNIT = "raw.erase_unit(text, text, text, text)"
LANDED = ("events", "assignments")

# The owner is held back like anybody else, but for the function that erases one unit.
REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION raw.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN{exception}
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$
"""
ERASING = """
    IF TG_OP = 'DELETE' AND current_user = 'causeway_owner'
        AND coalesce(current_setting('causeway.erasing', true), '') <> ''
        AND TG_TABLE_NAME IN ('events', 'assignments', 'quarantine', 'sticky_assignments') THEN
        RETURN NULL;
    END IF;"""

# A refused record may be anything; one that is JSON and says the unit's name anywhere on its top level goes.
FUNCTION = """
CREATE FUNCTION raw.erase_unit(tenant text, unit text, reason text, by text)
RETURNS TABLE (relation text, rows bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp SET timezone TO 'UTC' AS $$
DECLARE
    session text := coalesce(current_setting('app.tenant_id', true), '');
    erased jsonb := '{}';
BEGIN
    PERFORM set_config('app.tenant_id', tenant, true);
    PERFORM set_config('causeway.erasing', unit, true);
    FOREACH relation IN ARRAY ARRAY['raw.events', 'raw.assignments', 'raw.sticky_assignments', 'raw.quarantine'] LOOP
        EXECUTE format('DELETE FROM %s AS kept WHERE kept.tenant_id = $1 AND %s', relation, CASE relation
            WHEN 'raw.quarantine' THEN
                'CASE WHEN pg_input_is_valid(kept.record, ''jsonb'')'
                ' THEN jsonb_path_exists(kept.record::jsonb, ''$.* ? (@ == $unit)'', jsonb_build_object(''unit'', $2))'
                ' END'
            ELSE 'kept.unit_id = $2'
        END) USING tenant, unit;
        GET DIAGNOSTICS rows = ROW_COUNT;
        erased := erased || jsonb_build_object(relation, rows);
        RETURN NEXT;
    END LOOP;
    PERFORM set_config('causeway.erasing', '', true);
    INSERT INTO raw.erasures (tenant_id, unit_id, reason, erased_by)
    VALUES (tenant, unit, erase_unit.reason, erase_unit.by);
    INSERT INTO ops.audit (tenant_id, actor, action, subject, details)
    VALUES (tenant, erase_unit.by, 'erase_unit', unit, erased || jsonb_build_object('reason', erase_unit.reason));
    PERFORM set_config('app.tenant_id', session, true);
END $$
"""


def partition_key() -> sa.Column[Any]:
    return text("partition_key", "the partition as tenant|key; empty: the relation has none")


def upgrade() -> None:
    create_table(
        "raw.erasures",
        sequence_number("order of the erasures"),
        tenant_id(),
        text("unit_id", "the unit whose records were deleted"),
        instant("erased_at", "when they were, by our clock", now=True),
        text("reason", "why, in words"),
        text("erased_by", "who asked for it"),
        comment="Units whose records were deleted for good, so that what was derived from them goes as well",
        grain="one row per erasure of a unit",
        pipeline=("SELECT",),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON raw.erasures"
        " FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change()"
    )
    op.execute("CREATE INDEX erasures_erased_at_idx ON raw.erasures (erased_at)")
    op.execute(REFUSE_CHANGE.format(exception=ERASING))
    op.execute(FUNCTION)
    op.execute(f"REVOKE ALL ON FUNCTION {ERASE_UNIT} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {ERASE_UNIT} TO {PIPELINE}")
    # Of a landing that was restated all records are looked up at once. What came over HTTP is in neither index.
    for name in LANDED:
        op.execute(
            f"CREATE INDEX {name}_landing_id_idx ON raw.{name} (tenant_id, landing_id) WHERE landing_id IS NOT NULL"
        )
    create_table(
        "ops.table_states",
        tenant_id(),
        text("relation", "the table, as stage.name"),
        partition_key(),
        text("made_from", "hash of the code and the declarations that it was made from"),
        instant("known_at", "records that arrived later are not in it"),
        count("row_count", "rows of the partition"),
        sa.Column("hash_sum", sa.Numeric, nullable=False, comment="sum of the hashes of these rows"),
        sa.PrimaryKeyConstraint("relation", "partition_key"),
        comment="Up to where each incremental table has been made, written in the transaction that made it",
        grain="one row per relation and partition",
        pipeline=("SELECT", "INSERT", "UPDATE", "DELETE"),
    )
    create_table(
        "ops.changed_days",
        tenant_id(),
        text("experiment", "key of the experiment"),
        sa.Column("day", sa.Date, nullable=False, comment="UTC day on which a unit's value was, or is now, another"),
        sa.PrimaryKeyConstraint("tenant_id", "experiment", "day"),
        comment="Days whose daily statistics are to be made again; whoever makes them deletes them",
        grain="one row per tenant, experiment and day",
        pipeline=("SELECT", "INSERT", "DELETE"),
    )


def downgrade() -> None:
    drop_table("ops.changed_days")
    drop_table("ops.table_states")
    for name in LANDED:
        op.execute(f"DROP INDEX raw.{name}_landing_id_idx")
    op.execute(f"DROP FUNCTION {ERASE_UNIT}")
    drop_table("raw.erasures")
    op.execute(REFUSE_CHANGE.format(exception=""))
