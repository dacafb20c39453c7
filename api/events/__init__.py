"""Ingestion of events over HTTP."""
