"""A drone on d: bows in open fifths become a choir, the chord goes dark by thirds, gathers on the dominant under a
wind, and comes home in major with a bell.

antiphon render patches/live/drone.py --bars 15 --out drone.wav
"""

from antiphon.live import *

patch("bourdon")
seed(9)
tempo(60)

# how many beats, the chord of the bows, what lies under it, how loud, how much choir, how open
PARTS = [
    (8, "d3 a3", "d2 a2", 46, 0.0, 300),
    (8, "d3 a3 e4 f4", "d2 a2", 60, 0.3, 450),
    (6, "d3 f3 bf3 f4", "bf1 f2", 70, 0.6, 600),
    (6, "d3 g3 bf3 d4 a4", "g1 d2", 80, 1.0, 900),
    (6, "e3 a3 d4 e4 b4", "a1 e2", 94, 1.0, 1700),
    (6, "e3 a3 c#4 g4 c#5", "a1 e2", 106, 0.8, 2600),
    (8, "d3 a3 d4 f#4 a4 d5", "d2 a2", 98, 0.5, 2000),
    (12, "d3 a3 d4 f#4 d5", "d2", 76, 0.2, 700),
]
TOLLS = [("d5", 44), ("a4", 50), ("f4", 56), ("d4", 62), ("a3", 74), ("a3", 80), ("d4", 96), ("d4", 70)]


@loop
def parts():
    """Plays one chord after the other, and cues the bows, the ground and the bell of each."""
    at = turn() % len(PARTS)
    beats, _, _, loud, choir, cutoff = PARTS[at]
    cue("part", at)
    node("cast").ramp(beats / 2, amount=choir)
    node("dark").ramp(beats, cutoff=cutoff)
    node("blow").ramp(beats, gain=max(0, (loud - 60) / 60))
    yield beats


@loop(on="bows")
def bows():
    """Plays the chord's notes one after the other; each lasts into the next chord."""
    beats, notes, _, loud, _, _ = PARTS[(yield sync("part"))]
    for step, name in enumerate(notes.split()):
        play(name, beats + 1 - step / 2, velocity=loud + between(-6, 6), at=step / 2)


@loop(on="deep")
def ground():
    """Plays the drone's low notes, with an occasional swell of the octave above."""
    beats, _, notes, loud, _, _ = PARTS[(yield sync("part"))]
    for name in notes.split():
        play(name, beats + 0.5, velocity=min(110, loud + 14))
    if loud > 75:
        play(scale(f"{notes.split()[0]} major")[14], 3, velocity=loud * 0.8, at=beats - 3)


@loop(on="bell")
def bell():
    """Rings where a chord begins, lower each time, and twice at the final chord."""
    at = yield sync("part")
    name, loud = TOLLS[at]
    play(name, 4, velocity=loud, pan=between(0.35, 0.65))
    if at >= 6:
        play("a4", 4, velocity=64, at=2, pan=0.3)
        play("f#5" if at == 6 else "d5", 4, velocity=50, at=3, pan=0.7)


@loop(on="bell", name="dust")
def dust():
    """Plays random high notes while the harmony builds up."""
    yield pick([1 / 2, 3 / 4, 5 / 4])
    if 16 <= beat() < 46 and maybe(0.55):
        play(pick(["d6", "a5", "e6", "g5"]), 2, velocity=between(20, 40), pan=between(0, 1))
