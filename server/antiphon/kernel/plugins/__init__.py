"""Finds plugins, checks each, collects the registrations of their hooks, and calls hooks in every process.

May import `graph`, `contract`, `workers` (a pool for the check) and `runtime`.
"""
