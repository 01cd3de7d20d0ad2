"""Harmony: scales and chords by name, as scripts and the note nodes know them."""

from __future__ import annotations

from antiphon.live.patterns.tables import CHORDS, SCALES

__all__ = ["CHORDS", "SCALES"]
