"""Synths that play buffers, and effects: to the sample, at their pitch, measured."""

import itertools

import numpy as np
import pytest

from antiphon.testing import loudest
from antiphon_supercollider.tests.synthdefs.score import (
    INPUT,
    RATE,
    Line,
    Samples,
    change,
    clock,
    db,
    frame,
    heard,
    hertz,
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


def through(name: str, sound: Samples, *more: Line, seconds: float = 0.0, **controls: float) -> Samples:
    """What an effect makes of a sound that comes in."""
    score = [new("send", 0.0, 900, **{"in": INPUT}), new(name, 0.0, 1000, **controls), *more]
    return render(score, seconds or sound.shape[1] / RATE, sound=sound)


def silence(seconds: float) -> Samples:
    return np.zeros((2, round(seconds * RATE)), np.float32)


def burst(seconds: float, length: float = 0.05, at: float = 0.1) -> Samples:
    """Noise of `length` seconds in silence, the same on both sides."""
    x, first, size = silence(seconds), round(at * RATE), round(length * RATE)
    x[:, first : first + size] = np.random.default_rng(4).uniform(-0.5, 0.5, size)
    return x


def impulse(seconds: float, at: int = 4800, side: int | None = None) -> Samples:
    x = silence(seconds)
    x[slice(None) if side is None else side, at] = 1.0
    return x


def decay(x: Samples, hz: float, after: float) -> float:
    """T60 in seconds of the octave around `hz`, from -5 to -35 dB of what is still to come (Schroeder) at `after` s."""
    size = 2 * x.shape[1]
    spectrum = np.fft.rfft(x.astype(np.float64), size, axis=1)
    # a band with soft edges: hard ones would ring for longer than a room does
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1.0) / hz)
    energy = (np.fft.irfft(spectrum * np.exp(-0.5 * (octaves / 0.25) ** 2), axis=1) ** 2).sum(axis=0)
    energy = energy[round(after * RATE) : x.shape[1]]
    left = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-12)
    return (int(np.argmax(left < -35)) - int(np.argmax(left < -5))) / RATE * 2


@pytest.mark.parametrize("time", [0.5, 2.0, 5.0])
def test_the_reverb_decays_in_the_time_asked_for(time):
    x = through("reverb", burst(time * 1.6 + 0.5), mix=1, time=time, damping=20_000)
    for hz in (125, 500, 1000, 4000):
        assert decay(x, hz, 0.25) == pytest.approx(time, rel=0.1 if hz < 4000 else 0.25), hz


def test_highs_decay_in_half_the_time_at_the_damping_frequency():
    x = through("reverb", burst(4.0), mix=1, time=2.0, damping=4000)
    assert decay(x, 4000, 0.25) == pytest.approx(1.0, rel=0.2)
    assert decay(x, 300, 0.25) == pytest.approx(2.0, rel=0.1)


def test_the_reverb_is_wide_dense_and_about_as_loud_as_what_goes_in():
    x = through("reverb", burst(3.0), mix=1)
    tail = x[:, round(0.3 * RATE) : round(1.3 * RATE)]
    assert abs(np.corrcoef(tail)[0, 1]) < 0.3
    sides = np.sqrt(np.mean(tail**2, axis=1))
    assert abs(db(sides[0]) - db(sides[1])) < 1.5
    mono = through("reverb", burst(3.0), mix=1, width=0)
    assert np.allclose(mono[0], mono[1], atol=1e-6)
    steady = silence(3.0)
    steady[:] = np.random.default_rng(5).uniform(-0.3, 0.3, steady.shape)
    wet = through("reverb", steady, mix=1)
    ratio = db(float(np.sqrt(np.mean(wet[:, RATE:] ** 2)))) - db(float(np.sqrt(np.mean(steady**2))))
    assert -9.0 < ratio < 3.0
    # a room has no tone that stands out: the lines of a late spectrum beside those around them
    level = np.abs(np.fft.rfft(tail[0] * np.hanning(tail.shape[1])))[200:6000]
    around = np.sqrt(np.convolve(level**2, np.ones(101) / 101, "same"))
    assert (level / around).max() < 7.0


def test_the_predelay_is_kept():
    x = through("reverb", impulse(0.5), mix=1, predelay=0.1)
    assert heard(x)[0] >= 4800 + 4800 - 1


