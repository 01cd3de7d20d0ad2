"""Identification of recordings against the catalogue: landmarks, their index, the search.

May import the catalogue (`antiphon_library`).
"""
