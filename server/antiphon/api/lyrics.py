"""Lyrics: words to syllables, as scripts and the node `sing` count them."""

from __future__ import annotations

from antiphon.kernel.signal.lyrics import HOLD, LyricSyllable, syllables

__all__ = ["HOLD", "LyricSyllable", "syllables"]
