"""How `weights.npy` was made. Nothing here is imported by the plugin.

python -m antiphon_denoise.training.corpus DATA CORPUS      needs fluidsynth, espeak-ng, mido
python -m antiphon_denoise.training.train DATA CORPUS OUT.npy --minutes 60      needs jax, optax
"""
