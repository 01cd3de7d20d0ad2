"""Classify: what a sound is, by small networks over its spectrogram, as analyses of the catalogue."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the classifiers."""
    register("genre", "antiphon_classify.genre:Genre", "The three most likely of twelve genres, or unknown.")
