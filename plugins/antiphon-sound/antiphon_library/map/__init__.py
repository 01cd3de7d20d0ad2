"""The catalogue in two dimensions, as places and as a picture.

May import the catalogue (`antiphon_library`) and `taste`.
"""
