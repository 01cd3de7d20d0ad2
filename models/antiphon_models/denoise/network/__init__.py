"""The denoiser's learned modes as torch networks in `mask`, and their common features.

Workers import them by the name in `antiphon_denoise.learned`; may import torch, `antiphon.api` and the
plugin's description of the stream.
"""
