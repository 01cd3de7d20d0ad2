"""Training of the weights. Never imported while sound plays.

    antiphon train denoise                  weights/denoise-mask: recipe.py and the modules beside it
    antiphon train denoise-mask-file        weights/denoise-mask-file, for files: recipe.py
    antiphon train denoise-gate             weights/denoise-gate, the gate's and the wavelets': gate.py

All use the same material.
"""

RATE = 48000
"""Sample rate of all material, Hz."""
