"""How the weights of `models/denoise-gate.safetensors` were made. Nothing here is imported by the plugin.

python -m antiphon_denoise.training.corpus DATA CORPUS      needs fluidsynth, espeak-ng, mido
python -m antiphon_denoise.training.train DATA CORPUS OUT.safetensors --minutes 60      needs jax, optax
python -m antiphon_denoise.training.install OUT.safetensors      into models/, with its checksum
"""
