"""How the weights were made. Nothing here is imported while sound plays.

    antiphon train denoise                  models/denoise-mask: recipe.py, with what lies beside it
    antiphon train denoise-autoencoder      models/denoise-autoencoder: recipe_autoencoder.py, on the same material

models/denoise-gate, the gate's and the wavelets', is older, and made by what needs jax and optax:

    python -m antiphon_denoise.training.corpus DATA CORPUS      needs fluidsynth, espeak-ng, mido
    python -m antiphon_denoise.training.train DATA CORPUS OUT.safetensors --minutes 60
    python -m antiphon_denoise.training.install OUT.safetensors      into models/, with its checksum
"""
