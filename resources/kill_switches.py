"""Experiments that are switched off from inside the house, as by ``PUT /v1/kill_switches/{key}``."""

import json

from resources.postgres_client import PostgresTransaction


def engage(transaction: PostgresTransaction, tenant: str, experiment: str, *, actor: str, reason: str) -> bool:
    """Switch an experiment off, with a line in the audit log; False if it was off already, which stays as it was."""
    engaged = transaction.execute(
        "INSERT INTO registry.kill_switches (tenant_id, key, engaged_by, reason) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (tenant, experiment, actor, reason),
    )
    if engaged:
        transaction.execute(
            "INSERT INTO ops.audit (tenant_id, actor, action, subject, details)"
            " VALUES (%s, %s, 'kill_switch.engaged', %s, %s::jsonb)",
            (tenant, actor, experiment, json.dumps({"reason": reason})),
        )
    return bool(engaged)
