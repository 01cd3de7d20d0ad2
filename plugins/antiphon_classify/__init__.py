"""Classify: what a sound is, by small networks over its spectrogram, as analyses of the catalogue."""

from __future__ import annotations

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_analyses(register: Register) -> None:
    """Registers the analyses."""
    register(
        "instruments", "antiphon_classify.instruments:Instruments", "Families of instruments, where, and any voice."
    )
