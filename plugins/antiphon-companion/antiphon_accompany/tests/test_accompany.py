"""The accompanist as it streams: never late, in any blocks, and every note ended."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from antiphon.api import IO, BlockTime, Event, StreamSpec
from antiphon.api.backends.rendering import prepare_processor
from antiphon_accompany.band.parts import BeatNote
from antiphon_accompany.band.styles import STYLES
from antiphon_accompany.files.offline import HarmonyResult, accompany_file
from antiphon_accompany.harmony.chords import KEYS, tones
from antiphon_accompany.processor import Accompany
from antiphon_accompany.tests.playing import RATE, TUNE, left, play, tune


def test_it_begins_with_the_beat_after_the_melody_did() -> None:
    late = [BeatNote(n.start + 4.3, n.end + 4.3, n.pitch, n.velocity) for n in TUNE]
    assert play(late, 24, {"humanise": 0.0})[0][0] == pytest.approx(5.0, abs=1e-9)
    assert play([], 24) == []


@pytest.mark.parametrize("style", STYLES)
def test_every_note_begins_on_the_grid_to_the_frame(style: str) -> None:
    grid = 3 if style == "swing" else 4
    # a frame that is no whole part of a beat: an onset is the first frame at which its beat has come
    tempo = (120.0, 97.3)[list(STYLES).index(style) % 2]
    events = play(TUNE, 32, {"style": style, "humanise": 0.0}, tempo=tempo)
    begun = np.array([at for at, event in events if event.kind == "on"])
    assert len(begun) > 40
    late = (begun - np.round(begun * grid) / grid) * RATE * 60.0 / tempo
    assert ((late >= 0.0) & (late < 1.0 + 1e-3)).all()


@cache
def in_blocks(sizes: tuple[int, ...], tempo: float) -> list[tuple[float, str, int, float]]:
    changes = [(3.7, "style", "arpeggio"), (7.2, "density", 0.8), (9.0, "key", "F")]
    events = play(TUNE, 12, blocks=sizes, tempo=tempo, changes=changes, rate=4000)
    return [(at, e.kind, e.number, e.value) for at, e in events]


@given(blocks=st.lists(st.integers(1, 512), min_size=1, max_size=6), tempo=st.sampled_from((120.0, 97.3)))
@settings(max_examples=8)
def test_any_blocks_give_the_same_notes(blocks: list[int], tempo: float) -> None:
    assert in_blocks(tuple(blocks), tempo) == in_blocks((512,), tempo)


def chord_on_eight(melody: list[BeatNote]) -> int:
    """The chord of beat 8 under a melody that is the same before, of which nothing is known ahead."""
    chords: list[tuple[float, int]] = []
    accompany_file([*tune("E1 D1 C1 D1 E1 E1 E2"), *melody], {"lookahead": 0}, heard=HarmonyResult(labels=chords))
    return {round(beat): chord for beat, chord in chords}[8]


def test_a_chord_is_decided_of_what_has_begun_with_its_beat() -> None:
    begins, ends = BeatNote(8.0, 8.9, 79, 0.7), BeatNote(9.0, 9.9, 76, 0.7)
    found = chord_on_eight([begins, ends])
    assert chord_on_eight([begins, ends._replace(pitch=82)]) == found
    assert chord_on_eight([begins._replace(end=8.3), BeatNote(8.4, 8.9, 73, 0.7)]) == found
    assert len({chord_on_eight([begins._replace(pitch=pitch), ends]) for pitch in range(74, 86)}) > 1


@pytest.mark.parametrize("follow", ["listen", "both", "melody"])
def test_a_chord_on_the_beat_strikes_a_key_once(follow: str) -> None:
    chords = ((48, 52, 55), (53, 57, 60), (50, 55, 59), (45, 48, 52), (52, 55, 59))
    held = [BeatNote(n, n + 0.9, pitch, 0.7) for n in range(24) for pitch in chords[n % 5]]
    wishes = {"follow": follow, "humanise": 0.0, "intensity": 0.9, "parts": "all"}
    for style in ("waltz", "ballad", "chorale"):
        struck = [
            (round(at, 3), e.channel, e.number)
            for at, e in play(held, 24, {**wishes, "style": style})
            if e.kind == "on"
        ]
        assert len(struck) == len(set(struck)), style


@pytest.mark.parametrize("what", ["stop", "reset", "locate", "key", "style", "meter", "tempo", "register"])
def test_nothing_hangs(what: str) -> None:
    value = {"locate": 2.0, "key": "Ebm", "style": "rock", "meter": 3, "tempo": 61.0, "register": 7}.get(what)
    for beat in (4.0, 6.37):
        events = play(TUNE, 20, {"style": "block"}, changes=[(beat, what, value), (17.0, "stop", None)])
        assert left(events) == set()
        if what in ("stop", "reset", "locate"):
            held = left([e for e in events if e[0] < beat])
            assert held
            ended = {e.number for at, e in events if e.kind == "off" and abs(at - beat) < 1e-3}
            assert held == ended
        if what != "stop":
            assert any(at > beat + 1 and e.kind == "on" for at, e in events)


def test_a_stopped_clock_plays_nothing_and_starts_again() -> None:
    events = play(TUNE, 24, changes=[(4.0, "stop", None), (12.0, "play", None)])
    begun = [at for at, e in events if e.kind == "on"]
    assert not [at for at in begun if 4.0 <= at < 12.0]
    assert [at for at in begun if 12.0 <= at < 13.1]


HAND = [BeatNote(at, at + 1.9, pitch, 0.7) for at, *pitches in ((2, 43, 47, 50), (6, 41, 45, 48)) for pitch in pitches]


def test_a_chord_that_was_played_while_the_clock_stood_is_that_of_its_first_beat() -> None:
    changes = [(0.0, "stop", None), (8.0, "play", None)]
    events = play(HAND, 10, {"follow": "chords", "style": "block"}, changes=changes)
    begun = [(at, e.number % 12) for at, e in events if e.kind == "on"]
    assert min(at for at, _ in begun) >= 8.0
    assert {number for at, number in begun if at < 8.2} == {5, 9, 0}


def test_it_rests_when_nobody_plays_and_ends_its_notes() -> None:
    events = play(tune("C1 E1 G1 E1"), 40, {"patience": 2})
    assert left(events) == set()
    # two bars of patience to the bar line, and a cadence of two bars
    assert 12 < max(at for at, e in events if e.kind == "on") < 21


def test_loudness_follows() -> None:
    soft, loud = ([BeatNote(n.start, n.end, n.pitch, v) for n in TUNE] for v in (0.25, 0.9))
    mean = [
        sum(e.value for _, e in on) / len(on)
        for on in ([x for x in play(notes, 32) if x[1].kind == "on"] for notes in (soft, loud))
    ]
    assert mean[1] > 2.5 * mean[0]


def test_density_register_and_seed() -> None:
    def on(**given: float) -> list[tuple[float, int]]:
        return [(at, e.number) for at, e in play(TUNE, 24, dict(given)) if e.kind == "on"]

    usual = on()
    # a new chord is struck at any density
    for what in ("density", "intensity"):
        full, sparse = (len(on(**{what: value})) for value in (1.0, 0.0))
        assert full > 1.45 * len(usual) > 1.7 * sparse
    # under a melody that leaves room for both
    high = [note._replace(pitch=note.pitch + 12) for note in TUNE]
    low, middle = ([e.number for _, e in play(high, 24, {"register": by}) if e.kind == "on"] for by in (-12, 0))
    assert sum(low) / len(low) - sum(middle) / len(middle) == pytest.approx(-12, abs=3)
    assert on(seed=1) == usual
    assert on(seed=2) != usual


def test_a_fixed_key_is_kept_to() -> None:
    events = play(TUNE, 40, {"key": "Ab"})
    used = {e.number % 12 for at, e in events if e.kind == "on" and at > 4}
    assert used <= {0, 1, 3, 5, 7, 8, 10}
    assert KEYS[8] == "Ab"


def test_it_makes_room_for_the_melody() -> None:
    sounding: set[int] = set()
    playing: set[int] = set()
    moments = [(n.start, 2, "melody on", n.pitch) for n in TUNE] + [(n.end, 0, "melody off", n.pitch) for n in TUNE]
    moments += [(at, 1 if e.kind == "off" else 3, e.kind, e.number) for at, e in play(TUNE, 40)]
    for at, _, kind, pitch in sorted((round(a, 3), o, k, p) for a, o, k, p in moments):
        if kind == "melody on":
            playing.add(pitch)
        elif kind == "melody off":
            playing.discard(pitch)
        elif kind == "on":
            sounding.add(pitch)
            assert not any(abs(pitch - p) in (0, 1, 13) for p in playing), at
        else:
            sounding.discard(pitch)


def test_a_plain_tune_in_c_gets_chords_of_c() -> None:
    begun = [e.number % 12 for at, e in play(TUNE, 40) if e.kind == "on" and at > 4]
    diatonic = sum(p in (0, 2, 4, 5, 7, 9, 11) for p in begun)
    assert diatonic > 0.95 * len(begun)
    assert sum(p in tones(0) for p in begun) > 0.4 * len(begun)


@pytest.mark.parametrize("tempo", [40.0, 120.0, 300.0])
def test_rough_input(tempo: float) -> None:
    """Notes twice begun, never ended, ended without beginning, all at once, at every pitch."""
    notes = [BeatNote(n / 7, n / 7 + math.inf if n % 5 == 0 else n / 7 + 0.01, n * 37 % 128, 1.0) for n in range(120)]
    notes = [BeatNote(n.start, min(n.end, 60.0), n.pitch, n.velocity) for n in notes]
    events = play(notes, 30, tempo=tempo, changes=[(29.0, "stop", None)])
    assert left(events) == set()
    assert all(0 <= e.number <= 127 and (e.kind == "off" or 0.0 < e.value <= 1.0) for _, e in events)


def test_a_bend_of_the_melody_is_another_pitch_for_the_harmony() -> None:
    """A note that was begun a semitone too low and bent up counts as the pitch that it was bent to, and ends as it."""
    node = Accompany()
    cells = prepare_processor(node, StreamSpec(RATE, 512, 1), {})
    io = IO([], [], cells, BlockTime(tempo=120.0, playing=True))
    io.frames = 512
    first = [Event("on", 0, 59, 0.7), Event("bend", 100, 0, 0.5)]
    for at, events in ((0, first), (512, [Event("off", 0, 59), Event("bend", 9, 0, 0.0)])):
        io.time.sample, io.time.beat = at, at / RATE * 2.0
        io.events_in[:] = events
        node.process(io)
        assert list(node._band.listener.sounding) == ([60] if at == 0 else [])
    assert node._melody.onsets[0, 0] == 1.0
    assert node._melody.onsets[0, 11] == 0.0
    assert node._melody.durations[0, 0] > 0.1
    assert node._melody.durations[0, 11] == 0.0
