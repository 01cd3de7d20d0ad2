"""What a processor is: blocks, ports, parameters, the `Processor` base class, and the hooks a plugin implements.

May import `errors`, `native` and `runtime`. Every other room may import it; it knows none of them.
"""
