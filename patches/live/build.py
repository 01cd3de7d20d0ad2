"""A techno build: kick and rumble, an acid bass that opens, stabs in parallel minor; a breath without the kick, and all
of it again, higher.

antiphon render patches/live/build.py --bars 32 --out build.wav
"""

from antiphon.live import *

patch("techno")
seed(12)
tempo(128)

# where a part plays: a word for each four bars
kick = "<1 1 1 1 1 0 1 1>/4"
hats = "<0 1 1 1 1 0 1 1>/4"
claps = "<0 0 1 1 1 0 1 0>/4"
bass = "<0 1 1 1 1 0 1 1>/4"
stabs = "<0 0 1 1 1 1 1 0>/4"

four = s("bd*4").when(lambda bar: bar % 8 == 7, lambda beats: s("bd bd bd [bd ~ bd bd]"))
track("kick", four.mask(kick), on="kick")
track("offbeats", s("[~ oh]*4", gain=0.34, pan=0.42, cut=1).mask("<0 0 1 1 1 0 1 0>/4"))
track(
    "hats", s("hh*16?0.15", gain="[0.42 0.16 0.28 0.2]*4", pan=sine.slow(3).range(0.2, 0.8)).mask(hats).swing(1 / 6, 8)
)
track("claps", s("~ cp ~ cp", gain=0.62).every(4, off(1 / 16, put(gain=0.35, pan=0.8))).mask(claps))
track("rims", s("rs(5,16,<0 3>)", gain=0.4, pan="<0.15 0.85>*4").mask("<0 0 0 1 1 1 1 0>/4"))
track("toms", s("[lt|mt|ht]*8", gain=0.5, pan=rand).degrade_by(0.65).mask("<0 0 0 1>"))

# the chords go up in parallel, as a sampler plays them: a, c, d, and g below
roots = "<0 0 3 5 0 0 3 -2>"
line = "<[0 0 12 0 ~ 0 10 12 0 ~ 0 7 0 3 0 12] [0 0 12 0 ~ 0 10 12 0 ~ 15 7 0 3 -2 0]>"
acid = note(mini(line) + 33, legato=0.7, velocity="[120 70 90 60 100 75]*2.5").add(roots)
track("bass", acid.mask(bass), on="bass")
track("stabs", note("57(3,8,<0 2>)", velocity="<95 80 88>*3").add(roots).mask(stabs), on="stab")
track("high", note("69 ~ ~ 69 ~ ~ 67 ~", velocity=55).add(roots).mask("<0 0 0 0 1 0 1 1>/4"), on="stab")
chords = "<a3'minor9 a3'minor9 c4'minor7 d4'minor7 a3'minor9 a3'minor9 c4'minor7 g3'minor7>"
track("pad", note(chords, velocity=70).mask("<0 0 0 0 0 1 1 0>/4"), on="pad")

node("acid").cutoff = saw.slow(32).range(180, 3600)
node("tone").cutoff = "<700 700 900 1600 3000 1100 5000 1500>/4"
node("send").gain = "<0.3 0.3 0.4 0.4 0.6 1 0.5 1>/4"
node("rumble").gain = "<0.25 0.6 0.6 0.6 0.7 0 0.8 0.5>/4"


@loop(every=96)
def rise():
    """Noise climbs through the four bars without a kick, and falls away on the bar where it is back."""
    yield 78
    node("rise").ramp(18, gain=0.5)
    node("riser").ramp(18, cutoff=7000)
    yield 18
    node("rise").ramp(1, gain=0)


@loop
def ending():
    """Ends the piece in the last four bars."""
    yield 112
    node("acid").ramp(14, q=9)
    node("echo").ramp(12, feedback=0.75)
    yield 64
