"""Data exchanged with the worker of `listen`."""

from antiphon.api import StreamSpec
from antiphon.api.backends.signal import KEY_NAMES
from antiphon.api.backends.workers import WorkerSpec

HOP = 4096
"""Frames of a hop at the stream's own rate: 85 ms at 48 kHz."""
LEAD = 1
"""Minimum hops the worker has for an answer: beats are predicted, and a late chord is acceptable."""
TEMPO, NEXT, PLACE, METER, KEY, CHORD, MOMENTARY, SHORT_TERM, INTEGRATED, FIELDS = range(10)
"""Indices in an answer: bpm (0: none), seconds from the hop's end to the next beat, that beat's position in its bar
from 0, beats of a bar, key and chord as indices in `KEYS` and `CHORDS`, and three loudnesses in LUFS."""
KEYS = ("none", *KEY_NAMES)
CHORDS = ("none", *(name.replace(" ", ":")[:-2] for name in KEY_NAMES))


def worker_of(spec: StreamSpec) -> WorkerSpec:
    """Worker of streams of this rate and number of channels."""
    return WorkerSpec(
        name="listen",
        factory="antiphon_listen.live.worker:ListenStepper",
        zygote="none",
        hop=HOP,
        rate=spec.rate,
        inputs=(spec.channels, HOP),
        outputs=(FIELDS,),
    )
