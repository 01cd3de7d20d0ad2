"""The handlers of OSC addresses, a module each group; `addresses` lists them.

A handler takes the message's arguments and the parts of the server it uses, which it declares as a protocol.
"""
