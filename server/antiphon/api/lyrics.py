"""Lyrics: words to syllables, as scripts and the node `sing` count them."""

from __future__ import annotations

from antiphon.signal.lyrics import HOLD, Syllable, syllables

__all__ = ["HOLD", "Syllable", "syllables"]
