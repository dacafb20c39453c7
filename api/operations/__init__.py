"""Liveness, readiness and metrics: the only routes that answer without a key."""
