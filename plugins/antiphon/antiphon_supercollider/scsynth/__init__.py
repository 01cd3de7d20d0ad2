"""scsynth processes: start, connection, supervision and cleanup, their assets, and the JACK bridge to their sound.

May import `voices` and `antiphon.api`, and no other module of the plugin.
"""
