"""The process that serves HTTP, OSCQuery and the page: it asks control as a surface does, and may die unheard.

May import `plugins`, `graph`, `io`, `wire`, `contract` and `runtime`; no room but `supervisor` and `cli` imports it.
"""
