"""Flanger: the sound plus a copy delayed by a few milliseconds, whose comb notches sweep through the spectrum.

Smith, "An allpass approach to digital phasing and flanging" (ICMC 1984); Dattorro, "Effect Design, Part 2" (JAES 45,
1997).
"""

from __future__ import annotations

from antiphon.api import FileUse, Param
from antiphon_effects.shared import smooth_param
from antiphon_effects.swept import Swept, swing


class Flanger(Swept):
    """One voice with feedback, mixed with the sound. At `depth` 0 it is a comb filter."""

    voices = 1
    longest = 0.03
    on_files = FileUse(tail=True, changes=("time", "level"))
    params = (
        *swing(0.2),
        Param("delay", default=0.0008, low=0.0001, high=0.01, unit="s", warp="log", smooth=0.1, doc="Shortest delay."),
        Param("depth", default=0.004, high=0.015, unit="s", smooth=0.1, doc="LFO depth: how far the delay varies."),
        smooth_param("feedback", 0.5, -0.95, 0.95, "Feedback (resonance); below 0 inverted, for the odd peaks."),
        smooth_param("mix", 0.5, 0.0, 1.0, "Dry/wet mix; at 0.5 the notches are deepest."),
        Param("spread", default=0.25, smooth=0.1, doc="LFO phase of right behind left; 1 is a whole period."),
    )
