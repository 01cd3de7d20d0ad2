"""What instruments and drums sound like, measured: pitch, level, edges, place, and that they end."""

import itertools
import tomllib
from functools import cache

import numpy as np
import pytest

from antiphon.testing import centroid, loudest
from antiphon_supercollider.tests.synthdefs.score import (
    DRUMS,
    FOLDER,
    PLAYERS,
    RATE,
    Samples,
    change,
    clock,
    db,
    frame,
    heard,
    hertz,
    needs_scsynth,
    new,
    notes,
    pitch,
    render,
)

pytestmark = needs_scsynth
KEYS = {"bass": (28, 36, 45, 52, 60), **dict.fromkeys(PLAYERS[:2] + PLAYERS[3:], (28, 43, 60, 69.5, 84, 96))}
HOLD, LEAD = 1.2, 480
RELEASE = {"pad": 1.2, "strings": 0.45}
KIT = tomllib.loads((FOLDER / "synthdefs.toml").read_text(encoding="utf-8"))["kit"]


@cache
def over_keys(name: str) -> list[Samples]:
    """One note at velocity 80 for each of `KEYS`, with what comes after it."""
    return notes(name, [{"note": key, "velocity": 80} for key in KEYS[name]], hold=HOLD, gap=1.5, lead=LEAD)


@cache
def over_velocities(name: str) -> list[Samples]:
    key = 40 if name == "bass" else 60
    return notes(name, [{"note": key, "velocity": v} for v in (1, 30, 60, 90, 127)], hold=0.6, gap=1.4, lead=LEAD)


@pytest.mark.parametrize("name", PLAYERS)
def test_pitch_is_within_5_cents_over_the_keys(name):
    for key, x in zip(KEYS[name], over_keys(name), strict=True):
        off = pitch(x[:, LEAD + 2400 : LEAD + round(HOLD * RATE)], hertz(key))
        assert abs(off) < 5.0, key


@pytest.mark.parametrize("name", PLAYERS)
def test_a_note_of_velocity_80_is_as_loud_on_every_key(name):
    levels = [loudest(x) for x in over_keys(name)]
    assert all(-25.0 < level < -15.0 for level in levels), levels


@pytest.mark.parametrize("name", PLAYERS)
def test_louder_with_velocity_and_never_clipped(name):
    levels = [loudest(x) for x in over_velocities(name)]
    assert all(after > before + 1.5 for before, after in itertools.pairwise(levels)), levels
    keys = [21, 24, 28, 33, 40, 52, 64, 76, 88, 100, 108] if name != "bass" else [23, 28, 33, 40, 47, 55, 67]
    loud = [np.abs(x).max() for x in notes(name, [{"note": k, "velocity": 127} for k in keys], hold=0.5, gap=0.2)]
    assert max(loud) < 0.99, dict(zip(keys, loud, strict=True))


@pytest.mark.parametrize("name", PLAYERS)
def test_silent_before_and_after(name):
    for x in over_keys(name):
        first, last = heard(x)
        assert first == LEAD
        assert last <= LEAD + (HOLD + RELEASE.get(name, 0.3) + 0.01) * RATE
        assert np.abs(x[:, -LEAD:]).max() == 0.0


@pytest.mark.parametrize("name", PLAYERS)
def test_no_click_at_either_end(name):
    for x in over_keys(name):
        peak = float(np.abs(x).max())
        first, last = heard(x)
        assert np.abs(x[:, first]).max() < 0.02 * peak, "the first sample"
        assert np.abs(x[:, last]).max() < 0.001 * peak, "the last sample"
        # what a jump would do at the note's end: the release is no rougher than what was before it
        steps = np.abs(np.diff(x, axis=1)).max(axis=0)
        off = LEAD + round(HOLD * RATE)
        assert steps[off - 2 : off + 480].max() <= 1.5 * steps[off - 4800 : off - 2].max() + 1e-6


@pytest.mark.parametrize("name", ["piano", "electric_piano", "pad", "strings", "pluck"])
def test_stereo_instruments_are_balanced_and_turn_over_to_a_side(name):
    given = [{"note": 60.0}, {"note": 60.0, "pan": -1.0}]
    middle, left = notes(name, given, hold=1.0, gap=1.4)
    sides = [float(np.sqrt(np.mean(side**2))) for side in middle]
    assert abs(db(sides[0]) - db(sides[1])) < 2.0
    assert np.abs(left[1]).max() < 1e-6
    if name != "pluck":
        assert not np.array_equal(middle[0], middle[1])


@pytest.mark.parametrize("name", PLAYERS)
def test_bend_reaches_its_semitones_while_the_note_sounds(name):
    key = 48
    x = render([clock(), new(name, note=key, **frame(start=480)), change(0.4, bend=1.5)], 1.8)
    assert abs(pitch(x[:, 4800:19_000], hertz(key))) < 12.0
    assert abs(pitch(x[:, 24_000:], hertz(key + 1.5))) < 5.0
    steps = np.abs(np.diff(x, axis=1)).max(axis=0)
    assert steps[19_000:22_000].max() <= 1.6 * steps[2000:19_000].max()


@pytest.mark.parametrize("name", DRUMS)
def test_drums_are_loud_within_bounds_and_end(name):
    soft, middle, loud = notes(name, [{"velocity": v} for v in (40, 80, 127)], hold=5.0, gap=1.0)
    assert loudest(soft) + 3 < loudest(middle) < loudest(loud) - 3
    assert 0.15 < np.abs(loud).max() < 0.99
    for x in (soft, middle, loud):
        first, last = heard(x)
        assert first == 480
        assert last < 480 + 5.2 * RATE
        assert np.abs(x[:, last]).max() < 1e-3
        assert np.abs(x[:, first]).max() < 0.05 * np.abs(x).max()


def test_a_whole_kit_plays():
    keys = sorted(KIT, key=int)
    score = [clock()]
    for n, key in enumerate(keys):
        own = {name: value for name, value in KIT[key].items() if name not in ("def", "name", "choke")}
        at = n * 9600
        score.append(new(KIT[key]["def"].removeprefix("antiphon_"), max(0.0, at / RATE - 0.02), 1000 + n,
                         velocity=100, seed=n, **frame(start=480 + at, cut=at + 9000), **own))  # fmt: skip
    x = render(score, len(keys) * 0.2 + 0.1)
    for n, key in enumerate(keys):
        hit = x[:, 480 + n * 9600 : 480 + (n + 1) * 9600]
        assert heard(hit)[0] == 0, KIT[key]["name"]
        assert 0.03 < np.abs(hit).max() < 0.9, KIT[key]["name"]


def test_pan_and_gain():
    given = [{"pan": -1.0}, {"pan": 0.0}, {"pan": 1.0}, {"gain": -12.0}, {"gain": 6.0}]
    left, middle, right, softer, louder = notes("organ", given, hold=0.5, gap=0.1)
    assert np.abs(left[1]).max() < 1e-6 < np.abs(left[0]).max()
    assert np.abs(right[0]).max() < 1e-6
    assert np.array_equal(middle[0], middle[1])
    assert loudest(left) == pytest.approx(loudest(middle), abs=0.1), "equal power"
    assert loudest(softer) - loudest(middle) == pytest.approx(-12.0, abs=0.1)
    assert loudest(louder) - loudest(middle) == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("name", sorted(set(PLAYERS) - {"organ"}))
def test_brighter_with_velocity(name):
    soft, _, _, _, loud = over_velocities(name)
    assert centroid(loud[:, LEAD : LEAD + RATE]) > 1.05 * centroid(soft[:, LEAD : LEAD + RATE])
