"""OSC: from packets to handlers, and back to whoever subscribed.

May import `session`, `graph`, `engine.link`, `wire`, `io` and parts of `control`. Handlers say by a protocol what they
use.
"""
