"""What a turn is like: places in the beat, form, ends, copies and loudness; and what becomes of a motif."""

import random
from itertools import pairwise

import numpy as np
import pytest

from antiphon_answer.form import AnswerForm, FormSource, halves_of
from antiphon_answer.memory import Matches, Memory
from antiphon_answer.phrasing import AUGMENTATION, INVERSION, NO_STEP, OPEN, ORNAMENT, SEQUENCE, WITHIN, Onset, Phraser
from antiphon_answer.prior import KEYS, Roles, degree_of, pitch_of, plain
from antiphon_answer.tests.playing import play

DEGREES = (60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 65, 62)
BAR, TURN = 4.0, 16.0


def turns(places: tuple[float, ...], seed: int = 1) -> list[list[tuple[float, float, int, float]]]:
    """(beat, end, pitch, velocity) of three answers to four bars with notes at those places of each beat, in C."""
    own = [
        (32.0 * turn + beat + place, 32.0 * turn + beat + place + 0.2, DEGREES[(beat * len(places) + n + turn) % 16])
        for turn in range(3)
        for beat in range(15)
        for n, place in enumerate(places if beat % 4 < 3 else places[:1])
    ]
    notes, begun = [], {}
    for at, event in play(own, 97.0, {"mode": "trade", "seed": seed, "key": "C", "originality": 6})[0]:
        if event.kind == "on":
            begun[event.number] = at, event.value
        elif event.number in begun:
            start, loud = begun.pop(event.number)
            notes.append((start, at, event.number, loud))
    return [[n for n in notes if 32 * turn + TURN <= n[0] < 32 * turn + 2 * TURN] for turn in range(3)]


@pytest.mark.parametrize("places", [(0.0, 0.5), (0.0, 0.66), (0.0, 1 / 3, 2 / 3), (0.0, 0.2, 0.4, 0.6, 0.8)])
def test_a_turn_keeps_the_players_places_begins_in_time_and_ends_on_a_chord_tone(places: tuple[float, ...]) -> None:
    for number, notes in enumerate(turns(places)):
        apart = np.abs(np.array([n[0] % 1.0 for n in notes])[:, None] - np.array([*places, 1.0])).min(axis=1)
        assert apart.max() < 0.03
        assert notes[0][0] == pytest.approx(32 * number + TURN, abs=0.02), "10 ms"
        assert notes[-1][2] % 12 in (0, 4, 7)
        assert -2.0 < notes[-1][1] - 32 * (number + 1) < 0.8, "it ends about the bar line"
        assert 127 * np.std([n[3] for n in notes]) > 6.0, "an arch over even notes"
        pitches, own = [n[2] for n in notes], list(DEGREES) * 2
        runs = [size for size in range(2, 21) for n in range(len(pitches) - size + 1) for k in range(16)
                if pitches[n : n + size] == own[k : k + size]]  # fmt: skip
        assert max(runs, default=1) <= 6


def test_seeds_tell_answers_and_their_ends_apart() -> None:
    made = [turns((0.0, 0.5), seed)[0] for seed in range(8)]
    assert len({tuple(n[2] for n in notes) for notes in made}) == 8
    assert len({round(notes[-1][1], 2) for notes in made}) > 5
    assert len({notes[-1][0] for notes in made}) > 2


def test_a_turn_waits_while_the_players_last_note_sounds() -> None:
    own = [(n / 2, n / 2 + 0.4, DEGREES[n % 16]) for n in range(30)]
    for held, first, last in ((16.0, 16.0, 16.0), (16.03, 16.0, 16.1), (17.3, 17.3, 19.0), (30.0, 20.0, 23.0)):
        events = play([*own, (15.0, held, 72)], 40.0, {"mode": "trade", "key": "C"})[0]
        assert first <= next(at for at, event in events if event.kind == "on") <= last
    for seed in range(8):
        events = play([*own, (15.0, 16.03, 72)], 20.0, {"mode": "trade", "key": "C", "seed": seed})[0]
        assert next(at for at, event in events if event.kind == "on") < 16.1, "a short note waits, too"
    drone = play([*own[:8], *own[16:24], (0.1, 99.0, 36)], 16.0, {"mode": "trade", "bars": 1, "key": "C"})[0]
    begun = [at for at, event in drone if event.kind == "on"]
    # begun in the first bar, it is waited for until half of the first turn is over, and never again
    assert [next(at for at in begun if at >= start) for start in (4.0, 12.0)] == pytest.approx([6.0, 12.0], abs=0.02)


def test_density_is_notes_a_bar() -> None:
    own = [(float(n), n + 0.9, DEGREES[n]) for n in range(16)]
    counts = [
        sum(event.kind == "on" for _, event in play(own, 32.0, {"mode": "trade", "density": density})[0])
        for density in (0.0, 0.5, 1.0)
    ]
    assert counts[0] < 0.8 * counts[1] < 0.8 * 0.8 * counts[2]


