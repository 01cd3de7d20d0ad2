"""Dub in g minor: one drop, a heavy bass, chords beside the beat; then the desk plays: mutes, throws into a tape echo,
a siren, and echoes that feed themselves before the bass is back.

antiphon render patches/live/dub.py --bars 18 --out dub.wav
"""

from antiphon.live import *

patch("dubdesk")
seed(8)
tempo(72)

# drums by General MIDI: 36 bass drum, 37 side stick, 38 snare, 42 and 46 hats; all of it on the third beat
beats = stack(
    note("~ ~ [36, 38] ~", velocity=118),
    note("[42 [42 42]]*4", velocity="[72 [40 58]]*4").swing(1 / 5, 8),
    note("~ [~ 37] ~ [~ ~ 37 ~]", velocity=74).degrade_by(0.3),
    note("~ ~ ~ [~ 46]", velocity=60).mask("<0 0 0 1>"),
)
fill = note("38 [~ 45] [43 43 45 41] [38 38 ~ 36]", velocity="100 80 96 110")
track("drums", beats.every(8, lambda bar: fill, first=7).mask("<0 1 1 1 1 1 1 1 1 1 0 0 1 1 1 1 1 0>"), on="drums")

# two bars: g minor, c minor; then e flat, f in the second part
one = "<[g1@3 ~ ~ d2 g1@2 bf1@2 c2 ~ d2 ~ ~ ~] [c2@3 ~ ~ g1 c2@2 ef2@2 d2 c2 bf1 ~ f1 ~]>"
two = "<[ef2@3 ~ ~ bf1 ef2@2 g1@2 ef2 ~ d2 ~ c2 ~] [f2@3 ~ ~ c2 f2@2 a1@2 c2 f1 ~ ~ fs1 ~]>"
bassline = note(one, velocity="112 96 104 90", legato=0.9).when(
    lambda bar: bar in (6, 7, 14, 15), lambda line: note(two, velocity=106, legato=0.9)
)
track("bass", bassline.mask("<1 1 1 1 1 1 1 1 0 1 0 0 1 1 1 1 1 1>"), on="bass")

chords = "<g3'minor c3'minor'3'i g3'minor c3'minor'3'i g3'minor c3'minor'3'i ef3'major f3'major>"
track("skank", note(chords).struct("~ t ~ t").set(velocity="<96 90>", legato=0.35).add(12), on="guitar")
track(
    "bubble",
    note(chords)
    .struct("[~ t t ~]*4")
    .set(velocity="[70 52]*4", legato=0.5)
    .swing(1 / 5, 8)
    .mask("<0 0 1 1 1 1 1 1 0 0 0 0 1 1 1 1 1 0>"),
    on="organ",
)

verse = note("<[d5@3 c5 bf4@2 g4@2] [~ ~ g4 a4 bf4@3 ~] [d5@2 f5@2 ef5 d5 c5@2] [d5@4 ~ ~ ~ ~]>", velocity=84)
track("tune", verse.mask("<0 0 0 0 1 1 1 1 0 0 0 0 1 1 1 1 0 0>"), on="tune", legato=0.85)

# the desk: gains of a channel and of its send, a word a bar
throws = (
    "0.2!3 [0.2 0.2 0.2 0.9] 0.2 [0.2 0.8] 0.2 [0.2 0.2 0.2 1] 0.9 [0.2 1] 1 0.4"
    " 0.2 [0.2 0.2 0.9 0.2] 0.2 [0.2 0.9] 1 1"
)
splashes = "0!4 [0 0 0 0.5] 0!2 [0 0.6] 0.3 [0 0 0.8 0] 0.6 0!3 [0 0 0.6] 0 [0 0 0.8 0.8] 0"
node("throw").gain = f"<{throws}>"
node("drumsend").gain = f"<{splashes}>"
node("guitarfader").gain = "<1!8 [1 0] 0!3 1!4 [1 0] 0>"


@loop
def desk():
    """Before bar 12 the echo feeds back and the bass is cut; from the bar line on there is no effect."""
    yield 36
    node("echo").ramp(8, feedback=0.9)
    node("big").ramp(8, cutoff=320)
    yield 4
    node("horn").ramp(0.5, gain=0.8)
    node("siren").ramp(4, frequency=1100)
    yield 4
    node("horn").ramp(0.5, gain=0)
    node("siren").ramp(2, frequency=450)
    yield 4 - 1 / 8
    node("echo").ramp(1 / 8, feedback=0.4)
    node("big").ramp(1 / 8, cutoff=25)
    yield 4 + 1 / 8
    node("echo").ramp(4, feedback=0.62)
    yield 12
    node("echo").ramp(4, feedback=0.86)
    yield 64
