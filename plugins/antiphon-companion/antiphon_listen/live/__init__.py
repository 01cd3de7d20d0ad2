"""Node `listen`: its processor and worker, and the data that they exchange."""

from antiphon.api.backends.signal import KEY_NAMES

HOP = 4096
"""Frames of a hop at the stream's own rate: 85 ms at 48 kHz."""
LEAD = 1
"""Minimum hops the worker has for an answer: beats are predicted, and a late chord is acceptable."""
TEMPO, NEXT, PLACE, METER, KEY, CHORD, MOMENTARY, SHORT_TERM, INTEGRATED, FIELDS = range(10)
"""Indices in an answer: bpm (0: none), seconds from the hop's end to the next beat, that beat's position in its bar
from 0, beats of a bar, key and chord as indices in `KEYS` and `CHORDS`, and three loudnesses in LUFS."""
KEYS = ("none", *KEY_NAMES)
CHORDS = ("none", *(name.replace(" ", ":")[:-2] for name in KEY_NAMES))
