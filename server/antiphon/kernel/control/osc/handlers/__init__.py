"""Handlers of OSC addresses, one module a group; `addresses` documents each.

Each takes the server (`served.OscServer`), the sender, the arguments and the time. It raises `AntiphonError`, whose
text is sent to the sender.
"""
