"""Harmony: scales and chords by name, as scripts and the note nodes know them."""

from __future__ import annotations

from antiphon.kernel.signal.scales import CHORDS, SCALES

__all__ = ["CHORDS", "SCALES"]
