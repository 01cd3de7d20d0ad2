"""Two plucks play one line of twelve notes; the right one is a little faster and is a line ahead after 48 bars.

After the idea of Steve Reich's phase pieces. antiphon render patches/live/phase.py --bars 48 --out phase.wav
"""

from fractions import Fraction

from antiphon.live import *

patch("band")
meter(3)
tempo(108)

line = note(scale("d4 dorian", "0 4 2 7 5 4 8 2 5 0 7 4"), velocity="90 70 80", legato=0.7)
ahead = Fraction(48, 49)

track("left", line.set(pan=0.15), on="pluck")
track("right", line.set(pan=0.85), on="pluck", beats=3 * ahead)
track("low", note("d2 ~ ~ a2", velocity=70).every(4, rev).mask("<0 0 1 1>/8"), on="bass", beats=12)

node("send").gain = 0.3
node("tone").cutoff = sine.slow(24).range(1500, 7000)
