"""What is evaluated beside experiments, the life cycle of experiments, and the word that the registry changed."""

import sqlalchemy as sa
from alembic import op

from migrations.tenancy import API, PIPELINE, create_table, drop_table, instant, json, tenant_id, text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DECLARED = {
    "flags": "Declared flags",
    "layers": "Declared layers, with the buckets of their experiments",
    "saved_groups": "Declared lists of values that conditions ask for",
}
PIPELINE_KEEPS = ("SELECT", "INSERT", "UPDATE", "DELETE")
GAIN_A_FILE = ("experiments", "studies", "features", "sources")
# What the API keeps in memory is read again when one of these changes.
ANNOUNCED = ("experiments", *DECLARED, "event_types", "kill_switches")


def belongs_to_a_tenant() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["registry.tenants.tenant_id"])


def declared_in() -> sa.Column[str]:
    return text("declared_in", "file that declares it, below declarations/; null: it was declared over HTTP", null=True)


def whole_number(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, comment=comment)


def upgrade() -> None:
    for name in GAIN_A_FILE:
        op.add_column(name, declared_in(), schema="registry")
    for name, comment in DECLARED.items():
        create_table(
            f"registry.{name}",
            tenant_id(),
            text("key", "the declaration's key, unique in its kind and tenant"),
            json("declaration", "the validated declaration"),
            text("declaration_hash", "hash of the validated declaration"),
            instant("declared_at", "when this version was declared", now=True),
            declared_in(),
            sa.PrimaryKeyConstraint("tenant_id", "key"),
            belongs_to_a_tenant(),
            comment=f"{comment}, as they stand now",
            grain="one row per tenant and key",
            pipeline=PIPELINE_KEEPS,
            api=("SELECT",),
        )
    create_table(
        "registry.event_types",
        tenant_id(),
        text("key", "the type of the events"),
        whole_number("version", "version of the schema; older ones stay accepted"),
        json("declaration", "the validated declaration"),
        text("declaration_hash", "hash of the validated declaration"),
        instant("declared_at", "when this version was declared", now=True),
        declared_in(),
        sa.PrimaryKeyConstraint("tenant_id", "key", "version"),
        belongs_to_a_tenant(),
        comment="Declared event types, in every version that they ever had",
        grain="one row per tenant, key and version",
        pipeline=PIPELINE_KEEPS,
        api=("SELECT",),
    )
    create_table(
        "registry.kill_switches",
        tenant_id(),
        text("key", "key of the flag or experiment that is switched off"),
        instant("engaged_at", "when it was switched off", now=True),
        text("engaged_by", "who did it: the public part of the caller's key"),
        text("reason", "why, in their words", null=True),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
        belongs_to_a_tenant(),
        comment="Flags and experiments that are switched off at once, whatever their declaration says",
        grain="one row per tenant and key that is switched off now",
        pipeline=("SELECT",),
        api=("SELECT", "INSERT", "UPDATE", "DELETE"),
    )
    create_table(
        "registry.life_cycle",
        tenant_id(),
        text("experiment", "key of the experiment"),
        text("status", "draft, running, paused, stopped or archived"),
        whole_number("version", "version of the experiment from then on"),
        instant("at", "when it came to this status and version", now=True),
        text("by", "who did it: a file below declarations/, or the public part of the caller's key"),
        sa.PrimaryKeyConstraint("tenant_id", "experiment", "at"),
        sa.CheckConstraint(
            "status IN ('draft', 'running', 'paused', 'stopped', 'archived')", name="life_cycle_status_known"
        ),
        belongs_to_a_tenant(),
        comment="When each experiment came to each status and version",
        grain="one row per tenant, experiment and change of its status or version",
        pipeline=("SELECT", "INSERT"),
        api=("SELECT", "INSERT"),
    )
    # An experiment that is declared over HTTP ends where one from a file does.
    op.execute(f"GRANT INSERT, UPDATE ON registry.experiments TO {API}")
    op.execute(f"GRANT INSERT ON registry.declaration_versions TO {API}")
    op.execute(
        "COMMENT ON COLUMN registry.declaration_versions.kind IS"
        " 'experiment, study, feature, source, flag, layer, saved_group or event_type'"
    )
    _announce_changes()


def _announce_changes() -> None:
    """Tell the channel registry_changed the tenant of every changed row; of equal words one is sent a transaction."""
    op.execute(
        """
        CREATE FUNCTION registry.announce_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('registry_changed', coalesce(NEW.tenant_id, OLD.tenant_id));
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        "COMMENT ON FUNCTION registry.announce_change() IS"
        " 'Sends the tenant of a changed row to the channel registry_changed, so that whoever keeps it reads it again'"
    )
    # Row-level security and grants are on the tables; the function itself gives nothing away.
    op.execute(f"GRANT EXECUTE ON FUNCTION registry.announce_change() TO {PIPELINE}, {API}")
    for name in ANNOUNCED:
        op.execute(
            f"CREATE TRIGGER announce_change AFTER INSERT OR UPDATE OR DELETE ON registry.{name}"
            " FOR EACH ROW EXECUTE FUNCTION registry.announce_change()"
        )


def downgrade() -> None:
    op.execute("DROP TRIGGER announce_change ON registry.experiments")
    op.execute("COMMENT ON COLUMN registry.declaration_versions.kind IS 'experiment, study, feature or source'")
    op.execute(f"REVOKE INSERT ON registry.declaration_versions FROM {API}")
    op.execute(f"REVOKE INSERT, UPDATE ON registry.experiments FROM {API}")
    for name in ("life_cycle", "kill_switches", "event_types", *reversed(DECLARED)):
        drop_table(f"registry.{name}")
    op.execute("DROP FUNCTION registry.announce_change()")
    for name in reversed(GAIN_A_FILE):
        op.drop_column(name, "declared_in", schema="registry")
