"""Classify: what a sound is, by small networks over its spectrogram, as analyses of the catalogue."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the analyses."""
    register(
        "popularity", "antiphon_classify.popularity:PopularityAnalysis",
        "What a computed audience would give a sound, with an interval.",
    )  # fmt: skip
