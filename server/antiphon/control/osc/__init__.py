"""OSC: from packets to handlers, and back to whoever subscribed.

May import `session`, `graph`, `engine.link`, `wire` and `io`. Handlers take the application and what came.
"""
