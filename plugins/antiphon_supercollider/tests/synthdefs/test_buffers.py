"""Synths that play buffers: to the sample, at their pitch, and as the material asks."""

import numpy as np
import pytest

from antiphon_supercollider.tests.synthdefs.score import (
    INPUT,
    RATE,
    Samples,
    change,
    clock,
    db,
    differs,
    frame,
    heard,
    hertz,
    loudest,
    needs_scsynth,
    new,
    pitch,
    render,
)

pytestmark = needs_scsynth
A3 = 57


def tone(seconds: float, hz: float = 220.0, channels: int = 2) -> Samples:
    """A cosine, so that its first frame is not 0."""
    wave = 0.5 * np.cos(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return np.tile(wave, (channels, 1)).astype(np.float32)


def test_a_sample_begins_on_its_frame_and_is_the_buffer():
    ramp = np.linspace(0.1, 0.6, 4800, dtype=np.float32)
    buffers = {0: np.stack([ramp, -ramp])}
    for start in (1000, 6400, 6463):
        x = render([clock(), new("sampler", velocity=127, **frame(start=start))], 0.4, buffers=buffers)
        assert heard(x)[0] == start
        # past the attack and before the end it is the buffer, frame by frame
        assert np.allclose(x[:, start + 480 : start + 4000], buffers[0][:, 480:4000], atol=2e-3)
        first, last = heard(x)
        assert last - first < 4800 + 64
        assert np.abs(x[:, last]).max() < 1e-3


def test_mono_and_stereo_are_as_loud():
    one = render([new("sampler_mono", root=A3, note=A3)], 0.5, buffers={0: tone(1.0, channels=1)})
    two = render([new("sampler", root=A3, note=A3)], 0.5, buffers={0: tone(1.0)})
    assert loudest(one) == pytest.approx(loudest(two), abs=0.1)
    assert np.array_equal(one[0], one[1])


@pytest.mark.parametrize("note", [33, 57, 60.5, 81])
def test_a_sample_is_played_at_the_note(note):
    buffers = {0: tone(6.0, channels=1)}
    x = render([new("sampler_mono", root=A3, note=note)], 0.6, buffers=buffers)
    assert abs(pitch(x, hertz(note))) < 2.0


def test_a_loop_goes_on_until_it_is_let_go():
    buffers = {0: tone(0.5)}
    controls = {"root": A3, "note": A3, "loop": 1, "release": 0.1, **frame(start=480, stop=96_480)}
    x = render([clock(), new("sampler", **controls)], 3.0, buffers=buffers)
    assert 96_480 + 4000 < heard(x)[1] <= 96_480 + 4900
    # the tone fits the buffer 110 times: no seam
    assert np.abs(np.diff(x[:, 1000:96_000])).max() < 1.05 * np.abs(np.diff(x[:, 1000:20_000])).max()
    once = render([clock(), new("sampler", **{**controls, "loop": 0})], 3.0, buffers=buffers)
    assert heard(once)[1] < 480 + 0.51 * RATE


def test_offset_and_cutoff():
    steps = np.repeat(np.array([0.1, 0.4], np.float32), 24_000)[None].repeat(2, axis=0)
    x = render([new("sampler", velocity=127, offset=0.5)], 0.3, buffers={0: steps})
    assert np.median(np.abs(x[:, 2000:9600])) == pytest.approx(0.4, rel=0.02)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)
    dull = render([new("sampler", cutoff=500)], 0.5, buffers={0: noise})
    bright = render([new("sampler")], 0.5, buffers={0: noise})
    assert loudest(dull) < loudest(bright) - 10


def test_grains_begin_on_their_frame_and_keep_the_pitch_at_any_speed():
    buffers = {0: tone(4.0, channels=1)}
    for speed in (0.0, 0.25, -2.0):
        controls = {"root": A3, "note": 64, "speed": speed, "position": 0.5, "size": 0.2, "spread": 0.0}
        x = render([clock(), new("grains", **controls, **frame(start=777, stop=48_000))], 1.6, buffers=buffers)
        # a grain's window is 0 where it begins
        assert heard(x)[0] in (777, 778)
        # grains of 0.2 s that do not fit together blur the pitch by a few Hz
        assert abs(pitch(x[:, 9600:48_000], hertz(64))) < 60.0
        assert heard(x)[1] < 48_000 + 0.31 * RATE
        assert 0.02 < np.abs(x).max() < 0.99


def test_grains_at_their_own_speed_and_pitch_are_the_buffer_again():
    x = render(
        [new("grains", root=A3, note=A3, size=0.1, density=40, spread=0.0)], 1.2, buffers={0: tone(4.0, channels=1)}
    )
    assert abs(pitch(x[:, 9600:], 220.0)) < 0.5
    level = np.abs(np.fft.rfft(x[:, 9600:].mean(axis=0) * np.hanning(x.shape[1] - 9600)))
    hz = np.fft.rfftfreq(x.shape[1] - 9600, 1 / RATE)
    assert db(float(level[(hz < 210) | (hz > 230)].max())) < db(float(level.max())) - 40


def test_grains_keep_their_level_whatever_their_density():
    buffers = {0: np.random.default_rng(2).uniform(-0.5, 0.5, (1, 4 * RATE)).astype(np.float32)}
    levels = [
        loudest(render([new("grains", density=density, size=0.1, irregular=chance)], 1.5, buffers=buffers), 0.5)
        for density in (20, 80, 300)
        for chance in (0, 1)
    ]
    assert max(levels) - min(levels) < 6.0, levels


def test_grains_are_taken_from_the_part_asked_for():
    low, high = tone(1.0, 220.0, 1), tone(1.0, 1760.0, 1)
    buffers = {0: np.concatenate([low, high], axis=1)}
    score = {"first": (0.02, 0.45), "second": (0.55, 0.95)}
    x = {
        name: render([new("grains", position=a, to=b, **{"from": a}, spread=0.0)], 1.5, buffers=buffers)
        for name, (a, b) in score.items()
    }
    for name, near, far in (("first", 220.0, 1760.0), ("second", 1760.0, 220.0)):
        level = np.abs(np.fft.rfft(x[name].mean(axis=0) * np.hanning(x[name].shape[1])))
        hz = np.fft.rfftfreq(x[name].shape[1], 1 / RATE)
        here, there = (level[(hz > f * 0.9) & (hz < f * 1.1)].max() for f in (near, far))
        assert db(float(here)) > db(float(there)) + 40


def test_the_same_seed_gives_the_same_cloud():
    buffers = {0: tone(2.0, channels=1)}
    controls = {"spread": 0.3, "pitch_spread": 2.0, "width": 1.0, "irregular": 1.0}
    one, same, other = (render([new("grains", seed=seed, **controls)], 1.0, buffers=buffers) for seed in (5, 5, 6))
    assert one.tobytes() == same.tobytes()
    assert differs(one, other) >= 0


def test_what_plays_on_a_bus_fills_a_buffer_for_grains():
    played = np.concatenate([tone(1.0, 440.0), np.zeros((2, RATE), np.float32)], axis=1)
    empty = np.zeros((1, RATE), np.float32)
    score = [
        new("fill", 0.0, 900, head=True, buffer=0, **{"in": INPUT}),
        change(1.0, 900, run=0),
        new("grains", 1.2, root=60, note=60, size=0.1),
    ]
    x = render(score, 2.0, sound=played, buffers={0: empty})
    assert np.abs(x[:, : int(1.2 * RATE)]).max() == 0.0
    assert abs(pitch(x[:, int(1.3 * RATE) :], 440.0)) < 3.0
    assert loudest(x) > -30
