"""Classifiers for clients: processes of low priority that are asked one sound at a time, and the queue before them.

The web process holds neither numpy nor decoders; a sound or a network that fails must end neither it nor what plays.
"""
