"""Live scripts beside a server: performing processes, and the process that sends their events by beats.

`child` performs, within `limits`; `branch` is such a process seen from outside; `player` holds two of them and what
they gave, and decides what is sent when; `wire` is the connection to the server; `performing` joins them.
`strip_ports` plays the strips of a server at JACK ports.
"""
