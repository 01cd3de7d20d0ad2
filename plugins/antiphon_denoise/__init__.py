"""The denoiser: takes steady and passing noise away from music, speech and loops."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_processors(register: Register) -> None:
    """Registers `denoise`."""
    register("denoise", "antiphon_denoise.processor:Denoise", "Takes noise away: learned mask, gate or wavelets.")


@hookimpl
def antiphon_models(register: Register) -> None:
    """Registers the networks of the learned modes."""
    register("denoise-mask", "antiphon_denoise.learned:mask", "Gains of a spectrum's bins, for `denoise`.")
    register("denoise-autoencoder", "antiphon_denoise.learned:autoencoder", "The same, by way of few numbers.")


@hookimpl
def antiphon_trainings(register: Register) -> None:
    """Registers the trainings of the three networks."""
    register("denoise", "antiphon_denoise.training.recipe:MaskRecipe", "The mask network of the denoiser.")
    register(
        "denoise-gate", "antiphon_denoise.training.recipe_gate:GateRecipe", "The thresholds of the denoiser's gate."
    )
    register(
        "denoise-autoencoder", "antiphon_denoise.training.recipe_autoencoder:AutoencoderRecipe",
        "The denoiser's variational autoencoder.",
    )  # fmt: skip


@hookimpl
def antiphon_evaluations(register: Register) -> None:
    """Registers the evaluation."""
    register(
        "denoise", "antiphon_denoise.evaluation:Denoising", "Beside gates, a Wiener filter, noisereduce, an oracle."
    )
