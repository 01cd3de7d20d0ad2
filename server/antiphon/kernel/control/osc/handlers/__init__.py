"""Handlers of OSC addresses, one module a group. An `AntiphonError` of theirs is sent to the sender."""
