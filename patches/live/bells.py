"""Slow chords, and bells that answer each of them by chance; a drum now and then. Four loops that wait for one another.

antiphon render patches/live/bells.py --bars 16 --out bells.wav
"""

from antiphon.live import *

patch("band")
seed(3)
tempo(72)
node("send").gain = 0.6
node("echo").feedback = 0.5

CHORDS = ["a2'minor7", "f2'major7", "c3'major7", "e2'minor7"]
SCALE = scale("a4 minPent")


@loop(on="pluck")
def chords():
    """A chord every two bars, its notes one after the other, upwards and then downwards."""
    my = memory(number=0)
    notes = chord(CHORDS[my.number % len(CHORDS)])
    my.number += 1
    cue("chord", notes[0])
    for number in (*notes, *notes[::-1]):
        play(number + 12, 2, velocity=between(50, 80))
        yield 1


@loop(on="bell")
def bells():
    """Waits for a chord and answers it by three to five bells."""
    yield sync("chord")
    yield pick([1, 3 / 2, 2])
    for _ in range(pick([3, 4, 5])):
        play(SCALE[int(between(0, 8))], 2, velocity=between(40, 75), pan=between(0.1, 0.9))
        yield pick([1 / 2, 3 / 4, 1])


@loop(on="bass")
def ground():
    """The root of each chord."""
    root = yield sync("chord")
    play(root, 7, velocity=75)
    if maybe(0.5):
        play(root + 7, 1, velocity=50, at=7)


@loop
def steps():
    """Soft drums, thinner every fourth bar."""
    once(s("bd ~ ~ hh, ~ ~ rs ~", gain=0.45) if turn() % 4 != 3 else s("bd", gain=0.35))
    yield 4
