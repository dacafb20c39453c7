"""Raw records: appended by the API and by file landing, changed by nobody."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import (
    count,
    create_index,
    create_table,
    drop_table,
    flag,
    instant,
    json,
    sequence_number,
    tenant_id,
    text,
)

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = ("events", "assignments", "quarantine", "landings")


def envelope() -> list[sa.Column[Any]]:
    """The columns that every record has, in the order in which they are received."""
    return [
        sequence_number("order of arrival in this table; gaps are normal, a duplicate uses up a number"),
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


def upgrade() -> None:
    create_table(
        "raw.events",
        *envelope(),
        sa.UniqueConstraint("tenant_id", "source", "event_id", name="events_grain"),
        comment="Events as received",
        grain="one row per tenant, source and event_id; a second one with the same id is not stored",
        pipeline=("SELECT", "INSERT"),
        api=("INSERT",),
    )
    create_table(
        "raw.assignments",
        *envelope(),
        text("experiment", "key of the experiment"),
        text("variant", "the variant that the unit was given"),
        sa.UniqueConstraint("tenant_id", "source", "event_id", name="assignments_grain"),
        comment="Assignments of units to variants as received; a unit may have many",
        grain="one row per tenant, source and event_id; a second one with the same id is not stored",
        pipeline=("SELECT", "INSERT"),
        api=("INSERT",),
    )
    create_table(
        "raw.quarantine",
        sequence_number("order of arrival in this table"),
        tenant_id(),
        text("source", "where the record came from"),
        text("landing_id", "the file landing that brought it; null: it came over HTTP", null=True),
        count("row_number", "position of the record in its file or request, from 1", null=True),
        text("code", "machine-readable reason"),
        text("reason", "the reason in words"),
        text("record", "the record as it was, as JSON text"),
        instant("received_at", "when it arrived here, by our clock", now=True),
        comment="Records that were refused, kept so that their sender can mend them",
        grain="one row per refused record",
        pipeline=("SELECT", "INSERT"),
        api=("INSERT",),
    )
    create_table(
        "raw.landings",
        tenant_id(),
        text("landing_id", "id of the landing"),
        text("source", "the source that was landed"),
        text("mode", "append: new rows join the old; snapshot: the file replaces what the source said before"),
        text("content_hash", "hash of the content that was read"),
        flag("accepted", "whether the file's rows were stored"),
        count("events", "rows stored in raw.events"),
        count("assignments", "rows stored in raw.assignments"),
        count("quarantined", "rows stored in raw.quarantine"),
        count("duplicates", "rows that were there already"),
        instant("received_at", "when the file was landed, by our clock", now=True),
        sa.PrimaryKeyConstraint("tenant_id", "landing_id"),
        sa.CheckConstraint("mode IN ('append', 'snapshot')", name="landings_mode"),
        comment="Files and simulations that were landed",
        grain="one row per tenant and landing",
        pipeline=("SELECT", "INSERT"),
    )
    create_index("raw.events", "tenant_id", "type")
    create_index("raw.events", "received_at")
    create_index("raw.assignments", "tenant_id", "experiment")
    create_index("raw.assignments", "tenant_id", "unit_id")
    create_index("raw.assignments", "received_at")
    create_index("raw.quarantine", "tenant_id", "source")
    create_index("raw.landings", "tenant_id", "source")

    # Without a privilege nobody but the owner could change a row; the trigger holds the owner back as well.
    op.execute(
        """
        CREATE FUNCTION raw.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'raw.% is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'insufficient_privilege';
        END $$
        """
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON raw.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        drop_table(f"raw.{table}")
    op.execute("DROP FUNCTION raw.refuse_change()")
