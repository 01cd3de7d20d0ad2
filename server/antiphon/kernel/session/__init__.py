"""Control's state as pure code: commands go in, effects come out; scenes, set lists, notes, the schedule.

May import `graph`, `contract`, `runtime` and `wire`. No sockets, no asyncio, no engine.
"""
