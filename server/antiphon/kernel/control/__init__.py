"""The control process: everything between the sockets and the engine. It never touches samples.

May import `engine`, `session`, `graph`, `workers`, `io` and below. `app` makes the parts and joins them; none imports
it.
"""
