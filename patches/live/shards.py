"""Notes of a learned synth that turn from glass to reed while they ring, a breath under them, and splinters of loops
that a slow circle over their map picks up.

antiphon render patches/live/shards.py --bars 18 --out shards.wav
"""

from antiphon.live import *

patch("shards")
seed(8)
tempo(76)

# two bars each
CHORDS = [
    "d3'minor9",
    "bf2'major7",
    "f3'add9",
    "c3'sus4",
    "g2'minor7",
    "bf2'major9",
    "a2'7sus4",
    "d3'minor9",
    "d3'add9",
]


@loop(on="glass")
def glass():
    """Plays upwards through each chord, and two random notes."""
    at = turn() % len(CHORDS)
    notes = chord(CHORDS[at])
    cue("chord", at)
    for place in range(16):
        if place % 4 == 0 or maybe(0.45):
            play(pick(notes) + pick([12, 12, 24]), 2, velocity=between(60, 88) if place % 4 else 96)
        yield 1 / 2


@loop(on="air")
def air():
    """Holds the chord."""
    at = yield sync("chord")
    for number in chord(CHORDS[at])[:4]:
        play(number + 12 if number < 54 else number, 7.5, velocity=78)


@loop(on="bass")
def ground():
    """Plays the root and, before the next chord, its fifth."""
    at = yield sync("chord")
    root = chord(CHORDS[at])[0] - 12
    play(root if root > 27 else root + 12, 5, velocity=84)
    play((root if root > 27 else root + 12) + 7, 2, velocity=66, at=6)


# each note follows while it rings
node("glass").z1 = sine.slow(6).range(-1.2, 1.8)
node("glass").z4 = sine.slow(10).range(-1.0, 2.0)
node("air").z2 = tri.slow(12).range(-0.6, 1.2)
# a finger on the map of the loops' units, from the fifth bar on
node("shards").x = sine.slow(5).range(0.1, 0.9)
node("shards").y = cosine.slow(7).range(0.2, 0.8)
node("shards").touch = "<0 0 0 0 0.25 0.3 0.2 0.3 0.35 0.3 0.4 0.3 0.35 0.2 0.3 0.2 0.1 0>"
