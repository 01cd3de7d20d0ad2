"""The measurement of `identify`: tracks that are rendered, what happens to a sound on its way, and a peer.

May import `antiphon_identify`, `material` and `learning`, and no other model.
"""
