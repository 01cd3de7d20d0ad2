"""Synth backends: their interface and registry, and the silent one; the others are plugins.

May import `plugins`, `session`, `graph`, `workers`, `io`, `wire`, `contract`, `native` and `runtime`.
"""
