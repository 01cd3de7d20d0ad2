"""Effects, measured: decay and spread of the reverb, places of the echoes, what the limiter lets through."""

import itertools

import numpy as np
import pytest

from antiphon_supercollider.tests.synthdefs.score import (
    INPUT,
    RATE,
    Line,
    Samples,
    change,
    db,
    heard,
    needs_scsynth,
    new,
    render,
)

pytestmark = needs_scsynth


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


def test_the_reverb_stays_bounded_at_its_longest():
    x = through("reverb", burst(6.0, length=3.0), mix=1, time=30, damping=20_000)
    assert np.isfinite(x).all()
    assert np.abs(x).max() < 3.0


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
