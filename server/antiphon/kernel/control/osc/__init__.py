"""OSC: from packets to handlers, and the table of all addresses.

May import `session`, `graph`, `engine.link`, `wire`, `io` and parts of `control`. Handlers declare their server
dependencies as a protocol.
"""