@pytest.mark.parametrize("time", [0.01, 0.125, 0.375, 1.0])
def test_echoes_fall_on_their_frame(time):
    step = round(time * RATE)
    x = through("delay", impulse(2 * time + 0.3), mix=1, time=time, cross=0, feedback=0.5, tone=18_000, low_cut=10)
    for n in (1, 2):
        place = 4800 + n * step
        window = np.abs(x[0, place - step // 2 : place + step // 2])
        assert abs(int(np.argmax(window)) - step // 2) <= (n - 1), "filters in the loop may smear, not move"
    assert np.abs(x[0, 4800 + step]) == pytest.approx(1.0, abs=0.02)


def test_echoes_go_from_side_to_side_or_keep_their_own():
    time, step = 0.25, 12_000
    crossed = through("delay", impulse(1.0, side=1), mix=1, time=time, cross=1, feedback=0.5)
    level = np.array(
        [[np.abs(side[4800 + n * step - 50 : 4800 + n * step + 400]).max() for n in (1, 2, 3)] for side in crossed]
    )
    assert level[0, 0] > 20 * level[1, 0]
    assert level[1, 1] > 20 * level[0, 1]
    assert level[0, 2] > 20 * level[1, 2]
    own = through("delay", impulse(1.0, side=1), mix=1, time=time, cross=0, feedback=0.5)
    assert np.abs(own[0]).max() < 1e-6 < np.abs(own[1]).max()


def test_each_echo_is_softer_by_the_feedback():
    tone = silence(1.6)
    place = np.arange(2400)
    tone[:, 4800:7200] = (0.5 * np.sin(2 * np.pi * 500 * place / RATE) * np.hanning(2400)).astype(np.float32)
    x = through("delay", tone, mix=1, time=0.25, cross=0, feedback=0.5)
    level = [np.abs(x[0, 4800 + n * 12_000 : 7200 + n * 12_000]).max() for n in (1, 2, 3, 4)]
    for before, after in itertools.pairwise(level):
        assert after / before == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize("ceiling", [-1.0, -12.0])
def test_nothing_passes_above_the_ceiling(ceiling):
    rng = np.random.default_rng(6)
    sound = (rng.standard_normal((2, RATE)) * np.geomspace(0.01, 20, RATE)).astype(np.float32)
    sound[0, 30_000] = 200.0
    x = through("limiter", sound, ceiling=ceiling)
    assert np.abs(x).max() <= 10 ** (ceiling / 20) * 1.0001
    assert np.abs(x[:, 40_000:]).max() > 10 ** (ceiling / 20) * 0.95


def test_below_the_ceiling_it_only_delays_by_its_latency():
    sound = np.random.default_rng(7).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)
    x = through("limiter", sound)
    start = 2400  # past the fade in
    assert np.allclose(x[:, start + 127 :], sound[:, start:-127], atol=1e-6)


def test_the_limiter_turns_both_sides_down_together_and_without_a_click():
    place = np.arange(RATE)
    sound = np.stack([np.sin(2 * np.pi * 100 * place / RATE)] * 2).astype(np.float32) * 0.4
    sound[0, 24_000:26_400] *= 8
    x = through("limiter", sound, ceiling=-6, release=0.1)
    gain = np.abs(x[1, 12_000:]).reshape(-1, 480).max(axis=1) / 0.4
    assert gain[:20].min() > 0.99
    assert gain.min() < 0.25, "the quiet side goes down with the loud one"
    assert gain[-1] > 0.95
    assert np.abs(np.diff(x[1])).max() < 1.05 * np.abs(np.diff(sound[1])).max()


@pytest.mark.parametrize("name", ["reverb", "delay", "limiter"])
def test_an_effect_comes_and_goes_without_a_click_and_leaves_the_bus_alone(name):
    place = np.arange(2 * RATE)
    sound = np.stack([0.5 * np.sin(2 * np.pi * 220 * place / RATE)] * 2).astype(np.float32)
    x = through(name, sound, change(1.0, gate=0), new(name, 1.1, 1000, mix=0))
    assert np.array_equal(
        x[:, round(1.03 * RATE) : round(1.09 * RATE)], sound[:, round(1.03 * RATE) : round(1.09 * RATE)]
    )
    assert np.allclose(x[:, round(1.2 * RATE) :], sound[:, round(1.2 * RATE) :], atol=1e-6), "mix 0 is dry"
    assert np.abs(np.diff(x)).max() < 3 * np.abs(np.diff(sound)).max()


@pytest.mark.parametrize("name", ["reverb", "delay", "limiter"])
def test_a_broken_sample_does_not_stay(name):
    sound = np.random.default_rng(8).uniform(-0.3, 0.3, (2, RATE)).astype(np.float32)
    sound[0, 10_000], sound[1, 10_001] = np.nan, np.inf
    score = [new("send", 0.0, 900, **{"in": INPUT}), new(name, 0.0, 1000, mix=1)]
    x = render(score, 1.0, sound=sound)
    assert np.isfinite(x).all()
    assert np.abs(x[:, 20_000:]).max() > 0.01


def test_a_send_adds_to_what_is_there():
    sound = np.random.default_rng(9).uniform(-0.3, 0.3, (2, 24_000)).astype(np.float32)
    twice = [new("send", 0.0, 900, **{"in": INPUT}), new("send", 0.0, 901, gain=-6.0206, **{"in": INPUT})]
    x = render(twice, 0.5, sound=sound)
    assert np.allclose(x[:, 4800:], 1.5 * sound[:, 4800:], atol=1e-4)
