"""Finds plugins, checks each, gathers what their hooks register, and calls hooks in every process.

May import `graph`, `contract`, `workers` (a pool for the check) and `runtime`.
"""
