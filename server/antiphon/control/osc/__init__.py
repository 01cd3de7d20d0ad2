"""OSC: from packets to handlers, and back to whoever subscribed.

May import `session`, `graph`, `engine.link`, `wire` and `io`. Handlers are functions of the application and of what came.
"""
