"""Voices begin, are let go and are cut on the frame that was asked for, and never stay."""

import numpy as np
import pytest

from antiphon_supercollider.tests.synthdefs.score import (
    DRUMS,
    INPUT,
    PLAYERS,
    RATE,
    change,
    clock,
    differs,
    frame,
    heard,
    needs_scsynth,
    new,
    render,
)

pytestmark = needs_scsynth
TURN = 1 << 24
"""The clock's low half begins again here: beyond it a float32 no longer holds every frame."""


def moments(**at: int) -> dict[str, float]:
    """As `frame`, for a synth that knows its clock."""
    return {key: value for key, value in frame(**at).items() if key != "clock"}


@pytest.mark.parametrize("name", [*PLAYERS, *DRUMS])
def test_the_first_frame_that_sounds_is_the_one_asked_for(name):
    # one after another at every kind of place in a block of 64
    starts = [n * 9600 + place for n, place in enumerate((1, 2, 63, 64 * 30, 64 * 30 + 1, 64 * 30 + 37, 64 * 30 + 63))]
    score = [clock()]
    for n, start in enumerate(starts):
        at = max(0.0, start / RATE - 0.05)
        score.append(new(name, at, 1000 + n, **frame(start=start, cut=start + 3000)))
    x = render(score, starts[-1] / RATE + 0.2)
    for start, following in zip(starts, [*starts[1:], x.shape[1]], strict=True):
        first, last = heard(x[:, start - 1 : following - 1])
        assert first == 1
        assert last < 3000 + 600, "cut"


@pytest.mark.parametrize("first", [TURN - 20_000, 5 * TURN - 20_000, 4000 * TURN - 20_000])
def test_frames_are_exact_across_every_turn_of_the_clock(first):
    offsets = [19_999, 20_000, 30_063]
    score = [clock(first)]
    score += [
        new("pluck", max(0.0, at / RATE - 0.1), 1000 + n, **frame(start=first + at, cut=first + at + 500))
        for n, at in enumerate(offsets)
    ]
    x = render(score, 1.0)
    alone = [
        render([clock(first), new("pluck", **frame(start=first + at, cut=first + at + 500))], 1.0) for at in offsets
    ]
    assert [heard(each)[0] for each in alone] == offsets
    assert heard(x) == (offsets[0], heard(alone[-1])[1])


@pytest.mark.parametrize("when", ["stop", "cut"])
@pytest.mark.parametrize("name", ["piano", "organ"])
def test_a_note_is_let_go_and_cut_on_its_frame(name, when):
    start = 1000
    whole = render([clock(), new(name, **frame(start=start))], 0.6)
    for at in (start + 1, 6399, 6400, 12_345):
        told = render([clock(), new(name, **frame(start=start, **{when: at}))], 0.6)
        assert differs(told, whole) == at, "told when it was made"
    at = 12_345
    later = render([clock(), new(name, **frame(start=start)), change(0.1, **moments(**{when: at}))], 0.6)
    assert differs(later, whole) == at, "told afterwards"
    late = render([clock(), new(name, **frame(start=start)), change(0.4, **moments(**{when: at}))], 0.6)
    assert 0 <= differs(late, whole) - int(0.4 * RATE) < 128, "too late is at once"


def test_a_note_that_ends_before_it_begins_sounds_for_a_frame_and_ends():
    for stop in (900, 1001):
        x = render([clock(), new("organ", **frame(start=1000, stop=stop))], 0.5)
        first, last = heard(x)
        assert first == 1000
        assert last < 1000 + 0.05 * RATE


def test_the_gate_lets_go_at_once_and_below_zero_it_cuts():
    whole = render([new("pad")], 1.0)
    let_go = render([new("pad"), change(0.5, gate=0)], 3.0)
    cut = render([new("pad"), change(0.5, gate=-1)], 3.0)
    for x, longest in ((let_go, 1.3), (cut, 0.015)):
        assert 0 <= differs(x, whole) - 24_000 < 64
        assert heard(x)[1] < (0.5 + longest) * RATE
    fading = render([new("pad"), change(0.5, gate=0), change(0.7, gate=-1)], 3.0)
    assert heard(fading)[1] < 0.72 * RATE, "a voice that is fading already can be cut"


