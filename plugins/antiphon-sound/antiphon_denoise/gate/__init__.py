"""The spectral gate in kernels: noise estimate and thresholds by a small network, its limits, openers, noise profile.

May import `antiphon.api`, `bands`, `band_means` and `wavelet` beside it; runs in the engine, without torch.
"""
