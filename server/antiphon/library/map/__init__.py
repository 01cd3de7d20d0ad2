"""The catalogue in two dimensions, as places and as a picture.

May import the catalogue (`antiphon.library`) and `taste`.
"""
