"""A drum loop in sixteen slices, played in other orders at 165: a pad and the loop far away, the drop, a rest in the
pad, and the drop again with the slices turned round, rolled and bent.

antiphon render patches/live/breaks.py --bars 40 --out breaks.wav
"""

from antiphon.live import *

patch("breakbeat")
seed(21)
tempo(165)

# the loop as it is has slices 0 to 15 in two bars of eighths: 0 and 10 are bass drums, 4 and 12 snares. It was played
# at 100 beats a minute: 1.65 times as fast a slice fills its eighth
straight = note("<[0 1 2 3 4 5 6 7] [8 9 10 11 12 13 14 15]>", speed=1.65)
order = "<[0 1 0 3 4 5 10 11] [0 4 10 11 12 13 10 4] [0 1 10 3 4 5 0 11] [10 11 4 4 12 13 [12 12] [4 4 4]]>"
broken = note(order, speed=1.65)
wild = broken.every(2, lambda p: p.chunk(4, ply(2))).sometimes_by(0.12, put(speed=-1.65)).sometimes_by(0.1, ply(3))

# where a part plays: a word for each four bars
#                 pad      drop            rest     drop            end
drums = "<1 1 1 1 1 0 1 1 1 1>/4"
bass = "<0 0 1 1 1 0 1 1 1 0>/4"
pads = "<1 1 1 1 1 1 1 1 1 1>/4"
played = straight.when(lambda bar: 8 <= bar < 24, lambda _: broken).when(lambda bar: 24 <= bar < 36, lambda _: wild)
track("drums", played.set(velocity="[118 96 104 92]*2").mask(drums), on="slices")
track(
    "roll",
    note("[12 12 12 12 4 4 4 4]", speed="1.65 1.65 1.9 2.2", velocity="[60 70 80 90 100 108 116 124]")
    .mask("<0 0 0 0 0 0 0 1>")
    .mask("<0 1 0 0 0 1 0 0 0 0>/4"),
    on="slices",
)
track("hats", s("hh*16?0.3", gain="[0.5 0.2 0.35 0.2]*4", pan=sine.slow(2).range(0.15, 0.85)).mask(bass), on="hats")
crash = s("oh", gain=0.8, pan="<0.3 0.7>", speed=0.7).mask("<1 0 0 0>")
track("crash", crash.mask("<0 0 1 0 0 0 1 0 0 1>/4"), on="hats")

# d minor, b flat, g minor, a with a flat sixth: four bars each two
growl = note("[0 ~ ~ 0 ~ ~ 12 ~ 0 ~ 7 ~ ~ 0 12 ~]", velocity="[118 90 100 84]*2", legato=1.2)
track("bass", growl.add(mini("<38 34 31 33>/2")).mask(bass), on="bass")
track("last", note("<38 34>/2", velocity=96).mask("<0 0 0 0 0 0 0 0 0 1>/4"), on="bass")
chords = "<d3'minor9 bf2'major9 g2'minor9 a2'7sus4>/2"
track("pad", note(chords, velocity=76).add(12).segment(1).set(legato=1).mask(pads), on="pad")
stabs = note("57(3,8,<2 0>)", velocity=76).add("<5 5 10 7>/2").degrade_by(0.3)
track("stabs", stabs.mask("<0 0 0 1 1 0 0 1 1 0>/4"), on="stab")
tune = note(scale("d5 minor", "<[4 ~ 2 ~] [~ 1 0 ~] [2 ~ 4 6] ~ [5 ~ 4 ~] [~ 2 1 ~] [1 2 ~ 4] ~>"), velocity=66)
track("bells", tune.set(pan="0.3 0.7 0.4 0.6").mask("<1 1 0 0 1 1 0 1 1 1>/4"), on="bell")

node("sweep").cutoff = "<350 900 18000 18000 18000 18000 18000 18000 18000 1200>/4"
node("mouth").cutoff = tri.fast(2).range(400, 4200)
node("splash").gain = "<0 0 0 0 0 0 0 [0 0 0 0.6]>"
node("crush").wet = "<0 0 0 0 0 0 0.0 0.5 0 0.8>/4"
node("colour").cutoff = "<1200 2000 2500 3000 3500 [5000] 3000 3500 5000 2000>/4"
