"""Two pianos play one line of twelve notes. The right one gains a note, is in step for two lines, gains the next, and
is home after twelve; bells pick notes out of what both make together, and the bass below changes what key it is in.
After the idea of Steve Reich's phase pieces.

antiphon render patches/live/phase.py --bars 40 --out phase.wav
"""

from fractions import Fraction

from antiphon.live import *

patch("pianos")
meter(3)
tempo(120)
seed(5)

LINE = [scale("e4 dorian")[degree] for degree in (0, 4, 2, 7, 5, 4, 8, 2, 5, 0, 7, 4)]
ACCENTS = [84, 58, 62, 76, 58, 66, 80, 54, 62, 74, 60, 66]
# a note and its fifth for each eight bars after the first: the same twelve notes are in g, in a, in d and in e minor
GROUND = ["g2 d3", "a2 e3", "d2 a2", "e2 b2"]


def strength(bar):
    """Factor of the velocity: soft at first, loudest in the middle, then soft again."""
    return 0.7 + 0.36 * max(0, 1 - abs(bar - 22) / 22)


@loop(on="left")
def left():
    """Plays the line unchanged."""
    for number, accent in zip(LINE, ACCENTS, strict=True):
        play(number, 1 / 4, velocity=accent * strength(turn()))
        yield 1 / 4


@loop(on="right")
def right():
    """Enters after two lines. Of every three lines one is faster by a note: thirteen notes in the time of twelve."""
    if turn() == 0:
        yield 6
    my = memory(place=0)
    for part in range(3):
        notes = 13 if part == 2 else 12
        for _ in range(notes):
            at = my.place % 12
            play(LINE[at], 1 / 4, velocity=ACCENTS[at] * strength(float(beat()) / 3))
            my.place += 1
            yield Fraction(3, notes)


@loop(on="bell")
def bells():
    """Picks a few notes out of both pianos' lines, plays them high above, and repeats them every two bars."""
    yield 24
    for _ in range(4):
        tune = [(pick(LINE) + 12, pick([1 / 2, 3 / 4, 1])) for _ in range(pick([3, 4, 5]))]
        for repeat in range(4):
            for step, (number, wait) in enumerate(tune):
                play(number, 2, velocity=between(44, 54) + 6 * repeat, pan=0.3 + 0.4 * (step % 2))
                yield wait
            yield 6 - beat() % 6
    stop()


@loop(on="low")
def ground():
    """A bass note and its fifth for eight bars, from bar 8 on."""
    yield 24
    for chord in GROUND:
        for number in chord.split():
            play(number, 23.5, velocity=78)
        yield 24
    stop()


node("bow").cutoff = tri.slow(40).range(500, 2200)
node("hall").wet = tri.slow(40).range(0.16, 0.3)
