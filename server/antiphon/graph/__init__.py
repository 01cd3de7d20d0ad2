"""From a patch to a plan: TOML is read into a graph, the graph is compiled into the steps that play a block.

May import `contract`, `native`, `runtime` and, for the error of a lost worker, `workers.spec`. No sockets, no asyncio.
"""
