"""Training of the weights. Never imported while sound plays.

    antiphon train denoise                  weights/denoise-mask: recipe.py, with what lies beside it
    antiphon train denoise-mask-file        weights/denoise-mask-file, of files: recipe.py
    antiphon train denoise-gate             weights/denoise-gate, the gate's and the wavelets': gate.py

All on the same material.
"""

RATE = 48000
"""Sample rate of all material, Hz."""
