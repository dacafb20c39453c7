"""The registry: tenants, their keys, and what they declare."""

import sqlalchemy as sa

from migrations.tenancy import create_table, drop_table, instant, json, tenant_id, text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DECLARED = {
    "sources": "Declared sources of events",
    "experiments": "Declared experiments",
    "studies": "Declared observational studies",
    "features": "Declared features of units",
}
PIPELINE_KEEPS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def belongs_to_a_tenant() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["registry.tenants.tenant_id"])


def upgrade() -> None:
    create_table(
        "registry.tenants",
        tenant_id(),
        instant("created_at", "when the tenant was made", now=True),
        sa.PrimaryKeyConstraint("tenant_id"),
        comment="The tenants of this installation",
        grain="one row per tenant",
        pipeline=("SELECT", "INSERT"),
        api=("SELECT",),
    )
    create_table(
        "registry.principals",
        tenant_id(),
        text("key_id", "the public part of the key, between the tenant and the secret"),
        text("key_hash", "sha256 of the whole key, in hex; the key itself is shown once and stored nowhere"),
        text("role", "what the holder may do, such as developer"),
        instant("created_at", "when the key was made", now=True),
        instant("expires_at", "when the key ceases to hold; null: never", null=True),
        sa.PrimaryKeyConstraint("tenant_id", "key_id"),
        sa.CheckConstraint("key_hash ~ '^[0-9a-f]{64}$'", name="principals_key_hash_form"),
        belongs_to_a_tenant(),
        comment="Those who may call the API, by key",
        grain="one row per tenant and key",
        api=("SELECT",),
    )
    for name, comment in DECLARED.items():
        create_table(
            f"registry.{name}",
            tenant_id(),
            text("key", "the declaration's key, unique in its kind and tenant"),
            json("declaration", "the validated declaration"),
            text(
                "declaration_hash",
                "hash of the validated declaration; part of the data version of its partition",
            ),
            instant("declared_at", "when this version was declared", now=True),
            sa.PrimaryKeyConstraint("tenant_id", "key"),
            belongs_to_a_tenant(),
            comment=f"{comment}, as they stand now",
            grain="one row per tenant and key",
            pipeline=PIPELINE_KEEPS,
            api=("SELECT",),
        )
    create_table(
        "registry.declaration_versions",
        tenant_id(),
        text("kind", "experiment, study, feature or source"),
        text("key", "the declaration's key"),
        text("declaration_hash", "hash of the validated declaration"),
        json("declaration", "the validated declaration"),
        instant("declared_at", "when this version came into force", now=True),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "key", "declared_at"),
        belongs_to_a_tenant(),
        comment="Every version that a declaration ever had, so that an old result can be made again",
        grain="one row per tenant, kind, key and moment at which a version came into force",
        pipeline=("SELECT", "INSERT"),
        api=("SELECT",),
    )


def downgrade() -> None:
    drop_table("registry.declaration_versions")
    for name in reversed(DECLARED):
        drop_table(f"registry.{name}")
    drop_table("registry.principals")
    drop_table("registry.tenants")
