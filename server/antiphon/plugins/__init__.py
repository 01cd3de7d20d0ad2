"""Finds plugins, checks each, and gathers what their hooks register.

May import `graph`, `contract`, `workers` (a pool for the check) and `runtime`.
"""