def motif(*steps: int, apart: int = 4) -> list[Onset]:
    return [Onset(apart * n, 0.0, 2.0, 0.7, step, fixed=n == 0) for n, step in enumerate(steps)]


@pytest.mark.parametrize(
    ("how", "given", "steps", "slots"),
    [
        (SEQUENCE, motif(35, 1, 1, -2), (36, 1, 1, -2), (0, 4, 8, 12)),
        (INVERSION, motif(35, 1, 1, -2), (35, -1, -1, 2), (0, 4, 8, 12)),
        (AUGMENTATION, motif(35, 1, 1, -2, 0, 1, apart=2), (35, 1, 1, -2), (0, 4, 8, 12)),
        (ORNAMENT, motif(35, 2, -1, 0), (35, 1, 1, 1, -2, 1, -1), (0, 2, 4, 6, 8, 10, 12)),
    ],
)
def test_a_motif_is_moved_turned_slowed_and_adorned(
    how: int, given: list[Onset], steps: tuple[int, ...], slots: tuple[int, ...]
) -> None:
    memory = Memory()
    phraser = Phraser(memory, plain().rhythms)
    for n in range(16):
        memory.pitches[n], memory.places[n], memory.bars[n], memory.late[n] = 60, 2 * n % 16, n // 8, 0.0
    memory.count = 16
    phraser.begin((0, 64, 0), 16, 0, 0.5, lambda: 0.0, turn=True)
    made = phraser._transform_motif(given, how, 0)
    assert tuple(n.step for n in made) == steps
    assert tuple(n.slot for n in made) == slots


def test_an_answer_is_laid_out_to_its_end() -> None:
    memory = Memory()
    for n in range(16):
        memory.pitches[n], memory.places[n], memory.bars[n], memory.late[n] = (
            60 + n % 5,
            n % 8 * 2,
            n // 8,
            0.25 * (n % 2),
        )
    memory.count = 16
    phraser, state = Phraser(memory, plain().rhythms), np.random.default_rng(3)
    late = [(n, 1 + n % 3, 16) for n in range(8, 16)] * 8
    begins = ((0, 4, 16), (5, 9, 16), (0, 1, 16), (0, 3, 14), (0, 2, 2), *late)
    for start, bars, bar in begins:
        end = bars * bar
        phraser.begin((start, end, start + 2), bar, 0, 0.5, state.random, turn=start % 2 == 0)
        notes = list(iter(phraser.take, None))
        assert start <= notes[0].slot <= min(start + 2, bar - 1), "in the bar in which it begins"
        assert all(n.length > 0.0 for n in notes)
        assert all(a.at < b.at and a.at + a.length <= b.at + 1e-9 for a, b in pairwise(notes))
        assert -0.6 * bar < notes[-1].at + notes[-1].length - end < 4.0
        assert notes[-1].ends
        assert notes[-1].step == NO_STEP
    for ends, length in ((WITHIN, 11.0), (OPEN, 2.0)):
        phraser.begin((0, 0, 0), 16, 0, 0.5, lambda: 0.9, turn=False)
        phraser._notes[:] = Onset(0, 0.0, 2.0, 0.7, ends=ends), Onset(12, 0.0, 2.0, 0.7)
        assert next(iter(phraser.take, None)).length == length, "a rest between phrases is not played into"


@pytest.mark.parametrize("key", [0, 3, 21])
def test_degrees_are_those_of_the_scale(key: int) -> None:
    assert [degree_of(pitch_of(degree, key), key) for degree in range(28, 49)] == list(range(28, 49))


MINOR = {"natural": (0, 2, 3, 5, 7, 8, 10), "harmonic": (0, 2, 3, 5, 7, 8, 11), "dorian": (0, 2, 3, 5, 7, 9, 10)}


