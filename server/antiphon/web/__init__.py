"""The process that serves HTTP, OSCQuery and the page. It asks control for its data; its end does not affect the sound.

May import `plugins`, `graph`, `io`, `wire`, `contract` and `runtime`; no room but `cli` imports it.
"""
