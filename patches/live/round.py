"""A round with words: four singers row the same boat, each two bars behind the one before, until all row together.

antiphon render patches/live/round.py --bars 34 --out round.wav
"""

from antiphon.live import *

patch("choir")
meter(2)
tempo(104)

WORDS = """row row row your boat gent-ly down the stream
mer-ri-ly mer-ri-ly mer-ri-ly mer-ri-ly life is but a dream"""
TUNE = """<
    [c4 c4] [[c4@2 d4] e4] [[e4@2 d4] [e4@2 f4]] g4
    [[c5 c5 c5] [g4 g4 g4]] [[e4 e4 e4] [c4 c4 c4]] [[g4@2 f4] [e4@2 d4]] c4
>"""
# each enters two bars after the one before, and sings the round three times
PARTS = {"soprano": (0, 0), "alto": (2, 0), "tenor": (4, -12), "bass": (6, -12)}

for name, (late, transposed) in PARTS.items():
    song = sing(WORDS, note(TUNE).add(transposed).set(velocity="96 84", legato=0.97))
    track(name, song.late(late).mask(f"<0!{late} 1!24 0!{34 - 24 - late}>" if late else "<1!24 0!10>"), on=name)

# the last chord, on the word that the round ends with
for name, key in zip(PARTS, ("c5", "g4", "e4", "c3"), strict=True):
    track(f"{name} end", note(key, velocity=80).mask("<0!32 1!2>").set(syllable=26, legato=2), on=name)

node("church").wet = "<0.22!24 0.3!6 0.45!4>"
