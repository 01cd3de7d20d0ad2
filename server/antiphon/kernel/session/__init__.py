"""Control's state as pure code: commands in, effects out; scenes, set lists, notes, the schedule.

May import `graph`, `contract`, `runtime` and `wire`. No sockets, no asyncio, no engine.
"""
