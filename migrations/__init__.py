"""The database as it is laid out: schemas, registry, raw, stage tables, provenance, and who may touch
what.
"""
