"""A live script beside a server: processes that perform it, and the process that sends what they give, by beats.

`child` performs, within `limits`; `branch` is such a process seen from outside; `player` holds two of them and what
they gave, and decides what is sent when; `wire` is the connection to the server; `performing` joins them.
"""
