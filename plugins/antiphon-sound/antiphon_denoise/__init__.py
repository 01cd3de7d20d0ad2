"""The denoiser: removes steady and passing noise from music, speech and loops."""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `denoise`."""
    register(
        "denoise",
        "antiphon_denoise.processor:Denoise",
        "Less hiss, rain, engines, mains hum (50 or 60 Hz) in a recording.",
    )


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers the networks of the learned modes."""
    register("denoise-mask", "antiphon_denoise.learned:mask", "Gains of a spectrum's bins, for `denoise`.")
    register("denoise-autoencoder", "antiphon_denoise.learned:autoencoder", "The same, by way of few numbers.")
    register("denoise-deepfilter", "antiphon_denoise.deepfilter:deepfilter", "DeepFilterNet 3: speech without noise.")
