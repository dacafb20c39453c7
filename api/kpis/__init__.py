"""Served gaps, ranks and allocations of KPIs."""
