"""OSC: from packets to handlers, and the table of all addresses.

May import `session`, `graph`, `engine.link`, `wire`, `io` and parts of `control`. Handlers declare the parts of the
server that they use as a protocol.
"""
