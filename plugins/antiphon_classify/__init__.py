"""Classify: what a sound is, by small networks over its spectrogram, as analyses of the catalogue."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the analyses."""
    register(
        "character",
        "antiphon_classify.character.analysis:Character",
        "Energy, danceability, arousal, valence, computed.",
    )
    register("tags", "antiphon_classify.tags:Tags", "Words that hold of a sound, of 25, and a vector of it.")
