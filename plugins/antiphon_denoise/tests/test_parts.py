"""The denoiser's parts, each against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.api.backends.signal import grid, symlet_filters, wavelet_join, wavelet_split
from antiphon_denoise.bands import BINS, COUNT, BandMeans, centres, places
from antiphon_denoise.gate.network import HIDDEN, INPUTS, Network, load_weights
from antiphon_denoise.gate.profile import RecentSpectra
from antiphon_denoise.wavelet import Shrinker, denoise_shrink_row


def test_network_is_the_plain_formula():
    w = load_weights()
    network = Network(w)
    rng = np.random.default_rng(0)
    state = [np.zeros(HIDDEN), np.zeros(HIDDEN)]

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    def step(x, s, n):
        given, heard = x @ w[f"u{n}"] + w[f"c{n}"], s @ w[f"v{n}"]
        update, reset = logistic(given[:HIDDEN] + heard[:HIDDEN]), logistic((given + heard)[HIDDEN : 2 * HIDDEN])
        fresh = np.tanh(given[2 * HIDDEN :] + reset * (heard[2 * HIDDEN :] + w[f"d{n}"]))
        return (1 - update) * fresh + update * s

    for _ in range(20):
        x = rng.standard_normal(INPUTS).astype(np.float32)
        network.inputs[:] = x
        network.step()
        first = np.tanh(x @ w["w0"] + w["b0"])
        state[0] = step(first, state[0], 1)
        state[1] = step(state[0], state[1], 2)
        wanted = np.concatenate(state) @ w["wo"] + w["bo"]
        assert np.allclose(network.outputs.ravel(), wanted, atol=2e-4)


def test_bands_average_what_lies_around_their_centres():
    below, way = places(BINS)
    weights = np.zeros((COUNT, BINS))
    weights[below, np.arange(BINS)] += 1 - way
    weights[below + 1, np.arange(BINS)] += way
    rng = np.random.default_rng(1)
    power = rng.random(BINS).astype(np.float32)
    gain = rng.random(BINS).astype(np.float32)
    means, out = BandMeans(), np.zeros((4, COUNT), np.float32)
    means.measure(power, np.log(power), out[:2])
    means.scaled(power, gain, gain, power, out[2:])
    area = weights.sum(axis=1)
    assert np.allclose(means.area, area, rtol=1e-6)
    assert np.allclose(out[0], weights @ power / area, rtol=1e-4)
    assert np.allclose(out[1], weights @ np.log(power) / area, rtol=1e-3)
    assert np.allclose(out[2], weights @ (power * gain**2) / area, rtol=1e-4)
    assert np.allclose(out[3], weights @ (gain * power**2) / area, rtol=1e-4)
    assert (np.diff(centres()) >= 2).all()


def test_a_split_divides_the_spectrum_in_two_and_is_undone_by_its_inverse():
    low, high = symlet_filters()
    wide = np.pad(low, (0, 32))
    orthonormal = [[np.dot(np.roll(np.pad(f, (0, 32)), 2 * n), wide) for n in range(16)] for f in (low, high)]
    assert np.allclose(orthonormal, [[1.0] + [0.0] * 15, [0.0] * 16], atol=1e-6)
    out, back, scratch = np.zeros(256, np.float32), np.zeros(256, np.float32), [np.zeros(256, np.float32) for _ in "ab"]
    for cycles, whole in ((20, slice(0, 128)), (108, slice(128, 256))):
        x = np.sin(2 * np.pi * cycles * np.arange(256) / 256).astype(np.float32)
        wavelet_split(x, 1, 256, low, high, len(low), out, *scratch)
        assert np.sum(out[whole] ** 2) > 0.999 * np.sum(x**2)
        wavelet_join(out, 1, 256, low, high, len(low), back, *scratch)
        assert np.allclose(back, x, atol=1e-5)


@pytest.mark.parametrize("hertz", [300, 1000, 5000, 15000])
def test_packets_are_matched_to_the_bins_they_span(hertz):
    sizes = grid(48000)
    shrinker = Shrinker(sizes)
    t = np.arange(sizes.lag) / 48000
    frame = np.sin(2 * np.pi * hertz * t).astype(np.float32)[None]
    power = np.full(sizes.bins, 1e-6, np.float32)
    at = round(hertz / 48000 * sizes.size)
    gain = np.zeros(sizes.bins, np.float32)
    gain[max(0, at - 20) : at + 20] = 1.0
    power[max(0, at - 20) : at + 20] = 1.0
    row, window = (shrinker._arrays[n] for n in (0, 6))
    row[:] = frame[0] * window
    denoise_shrink_row(shrinker.words, power, gain, 1.0)
    out, window = row * window, window**2
    kept = float(np.sum(out * frame * window)) / float(np.sum((frame * window) ** 2))
    assert kept > 0.9


def test_recent_takes_only_what_lay_whole_within_the_half_second():
    sizes = grid(48000)
    recent = RecentSpectra(sizes, 48000)
    for n in range(91):
        recent.add(np.full(sizes.bins, float(n), np.float32))
    when = 90 * sizes.hop + 100
    assert recent.take(when)
    first = next(n for n in range(100) if (n + 1) * sizes.hop - sizes.size >= when - 24000)
    assert np.allclose(recent.mean, np.mean(np.arange(first, 90)))


def test_recent_has_nothing_before_the_first_frame():
    assert not RecentSpectra(grid(48000), 48000).take(100)