def tune(scale: tuple[int, ...], tonic: int, seed: int) -> list[tuple[float, float, int]]:
    """Four bars that begin on a tone of the tonic's triad and end on the tonic."""
    chosen, notes, degree = random.Random(seed), [], 0
    for bar in range(4):
        at, lengths = 4.0 * bar, chosen.choice(((1, 1, 1, 1), (1, 0.5, 0.5, 2), (2, 1, 1), (1.5, 0.5, 2)))
        for n, length in enumerate(lengths):
            degree = min(8, max(-2, degree + chosen.choice((-2, -1, -1, 1, 1, 2))))
            if n == 0:
                degree = chosen.choice((0, 2, 4) if bar in (0, 3) else (1, 2, 3, 4, 5))
            elif bar == 3 and n == len(lengths) - 1:
                degree = 0
            notes.append((at, at + 0.9 * length, 60 + tonic + scale[degree % 7] + 12 * (degree // 7)))
            at += length
    return notes


@pytest.mark.parametrize(("kind", "least"), [("natural", 0.8), ("harmonic", 0.8), ("dorian", 0.8)])
def test_a_turn_in_minor_ends_on_the_tonics_triad(kind: str, least: float) -> None:
    ends: dict[bool, list[bool]] = {False: [], True: []}
    for seed in range(10):
        tonic = 5 * seed % 12
        for given in (True, False)[seed >= 3 :]:
            key = KEYS[12 + tonic] if given else "auto"
            events = play(tune(MINOR[kind], tonic, seed), 33.0, {"mode": "trade", "key": key, "seed": seed})[0]
            last = [event.number for _, event in events if event.kind == "on"][-1]
            ends[given].append((last - tonic) % 12 in (0, 3, 7))
    assert all(ends[True])
    assert np.mean(ends[False]) >= least


def test_a_key_is_told_by_the_first_the_last_and_the_leading_notes() -> None:
    prior = plain()
    for pitches, key in (((62, 65, 64, 62, 67, 65, 64, 69, 71, 67, 65, 62), "Dm"), ((60, 64, 62, 65, 71, 72), "C")):
        roles, sounds = Roles(), np.zeros(12)
        for n, pitch in enumerate(pitches):
            roles.learn(pitch, 4, first=n == 0)
            sounds[pitch % 12] += 4.0
        assert KEYS[prior.key(sounds, roles.current_counts())] == key


def heard(bars: int) -> Memory:
    """A memory of bars of four notes, each bar with pitches of its own, two bars' rest in eight at the end."""
    memory, matches = Memory(), Matches()
    for n in range(4 * bars):
        if n // 4 % 8 < 6:
            memory.add(50 + n // 4 % 8 + n % 4, 4, 4 * (n % 4), 0.7, matches)
            memory.bars[memory.count - 1] = n // 4
    return memory


def test_more_bars_return_the_more_were_heard_and_they_follow_one_another() -> None:
    state = np.random.default_rng(1)
    shares, follows = [], []
    for bars in (8, 40):
        form, memory = AnswerForm(heard(bars), plain().rhythms), heard(bars)
        made = []
        for _ in range(100):
            form.plan(8, FormSource(2, 0, 0.0), state.random, turn=False)
            made.append([form.source(n) for n in range(8)])
            rests = [rows is not None and rows[0] == rows[1] for rows in made[-1]]
            assert form.rests == len(rests) - 1 - max((n for n, rest in enumerate(rests) if not rest), default=-1)
        shares.append(np.mean([rows is not None for plan in made for rows in plan]))
        pairs = [(a, b) for plan in made for a, b in pairwise(plan) if a and b and a[0] < a[1] and b[0] < b[1]]
        follows.append(np.mean([a[1] == b[0] for a, b in pairs]))
        assert all(rows[1] <= memory.count for plan in made for rows in plan if rows)
    assert 0.15 < shares[0] < 0.6 < shares[1]
    assert min(follows) > 0.8
    form.plan(8, None, state.random, turn=False)
    assert all(form.source(n) is None for n in range(8)), "what sounds along has no bars of the player's"
    form.plan(4, FormSource(0, heard(40).count, 0.0), state.random, turn=True)
    assert all(form.source(n) is None for n in range(4)), "a corpus does not return"


def test_a_turn_takes_up_the_player_at_times_and_never_a_whole_turn() -> None:
    state, form = np.random.default_rng(2), AnswerForm(heard(12), plain().rhythms)
    sizes = []
    for _ in range(200):
        form.plan(4, FormSource(0, 0, 0.0), state.random, turn=True)
        returned = [form.source(n) is not None for n in range(4)]
        assert returned == sorted(returned, reverse=True)
        sizes.append(sum(returned))
    assert 0.1 < np.mean([size > 0 for size in sizes]) < 0.5
    assert set(sizes) == {0, 1, 2, 3}


def test_a_new_rhythm_lies_where_the_player_plays() -> None:
    state, form = np.random.default_rng(3), AnswerForm(heard(12), plain().rhythms)
    form.plan(8, FormSource(0, 0, 0.0), state.random, turn=False)
    used = np.array([1.0, 0.0, 0.0, 0.0] * 4)
    slots = [slot for _ in range(200) for slot in form.rhythm(0, used, state.random)]
    assert np.mean([slot % 4 == 0 for slot in slots]) > 0.8
    assert 3.0 < len(slots) / 200 < 5.0, "as many notes as in the player's bars"
    assert halves_of((0, 3, 8, 15)) == (0b1001, 0b10000001)
