"""Declared experiments and their served results."""
