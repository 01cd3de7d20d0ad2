"""The interface of processors and plugins: blocks, ports, parameters, the `Processor` base class, and the hooks.

May import `errors`, `native` and `runtime`. Every other room may import it.
"""
