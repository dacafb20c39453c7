"""Deterministic assignment of units to variants."""
