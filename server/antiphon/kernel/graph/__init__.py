"""Patches, graphs and plans: TOML is read into a graph, and a graph is compiled into the steps that compute a block.

May import `contract`, `wire`, `native` and `runtime`. No sockets, no asyncio.
"""
