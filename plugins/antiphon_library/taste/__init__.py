"""What a listener likes: signals, who plays what with what, and which tracks come next.

May import the catalogue (`antiphon_library`).
"""
