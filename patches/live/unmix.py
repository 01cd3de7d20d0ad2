"""A song's stems as tracks: loops are stacked, taken apart, and each stem is brought in, cut and thrown into an echo
by a pattern of its own; a bar of drums alone, a breath without them, and all of it again.

antiphon render patches/live/unmix.py --bars 24 --out unmix.wav
"""

from antiphon.live import *

patch("unmix")
seed(5)
tempo(100)

# a word a bar, a list within a bar: the strip of a stem
node("other").gain = "<1.3!8 0 1.3!6 [1.3 1.3 1.3 0] 0 0 1.3!6>"
node("bass").gain = "<0 0 1 1 1 1 1 1 0 1 1 1 1 1 1 [1 0] 0 1 1 1 1 1 1 0.5>"
node("drums").gain = "<0 0 0 0 0 0 0 [0 0 1 1] 1 1 1 1 [1 0 1 1] 1 1 [1 0 0 0] 0 0 1 1 1 1 [1 1 0 1] 1>"
node("voice").gain = "<1 1 1 1 1 1 1 1 0 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1>"
node("throw").gain = "<0.9!7 1 0.9!6 [0.9 1] 1 0.9 0.9!6 1>"


@loop
def opened():
    """Opens the low-pass `sweep` at the beginning, and closes it before the break."""
    node("sweep").ramp(1 / 8, cutoff=1000)
    yield 1
    node("sweep").ramp(26, cutoff=16000)
    yield 27
    yield 28
    node("sweep").ramp(8, cutoff=700)
    yield 12
    node("sweep").ramp(4, cutoff=16000)
    yield 28
