"""Tried approaches that lost to a simpler one of the same plugin: network and training, without weights.

Each module's docstring has the row that it got in its plugin's table; `antiphon train tried-NAME` makes the network
again and ends with its figures on material that was held back. May import what the other models are made of.
"""
