"""Decisions that people take about experiments: held against the declared rule, and kept on record."""
