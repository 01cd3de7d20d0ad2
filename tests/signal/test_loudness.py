"""Loudness by the signals of EBU Tech 3341, with what the two gates leave out; what is limited, by several meters."""

import numpy as np
import pytest
import soxr

from antiphon.signal.loudness import LoudnessMeter, TruePeakLimiter

RATE = 48000


@pytest.mark.parametrize(
    ("levels", "seconds", "asked"),
    [
        ((-23.0,), (20.0,), -23.0),
        ((-33.0,), (20.0,), -33.0),
        ((-36.0, -23.0, -36.0), (10.0, 60.0, 10.0), -23.0),
        ((-72.0, -36.0, -23.0, -36.0, -72.0), (10.0, 10.0, 60.0, 10.0, 10.0), -23.0),
        ((-26.0, -20.0, -26.0), (20.0, 20.1, 20.0), -23.0),
    ],
)
def test_integrated_loudness_of_the_published_signals(
    levels: tuple[float, ...], seconds: tuple[float, ...], asked: float
) -> None:
    gains = [np.full(round(length * RATE), 10 ** (dbfs / 20)) for dbfs, length in zip(levels, seconds, strict=True)]
    gain = np.concatenate(gains)
    sine = gain * np.sin(2 * np.pi * 1000.0 / RATE * np.arange(len(gain)))
    assert LoudnessMeter.of(np.stack([sine, sine]).astype(np.float32), RATE) == pytest.approx(asked, abs=0.1)


def limited_signals(rate: int) -> dict[str, np.ndarray]:
    """Loud signals with peaks between the samples, half a second each."""
    rng, at = np.random.default_rng(1), np.arange(rate // 2)
    hats = np.diff(rng.standard_normal(len(at)) * np.exp(-(at % (rate // 8)) / (rate / 160)), prepend=0.0)
    return {
        "hats": 2.0 * hats / np.abs(hats).max(),
        "noise": rng.standard_normal(len(at)),
        "square": 2.0 * np.sign(np.sin(2.0 * np.pi * 441.3 * at / rate)),
        "tone": 1.5 * np.sin(np.pi / 2.0 * at + np.pi / 4.0),
    }


def true_peaks(sound: np.ndarray, rate: int) -> dict[str, float]:
    """True peak in dB by meters that cut the band off at different frequencies, and that see the start mirrored."""
    found = {}
    for quality in ("MQ", "HQ", "VHQ"):
        for name, before in (("silence", np.zeros(200, np.float32)), ("mirror", sound[200:0:-1])):
            over = soxr.resample(np.concatenate([before, sound]), rate, 8 * rate, quality=quality)[8 * len(before) :]
            found[f"{quality} after {name}"] = float(20.0 * np.log10(np.abs(over).max()))
    return found


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
@pytest.mark.parametrize("name", ["hats", "noise", "square", "tone"])
def test_limited_sound_is_below_1_db_by_any_meter(name: str, rate: int) -> None:
    sound, limiter = limited_signals(rate)[name].astype(np.float32)[None], TruePeakLimiter(rate, 1)
    parts = [limiter.take(part) for part in np.array_split(sound, [7, 300, 1000, 9000], axis=1)]
    limited = np.concatenate([*parts, limiter.end()], axis=1)
    assert limited.shape == sound.shape
    peaks = true_peaks(limited[0], rate)
    assert -2.0 < max(peaks.values()) < -1.0, peaks
