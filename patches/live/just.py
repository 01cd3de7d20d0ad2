"""Just intonation: chords of whole numbers over 55 Hz. Sines hold 4:5:6:7 and 6:7:9 and others, bells and plucks play
in the same ratios, and nothing beats where the numbers are small; the harmony moves by fifths and thirds, away by a
comma and back.

antiphon render patches/live/just.py --bars 16 --out just.wav
"""

from fractions import Fraction as F

from antiphon.live import *

patch("just")
seed(14)
tempo(64)

BASE = 55.0
"""Frequency in Hz of 1/1, an a."""
BELL, PLUCK = 440.0, 220.0
"""Recorded frequency in Hz of bell and pluck; a speed is a ratio to it."""
# for each chord: beats, its root as a ratio, the numbers of its chord, and how loud
CHORDS = [
    (8, F(1), (2, 3, 4, 5, 6), 0.5),  # 4:5:6, a major third of 386 cents
    (8, F(1), (2, 3, 4, 5, 7), 0.6),  # with the seventh partial, 969 cents
    (8, F(4, 3) / 2, (3, 4, 5, 6, 9), 0.7),  # a fourth above, from below
    (8, F(10, 9) / 2, (3, 4, 6, 7, 9), 0.85),  # 6:7:9, the small minor chord, on the narrow second
    (8, F(3, 4), (2, 3, 5, 7, 9), 1.0),  # the dominant with seventh and ninth
    (8, F(5, 8), (2, 3, 5, 6, 8), 0.85),  # a third below home
    (8, F(3, 4), (2, 3, 4, 7, 9), 0.75),
    (8, F(1), (2, 3, 4, 5, 6, 9), 0.6),
]
LEVELS = (0.06, 0.16, 0.16, 0.12, 0.14, 0.12)


@loop
def chords():
    """Moves each sine to its next ratio; it is softer while it moves."""
    at = turn() % len(CHORDS)
    beats, root, numbers, loud = CHORDS[at]
    cue("chord", at)
    tones = (1, *numbers) if len(numbers) == 5 else numbers
    for voice, (number, level) in enumerate(zip(tones, LEVELS, strict=True), start=1):
        node(f"v{voice}").frequency = float(BASE * root * number * 2)
        node(f"v{voice}").ramp(beats / 2, level=level * loud)
    node("colour").ramp(beats / 2, cutoff=700 + 3000 * loud * loud)
    yield beats - 1
    for voice in range(2, 7):
        node(f"v{voice}").ramp(7 / 8, level=0.02)
    yield 1


@loop(on="bell")
def bells():
    """Plays notes of the chord two and three octaves above it, at random intervals."""
    _, root, numbers, loud = CHORDS[(yield sync("chord"))]
    yield 1
    for _ in range(pick([5, 6, 7])):
        ratio = root * pick(numbers) * pick([2, 4, 4])
        sample(
            "bell", speed=float(ratio * BASE / BELL), velocity=(50 + between(0, 34)) * loud + 10, pan=between(0.1, 0.9)
        )
        yield pick([1 / 2, 3 / 4, 1, 3 / 2])


@loop(on="pluck")
def plucks():
    """From the third chord on plays its ratios upwards as eighths; downwards in every second bar."""
    at = yield sync("chord")
    _, root, numbers, loud = CHORDS[at]
    if 2 <= at < 7:
        for bar in range(2):
            up = [*numbers, numbers[1] * 2, numbers[2] * 2, numbers[-1] * 2]
            for place, number in enumerate(up if bar == 0 else up[::-1]):
                speed = float(root * number * 2 * BASE / PLUCK)
                sample(
                    "pluck",
                    at=bar * 4 + place / 2,
                    speed=speed,
                    velocity=(52 + 14 * (place % 4 == 0)) * loud + 8,
                    pan=0.35 + 0.3 * (place % 2),
                )


@loop(on="bell")
def home():
    """Ends with the first partials, one after the other."""
    yield 56
    for place, number in enumerate((8, 10, 12, 14, 16, 18)):
        sample(
            "bell", at=place * 3 / 4, speed=float(number * BASE / BELL), velocity=58 - 5 * place, pan=0.2 + 0.12 * place
        )
    yield 8
