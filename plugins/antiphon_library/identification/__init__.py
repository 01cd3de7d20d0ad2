"""Which catalogued sound a recording is: landmarks, their index, the search.

May import the catalogue (`antiphon_library`).
"""
