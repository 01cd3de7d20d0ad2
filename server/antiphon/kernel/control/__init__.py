"""Control process: everything between the sockets and the engine. It never touches samples.

May import `engine`, `session`, `graph`, `workers`, `io` and below. `app` creates and connects the parts; none imports
it.
"""