def test_voices_are_freed_when_they_have_ended():
    # a second voice of the same number fails while the first is there
    for name, controls, ended in (
        ("organ", frame(start=1000, stop=5000), 0.25),
        ("pluck", frame(start=1000) | {"decay": 0.2}, 1.5),
        ("strings", {"longest": 0.3}, 0.9),
        ("pad", frame(start=1000, cut=3000), 0.1),
        ("kick", frame(start=1000), 1.6),
    ):
        render([clock(), new(name, **controls), new(name, ended)], ended + 0.1)
        with pytest.raises(AssertionError, match="duplicate node ID"):
            render([clock(), new(name, **controls), new(name, 0.03)], 0.1)


def test_one_that_waits_too_long_is_freed():
    waiting = new("hat", **frame(start=100 * RATE))
    with pytest.raises(AssertionError, match="duplicate node ID"):
        render([clock(), waiting, new("hat", 59.0)], 59.1)
    render([clock(), waiting, new("hat", 60.5)], 60.6)


def test_a_clock_that_is_missed_for_a_while_lets_notes_sound_on():
    score = [clock(), new("organ", **frame(start=1000, stop=40_000))]
    whole = render(score, 1.2)
    # while the clock stands still its bus is 0; afterwards it is late by as much
    stood = render([*score, (0.2, ["/n_run", 999, 0]), (0.3, ["/n_run", 999, 1])], 1.2)
    assert differs(stood, whole) == 40_000
    assert 40_000 + 4800 - 128 < heard(stood)[1] - (heard(whole)[1] - 40_000) < 40_000 + 4800 + 128


def test_what_falls_into_a_gap_of_the_clock_is_exact_all_the_same():
    first = TURN - 30_000
    count = first + np.arange(RATE)
    # as a device does that finds no block of the engine's: silence on both wires
    gaps = [(9984, 10_240), (20_032, 20_096), (29_952, 30_464)]
    for a, b in gaps:
        count[a:b] = 0
    sound = np.stack([count >> 24, count & (TURN - 1)]).astype(np.float32)
    for start in (10_239, 20_050, 29_999):
        controls = frame(start=first + start, stop=first + start + 9000) | {"clock": INPUT}
        x = render([new("organ", 0.1, **controls)], 1.0, sound=sound)
        assert heard(x)[0] == start
        whole = render([new("organ", 0.1, **{**controls, "stop": -1})], 1.0, sound=sound)
        assert differs(x, whole) == start + 9000


def test_the_same_score_gives_the_same_bytes():
    score = [clock()]
    for n, name in enumerate((*PLAYERS, *DRUMS)):
        score.append(new(name, 0.0, 1000 + n, note=48 + n, seed=n, **frame(start=500 + 1111 * n, stop=30_000)))
    first, second = render(score, 1.5), render(score, 1.5)
    assert first.tobytes() == second.tobytes()
    assert heard(first)[0] == 500


def test_without_a_frame_it_plays_at_once():
    x = render([new("pluck", 0.01)], 0.2)
    # a timed bundle's place inside the block is kept; nothing sounds on the very frame a synth is made
    assert heard(x)[0] == 481
    late = render([clock(), new("pluck", 0.1, **frame(start=100))], 0.3)
    assert 0 < heard(late)[0] - 4800 <= 65


def test_a_note_let_go_before_its_frame_never_sounds():
    x = render([clock(), new("pad", **frame(start=9600)), change(0.1, gate=0), new("pad", 0.3, 1000, gain=-96)], 0.4)
    assert np.abs(x).max() < 1e-3
