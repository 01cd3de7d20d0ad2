"""The handlers of OSC addresses, a module each group; `addresses` says what each does.

Each takes the server (`served.OscServer`), the sender, the arguments and the time. It raises `AntiphonError`, whose
text answers the sender.
"""
