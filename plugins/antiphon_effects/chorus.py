"""Chorus: three voices of the sound, each with an LFO-modulated delay, so that their pitches drift apart.

Dattorro, "Effect Design, Part 2: Delay-Line Modulation and Chorus" (JAES 45, 1997).
"""

from __future__ import annotations

from antiphon.api import FileUse, Param
from antiphon_effects.shared import smooth_param
from antiphon_effects.swept import Swept, swing


class Chorus(Swept):
    """Three voices with LFO phases a third of a turn apart, mixed with the sound."""

    on_files = FileUse(changes=("level",))
    voices = 3
    longest = 0.07
    params = (
        *swing(0.6),
        Param("delay", default=0.012, low=0.005, high=0.05, unit="s", warp="log", smooth=0.1, doc="Shortest delay."),
        Param("depth", default=0.005, high=0.02, unit="s", smooth=0.1, doc="LFO depth: how far the delays vary."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; 1 is vibrato."),
        Param("spread", default=0.5, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )
