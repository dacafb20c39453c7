"""One schema for each stage of the road, registry and ops, and who may enter them.

The roles themselves belong to the server, not to this database: `causeway migrate` makes them first.
"""

from alembic import op

from migrations.tenancy import ANALYST, API, PIPELINE

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMAS = {
    "registry": "What users declare: tenants, keys, experiments, studies, features, sources.",
    "raw": "Events, assignments and rejected records, as received; only ever appended to.",
    "events": "Typed, de-duplicated events and exposures; made by dbt.",
    "experiments": "Declared experiments, first exposures, unit metrics, sufficient statistics, health.",
    "features": "Covariates of units as of a time; made by dbt.",
    "models": "Trained models and what is known about them.",
    "twins": "Predicted outcomes of units under control.",
    "estimates": "Effects, with their uncertainty and their status.",
    "decisions": "What the rules make of the estimates.",
    "serving": "The only thing that the API and dashboards read.",
    "ops": "How every materialised partition was made.",
}
MADE_BY_DBT = ("events", "experiments", "features", "serving")


def upgrade() -> None:
    for schema, comment in SCHEMAS.items():
        op.execute(f"CREATE SCHEMA {schema}")
        op.execute(f"COMMENT ON SCHEMA {schema} IS '{comment}'")
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {PIPELINE}")
    for schema in MADE_BY_DBT:
        op.execute(f"GRANT CREATE ON SCHEMA {schema} TO {PIPELINE}")
    op.execute(f"GRANT USAGE ON SCHEMA registry, raw, serving TO {API}")
    op.execute(f"GRANT USAGE ON SCHEMA serving TO {ANALYST}")


def downgrade() -> None:
    # dbt's tables lie in these schemas too; they are derived, and go with them.
    for schema in reversed(SCHEMAS):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
