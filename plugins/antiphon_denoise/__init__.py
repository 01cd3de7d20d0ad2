"""The denoiser: takes steady and passing noise away from music, speech and loops."""

from __future__ import annotations

from antiphon.hookspecs import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `denoise`."""
    register("denoise", "antiphon_denoise.processor:Denoise", "Takes noise away: spectral gate or wavelet shrinkage.")
