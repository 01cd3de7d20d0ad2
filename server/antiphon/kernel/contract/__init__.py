"""The interface of processors and plugins: blocks, ports, parameters, the `Processor` base class, and the hooks.

May import `errors`, `native`, `runtime` and `signal`. Every other room may import it.
"""
