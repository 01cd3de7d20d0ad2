"""The spectral gate: noise estimate and thresholds by a small network of numpy, its limits, openers and noise profile.

May import the server, `bands` and `spectrum` beside it; runs in the engine, without torch.
"""
