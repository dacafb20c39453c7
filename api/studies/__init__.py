"""Served results of observational studies."""
