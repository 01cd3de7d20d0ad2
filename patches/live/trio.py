"""A jazz trio plays a blues in f: vibes call, and the piano answers with the notes of the call, higher, backwards or
its end alone; in the second chorus the piano plays by itself. Hum, and the vibes play what you hum, and the piano
answers you.

antiphon render patches/live/trio.py --bars 38 --out trio.wav
"""

from fractions import Fraction

from antiphon.live import *

patch("trio")
seed(31)
tempo(152)

LATE = Fraction(2, 3)  # of a beat: where its second eighth is in swing
# for each bar of a blues: what the bass walks on, the root first, and the piano's left hand, without the root
F7, BF7 = ([29, 33, 36, 38], "a3 ef4 g4"), ([34, 38, 41, 36], "af3 d4 g4")
BLUES = [
    F7, BF7, F7, ([29, 33, 36, 39], "a3 ef4 af4"),
    BF7, ([35, 38, 41, 32], "af3 d4 f4"), F7, ([38, 36, 33, 30], "gf3 c4 f4"),
    ([31, 34, 38, 36], "f3 bf3 d4"), ([36, 34, 31, 28], "e3 bf3 d4"), F7, ([36, 34, 31, 40], "e3 bf3 ef4"),
]  # fmt: skip
LOUD = (0.88, 0.96, 1.1)  # of each chorus
FIRST, LAST = 2, 36  # bars: two of drums before the first chorus, and where the last chord is
# a head of three calls, each for four bars: where in them, and what
HEAD = [
    ((0, 72), (LATE, 75), (1, 77), (1 + LATE, 75), (2 + LATE, 81), (4, 79), (4 + LATE, 77), (5 + LATE, 72)),
    ((0, 72), (LATE, 75), (1, 77), (1 + LATE, 75), (2 + LATE, 80), (4, 79), (4 + LATE, 77), (5 + LATE, 74)),
    ((LATE, 82), (1, 81), (1 + LATE, 79), (2 + LATE, 77), (3 + LATE, 74), (4, 72), (5, 76), (5 + LATE, 77)),
]


def bar():
    """The current bar, from 0."""
    return int(beat() // 4)


def harmony(number):
    """The harmony that bass and left hand play in a bar."""
    return BLUES[(number - FIRST) % 12] if FIRST <= number < LAST else F7


def loud():
    """A factor of the velocity: each chorus is louder."""
    return LOUD[min(2, max(0, (bar() - FIRST) // 12))]


@loop(on="drums")
def drums():
    """Plays ride, hi-hat by foot, a soft bass drum, and a snare that is busier from chorus to chorus."""
    chorus = (bar() - FIRST) // 12
    for at, strength in ((0, 66), (1, 84), (1 + LATE, 56), (2, 66), (3, 84), (3 + LATE, 56)):
        play(51, 1 / 4, velocity=(strength + between(-6, 6)) * loud(), at=at)
    for at in (1, 3):
        play(44, 1 / 4, velocity=60, at=at)
    play(36, 1 / 4, velocity=40)
    play(36, 1 / 4, velocity=36, at=2)
    for at in (LATE, 1 + LATE, 2 + LATE, 3 + LATE):
        if chorus >= 0 and maybe(0.12 + 0.14 * chorus):
            play(pick([38, 38, 37]), 1 / 4, velocity=between(34, 64), at=at)
    if bar() + 1 == FIRST or (bar() + 1 - FIRST) % 12 == 0:
        for step, number in enumerate([38, 38, 45, 43]):
            play(number, 1 / 4, velocity=60 + 9 * step, at=2 + step // 2 + (step % 2) * LATE)
    yield 4
    if bar() == LAST:
        play([36, 49], velocity=80)
        stop()


@loop(on="bass")
def bass():
    """Plays a walking bass: the root, two more notes of the bar, and one that leads to the next root by a semitone."""
    if bar() < FIRST:
        yield 4 * FIRST - 1
        play(28, 0.8, velocity=74)
        yield 1
    if bar() == LAST:
        play(29, 8, velocity=90)
        stop()
    root, *others = harmony(bar())[0]
    leads = harmony(bar() + 1)[0][0]
    first = pick(others)
    for number in (root, first, pick([one for one in others if one != first]), leads + pick([-1, 1])):
        play(number, 0.92, velocity=between(80, 94) * loud())
        if maybe(0.12):
            play(number, 1 / 4, velocity=60, at=LATE)
        yield 1


@loop(on="piano")
def left_hand():
    """Plays chords where a jazz pianist would: more often off the beat than on it."""
    if bar() < FIRST:
        yield 4 * FIRST
    if bar() == LAST:
        play(["f2", "a3", "ef4", "g4", "d5", "a5"], 8, velocity=72)
        stop()
    for at, lasts in pick(
        [
            ((0, 1), (1 + LATE, 1 / 3)),
            ((LATE, 1 / 2), (3, 1 / 2)),
            ((1, 1 / 3), (2 + LATE, 1)),
            ((1 + LATE, 2),),
        ]
    ):
        play(harmony(bar())[1].split(), lasts, velocity=between(48, 64) * loud(), at=at)
    yield 4


hummed = []  # beat and number of what was hummed since the last answer


@on_note("hum")
def listen(note, velocity):
    """Stores hummed notes for the next answer. A wire of the patch makes the vibes play them at once."""
    hummed.append((beat(), note))


@loop(on="vibes")
def call():
    """Plays the head, then a call every four bars unless there is a hum; cues "phrase" with the call or the hum."""
    if bar() < FIRST:
        yield 4 * FIRST
    if bar() + 2 >= LAST:
        stop()
    chorus, place = divmod(bar() - FIRST, 12)
    start, phrase = beat(), HEAD[place // 4]
    if chorus == 1:
        cue("phrase", pick(HEAD))
    elif not hummed:
        for at, number in phrase:
            play(number, 1, velocity=between(76, 92) * loud(), at=at)
    yield 8
    cue("phrase", [(at - start, number) for at, number in hummed if at >= start][:8] or phrase)
    hummed.clear()
    yield 8


@loop(on="piano")
def answer():
    """Plays two bars made from a call: a third higher, backwards, or only its end. They end on a note of the chord."""
    phrase = yield sync("phrase")
    numbers = [number for _, number in phrase]
    places = [at for at, _ in phrase]
    way = pick(["higher", "backwards", "end"])
    if way == "higher":
        numbers = [number + (3 if number < 78 else -2) for number in numbers]
    elif way == "backwards":
        numbers = numbers[::-1]
    else:
        numbers = numbers[-5:]
        places = [*places[:3], *(4 + at for at in places[:2])][: len(numbers)]
    flat = harmony(bar())[0][0] in (34, 35)  # over b flat and b the a is flat
    numbers = [number - 1 if flat and number % 12 == 9 else number for number in numbers]
    numbers[-1] = pick([65, 72, 77, 75])
    for at, number in zip(places, numbers, strict=True):
        play(number, 2 / 3, velocity=between(82, 100) * loud(), at=at)
        if at >= 4 or maybe(0.25):
            play(number - 12, 1 / 2, velocity=between(50, 60), at=at)


track("brushes", note("[38 ~ 38]*4", velocity="[26 ~ 34]*4").mask("<0!2 1!34 0!4>"), on="drums")
