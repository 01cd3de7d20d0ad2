"""From a patch to a plan: TOML is read into a graph, the graph is compiled into the steps that play a block.

May import `contract`, `wire`, `native` and `runtime`. No sockets, no asyncio.
"""
