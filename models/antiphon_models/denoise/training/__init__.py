"""How the weights were made. Nothing here is imported while sound plays.

    antiphon train denoise                  models/denoise-mask: recipe.py, with what lies beside it
    antiphon train denoise-gate             models/denoise-gate, the gate's and the wavelets': recipe_gate.py
    antiphon train denoise-autoencoder      models/denoise-autoencoder: recipe_autoencoder.py

All three on the same material.
"""
