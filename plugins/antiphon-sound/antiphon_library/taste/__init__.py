"""Listener's taste: signals, co-played tracks, and recommendations.

May import the catalogue (`antiphon_library`).
"""
