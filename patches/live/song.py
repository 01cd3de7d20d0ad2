"""A song in g without words: a verse for a tune and an accompanist who finds the chords himself, a chorus with the
whole band, a bridge that leaves the key, and the chorus once more.

antiphon render patches/live/song.py --bars 25 --out song.wav
"""

from antiphon.live import *

patch("songband")
seed(6)
tempo(100)
node("ears").key = "G"

# parts, each four bars: verse, verse, chorus, bridge, chorus, last line
VERSE = note("""<
    [d4 g4 b4 a4] [b4@2 g4 ~] [e4 a4 c5 b4] [a4@3 ~]
    [d5 b4 g4 a4] [c5@2 b4 a4] [g4 a4 [b4 c5] a4] [g4@3 d4]
>""")
CHORUS = note("<[d5@3 b4] [e5@2 d5 c5] [b4 [c5 b4] a4 g4] [a4@3 d4] [d5@3 b4] [g5@2 e5 d5] [c5 [d5 c5] b4 a4] [g4@4]>")
BRIDGE = note("<[ef5@2 d5 c5] [bf4@3 g4] [c5 [d5 ef5] f5 ef5] [d5@3 d5]>")
CHORDS = "<g3'major9 c3'major9'5'i e3'minor7 d3'7sus4 g3'major9 c3'major9'5'i a2'minor9 [d3'7sus4 d3'dom7]>"
ROOTS = "<g1 c2 e2 d2 g1 c2 a1 d2>"
DARK, DARK_ROOTS = "<c3'minor7 g3'minor7 af3'major7 d3'dom7>", "<c2 g1 af1 d2>"

# 8 bars of verse, 4 of bridge between two choruses of 4 and 8, and one bar to end
verse, chorus, bridge = "<1!8 0!17>", "<0!8 1!4 0!4 1!8 0>", "<0!12 1!4 0!9>"
late = "<0!16 1!8 0>"

tune = stack(
    VERSE.mask(verse),
    CHORUS.mask(chorus).when(lambda bar: bar >= 16, off(1 / 8, put(velocity=40))),
    BRIDGE.mask(bridge),
)
track("tune", tune.set(velocity="100 84 92 86", legato=1.05), on="tune")
track("follow", VERSE.mask(verse).set(velocity=84, legato=0.95), on="ears")
track("lead", CHORUS.mask(late).add(12).set(pan=0.6, velocity=70), on="lead")

harmony = note(CHORDS).mask(chorus).superimpose(lambda p: note(DARK).mask(bridge))
track("keys", harmony.struct("t [~ t] ~ t").set(velocity="<78 66 70>*3", legato=0.9), on="keys")
track("strings", harmony.add(12).set(velocity="<62 68 74 80>", legato=1.02), on="strings")
ground = note(ROOTS).mask(chorus).superimpose(lambda p: note(DARK_ROOTS).mask(bridge))
track("bass", ground.struct("t ~ [~ t] [t ~ t]").set(velocity="108 84 96 80", legato=0.9), on="bass")

beat4 = stack(
    note("36 ~ [~ 36] ~", velocity="104 88 80 90"),
    note("~ 38 ~ 38", velocity="92 98"),
    note("[42 42 42 42]*2", velocity="[70 44 60 44]*2"),
    note("~ ~ ~ [~ 46]", velocity=62).mask("<0 0 0 1>"),
)
track("soft", note("[42 42]*4", velocity="[50 34]*4").mask("<0!4 1!4 0>"), on="drums")
track("drums", beat4.mask("<0!8 1!16 0>"), on="drums")
track(
    "fill", note("~ ~ [38 38 45 43] [41 38 38 38]", velocity="70 84 96 110").mask("<0!7 1 0!7 1 0!7 1 0>"), on="drums"
)
track("crash", note("49", velocity=84).mask("<0!8 1 0!7 1 0!3 1 0!3 1>"), on="drums")
track("end", note("g2,d3,b3,e4,a4", velocity=76, legato=1).mask("<0!24 1>"), on="keys")
track("endtune", note("g4 b4 d5 [g5@3 ~]", velocity="80 74 68 62").mask("<0!24 1>"), on="tune")
track("endbass", note("g1", velocity=100, legato=1).mask("<0!24 1>"), on="bass")

node("bow").cutoff = "<2200!12 1400!4 4500!9>"
node("room").wet = "<0.22!8 0.16!4 0.26!4 0.16!8 0.3>"
