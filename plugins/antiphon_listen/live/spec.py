"""What goes to the worker of `listen` and what comes back."""

from __future__ import annotations

from antiphon.api import SHARP_NAMES, StreamSpec
from antiphon.api.backends.workers import WorkerSpec

HOP = 4096
"""Frames of a hop at the stream's own rate: 85 ms at 48 kHz."""
LEAD = 1
"""Hops that the worker may take for an answer at least: beats are known ahead, and a late chord is no worse."""
TEMPO, NEXT, PLACE, METER, KEY, CHORD, MOMENTARY, SHORT_TERM, INTEGRATED, FIELDS = range(10)
"""Places in an answer: bpm (0: none), seconds from the hop's end to the next beat, that beat's place in its bar from 0,
beats of a bar, key and chord as places in `KEYS` and `CHORDS`, and three loudnesses in LUFS."""
KEYS = ("none", *(f"{name} {mode}" for mode in ("major", "minor") for name in SHARP_NAMES))
CHORDS = ("none", *(f"{name}:{kind}" for kind in ("maj", "min") for name in SHARP_NAMES))


def worker_of(spec: StreamSpec) -> WorkerSpec:
    """The worker of streams of this rate and so many channels."""
    return WorkerSpec(
        name="listen",
        factory="antiphon_listen.live.worker:ListenStepper",
        zygote="none",
        hop=HOP,
        rate=spec.rate,
        inputs=(spec.channels, HOP),
        outputs=(FIELDS,),
    )
