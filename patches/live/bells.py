"""A harp goes through slow chords, and bells answer each of them by chance: five loops that wait for one another.

antiphon render patches/live/bells.py --bars 18 --out bells.wav
"""

from antiphon.live import *

patch("glade")
seed(3)
tempo(72)
node("echo").feedback = 0.5

# two bars each: home, away by a third, further, and a major chord at the end where a minor one is due
CHORDS = [
    "a2'minor9",
    "f2'major7",
    "d3'minor9",
    "e2'minor7",
    "c3'major7",
    "g2'six",
    "f2'major9",
    "e2'7sus4",
    "a2'add9",
]
SCALES = ["a4 minPent"] * 4 + ["g4 majPent"] * 2 + ["a4 minPent"] * 2 + ["a4 majPent"]
LOUD = [0.78, 0.82, 0.88, 0.94, 1.06, 1.12, 1.0, 0.88, 0.78]


@loop(on="harp")
def chords():
    """Plays each chord upwards and then, from another note, downwards."""
    at = turn() % len(CHORDS)
    notes = chord(CHORDS[at])
    cue("chord", at)
    up = [*notes, notes[0] + 12, notes[1] + 12]
    for place, number in enumerate([*up, *up[-2:0:-1]][:8]):
        play(number + 12, 3, velocity=(92 if place == 0 else between(58, 78)) * LOUD[at])
        yield 1


@loop(on="bell")
def bells():
    """Waits for a chord and answers it by three to six bells."""
    at = yield sync("chord")
    notes = scale(SCALES[at])
    yield pick([1, 3 / 2, 2])
    place = pick([2, 3, 4])
    for _ in range(pick([3, 4, 5]) + (at in (3, 4, 5))):
        play(notes[place], 2, velocity=between(48, 84) * LOUD[at], pan=between(0.15, 0.85))
        place = max(0, place + pick([-2, -1, 1, 2]))
        yield pick([1 / 2, 3 / 4, 1])


@loop(on="pad")
def pad():
    """Holds the chord an octave up, from the second chord on; its top note moves least."""
    at = yield sync("chord")
    if at:
        for number in chord(CHORDS[at])[1:4]:
            play(number + 12 if number < 60 else number, 8, velocity=72 * LOUD[at])


@loop(on="bass")
def ground():
    """Plays the root, and later in the bar its fifth or the next chord's root from below."""
    at = yield sync("chord")
    root = chord(CHORDS[at])[0]
    play(root if root < 47 else root - 12, 6 if at < 8 else 8, velocity=(60 if at == 0 else 84) * LOUD[at])
    if 0 < at < 8:
        leads = chord(CHORDS[at + 1])[0]
        play((leads if leads < 47 else leads - 12) - pick([1, 2]), 1, velocity=60, at=7)


@loop
def steps():
    """Plays soft drums in the middle part."""
    if 4 <= turn() < 14:
        once(s("bd ~ ~ hh, ~ ~ rs ~, ~ [hh ~]!3", gain="0.7 0.35 0.4 0.3", pan="0.5 0.3 0.6 0.75"))
    yield 4


node("colour").cutoff = tri.slow(18).range(500, 2600)
node("send").gain = "<0.3 0.4 0.5 0.6 0.7 0.6 0.5 0.7 0.9>/2"
