"""Performs live scripts on a server: performing processes, and the process that sends their events by beats.

`child` performs, within `limits`; `branch` is the player's end of such a process; `player` has two of them and their
events, and decides when events are sent; `wire` is the connection to the server; `performing` combines them.
`strip_ports` plays the strips of a server at JACK ports.
"""
