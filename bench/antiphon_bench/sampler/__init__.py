"""`antiphon bench sampler`."""
