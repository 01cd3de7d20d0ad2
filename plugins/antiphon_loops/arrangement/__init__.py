"""Which loops play together and when, and the process that makes them ready: arrangement, rules, stretching.

May import the server, `analysis`, `library` and `record`.
"""
