"""The equaliser beside the cookbook's biquads in scipy: the same filter."""

import numpy as np
import pytest

from antiphon.api.testing import run_processor
from antiphon_effects.eq import Eq
from antiphon_effects.tests.measure import RATE, SPEC, impulse, noise, response


def cookbook(kind, hertz, gain, q):
    """b and a of Bristow-Johnson's formulae."""
    w, a = 2 * np.pi * hertz / RATE, 10 ** (gain / 40)
    c, alpha = np.cos(w), np.sin(w) / (2 * q)
    root = 2 * np.sqrt(a) * alpha
    return {
        "peak": ([1 + alpha * a, -2 * c, 1 - alpha * a], [1 + alpha / a, -2 * c, 1 - alpha / a]),
        "lowshelf": (
            [a * (a + 1 - (a - 1) * c + root), 2 * a * (a - 1 - (a + 1) * c), a * (a + 1 - (a - 1) * c - root)],
            [a + 1 + (a - 1) * c + root, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - root],
        ),
        "highshelf": (
            [a * (a + 1 + (a - 1) * c + root), -2 * a * (a - 1 + (a + 1) * c), a * (a + 1 + (a - 1) * c - root)],
            [a + 1 - (a - 1) * c + root, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - root],
        ),
        "lowcut": ([(1 + c) / 2, -(1 + c), (1 + c) / 2], [1 + alpha, -2 * c, 1 - alpha]),
        "highcut": ([(1 - c) / 2, 1 - c, (1 - c) / 2], [1 + alpha, -2 * c, 1 - alpha]),
        "notch": ([1, -2 * c, 1], [1 + alpha, -2 * c, 1 - alpha]),
    }[kind]


BANDS = [
    ("lowcut", 40.0, 0.0, 0.7071),
    ("lowshelf", 120.0, 6.0, 0.9),
    ("peak", 300.0, -12.0, 3.0),
    ("peak", 900.0, 9.0, 0.5),
    ("notch", 2000.0, 0.0, 8.0),
    ("peak", 6000.0, 24.0, 10.0),
    ("highshelf", 9000.0, -15.0, 0.7071),
    ("highcut", 17000.0, 0.0, 1.3),
]


def test_eight_bands_null_against_the_cookbook():
    signal = pytest.importorskip("scipy.signal")
    x = noise(0.5)
    settings = {}
    wanted = x.astype(np.float64)
    for n, (kind, hertz, gain, q) in enumerate(BANDS, 1):
        settings |= {f"kind{n}": kind, f"freq{n}": hertz, f"gain{n}": gain, f"q{n}": q}
        wanted = signal.lfilter(*cookbook(kind, hertz, gain, q), wanted, axis=1)
    y = run_processor(Eq(), SPEC, x, settings)
    assert np.abs(y - wanted).max() / np.abs(wanted).max() < 2e-6


def test_flat_it_changes_no_bit():
    x = noise()
    np.testing.assert_array_equal(run_processor(Eq(), SPEC, x), x)


def test_a_peak_has_its_gain_at_its_frequency_and_none_far_away():
    y = run_processor(Eq(), SPEC, impulse(1.0), {"gain4": 12.0, "freq4": 1000.0, "q4": 2.0})[0]
    np.testing.assert_allclose(response(y, [30.0, 1000.0, 20000.0]), [0.0, 12.0, 0.0], atol=0.1)


def test_a_band_that_moves_stays_finite_at_its_edges():
    x = noise(0.5)
    changes = [(3000, "freq3", 20000.0), (6000, "freq3", 20.0), (9000, "q3", 0.1), (12000, "gain3", -24.0)]
    y = run_processor(Eq(), SPEC, x, {"gain3": 24.0, "q3": 20.0}, changes)
    assert np.abs(y).max() < 150.0
    assert np.abs(y[:, -4000:]).max() < 5.0
