"""Mosaics as the host runs them: rendered and measured, on sounds made here."""

import numpy as np
import pytest
import soundfile

from antiphon.api import Event, StreamSpec
from antiphon.testing import render, run_processor
from antiphon_mosaic.processor import Mosaic

RATE = 48000
SPEC = StreamSpec(RATE, 256, 1)


def tone(number: float, seconds: float, partials: int = 6) -> np.ndarray:
    """A plucked note of some harmonics."""
    t = np.arange(round(seconds * RATE)) / RATE
    hertz = 440.0 * 2.0 ** ((number - 69.0) / 12.0)
    made = sum(np.sin(2 * np.pi * hertz * h * t + h) / h for h in range(1, partials + 1))
    return (0.2 * made * np.exp(-6.0 * t) * np.minimum(1.0, t * 400.0)).astype(np.float32)


def line(numbers, seconds: float = 0.4, partials: int = 6) -> np.ndarray:
    return np.concatenate([tone(number, seconds, partials) for number in numbers])


REFERENCE = line(range(48, 72), partials=10)
TARGET = np.concatenate([line([60, 64, 55, 67], partials=2) * level for level in (0.2, 1.0)])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    path = tmp_path_factory.mktemp("mosaic") / "reference.wav"
    soundfile.write(path, REFERENCE, RATE, "FLOAT")
    return str(path)


def follow(sound, path, blocks=None, **values):
    """The mosaic of a mono sound, latency taken out."""
    made = Mosaic()
    padded = np.pad(sound, (0, 8192))[None]
    out = run_processor(made, SPEC, padded, {"reference": path, **values}, blocks=blocks)[0]
    return out[made.latency : made.latency + len(sound)]


def levels(sound, size=960):
    pieces = sound[: len(sound) // size * size].reshape(-1, size)
    level = 20.0 * np.log10(np.sqrt((pieces**2).mean(axis=1)) + 1e-6)
    return np.maximum(level, level.max() - 50.0)


def hertz(sound):
    """The fundamental, by the peak of the autocorrelation."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 2 * len(sound))) ** 2
    found = np.fft.irfft(spectrum)[RATE // 1000 : RATE // 80]
    return RATE / (np.argmax(found) + RATE // 1000)


def centroid(sound):
    spectrum = np.abs(np.fft.rfft(sound))
    return float((spectrum * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / spectrum.sum())


def test_it_has_the_levels_notes_and_onsets_of_the_input(reference):
    out = follow(TARGET, reference)
    assert np.corrcoef(levels(out), levels(TARGET))[0, 1] > 0.97
    for n, number in enumerate([60, 64, 55, 67] * 2):
        at = round((0.4 * n + 0.1) * RATE)
        away = 12.0 * np.log2(hertz(out[at : at + 4800]) / hertz(TARGET[at : at + 4800]))
        assert abs(away - 12.0 * round(away / 12.0)) < 0.6, number
        if n:
            rises = np.diff(levels(out[round(0.4 * n * RATE) - 1920 :][:3840], 96))
            assert abs(int(np.argmax(rises[1:] + rises[:-1])) - 19) <= 4


def test_units_keep_their_own_spectrum_without_fit_and_a_plain_target_comes_near_with_it(reference):
    own, fitted = (centroid(follow(TARGET, reference, fit=fit)) for fit in (0.0, 1.0))
    assert centroid(TARGET) < fitted < 0.9 * own


def test_silence_stays_silent_and_without_a_reference_there_is_silence(reference):
    assert not follow(np.zeros(20000, np.float32), reference).any()
    assert not follow(TARGET[:20000], "").any()


def test_loud_and_odd_input_is_finite_and_does_not_clip(reference):
    rng = np.random.default_rng(3)
    out = follow(
        np.concatenate([np.ones(4000), rng.standard_normal(8000), np.zeros(4000)]).astype(np.float32), reference
    )
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 0.98 + 1e-4


def play(path, events, seconds=0.6, **values):
    made = Mosaic()
    zeros = np.zeros((1, round(seconds * RATE)), np.float32)
    return render(made, SPEC, zeros, {"reference": path, **values}, notes=events).audio[0][0]


def test_a_live_note_sounds_at_once_at_its_pitch_and_ends(reference):
    on, off = (Event(kind, at, 62, 0.8, live=True) for kind, at in (("on", 1000), ("off", 15000)))
    out = play(reference, [on, off])
    assert not out[:1200].any()
    assert np.abs(out[1200:1700]).max() > 0.001
    assert abs(12.0 * np.log2(hertz(out[5000:12000]) / 293.66)) < 0.6
    assert not out[19000:].any()


def test_a_dated_note_comes_with_the_latency(reference):
    out = play(reference, [Event("on", 1000, 62, 0.8)])
    first = int(np.argmax(np.abs(out) > 0))
    assert 1000 + 2000 < first < 1000 + 4000


def test_a_finger_plays_the_map(reference):
    dark, bright = (play(reference, [], touch=1.0, x=x)[5000:] for x in (0.0, 1.0))
    assert np.abs(dark).max() > 0.01
    assert centroid(bright) > 1.15 * centroid(dark)


def test_its_units_are_notes_of_a_sampler_that_holds_the_reference(reference):
    made = Mosaic()
    done = render(made, SPEC, np.pad(TARGET, (0, 8192))[None], {"reference": reference})
    begun = [event for event in done.events if event.kind == "on"]
    assert 100 < len(begun) == sum(event.kind == "off" for event in done.events)
    for n, number in enumerate([60, 64, 55, 67] * 2):
        at = round(0.4 * n * RATE) + made.latency
        unit = min((event for event in begun if event.offset >= at - 480), key=lambda event: event.offset)
        assert abs(unit.offset - at) <= 480
        # a note of the reference lasts .4 s
        found = 48 + int(unit.age / RATE / 0.4) + unit.number - 60
        assert (found - number) % 12 == 0, number
    soft, loud = (np.median([e.value for e in begun if (e.offset > 80000) == late]) for late in (False, True))
    assert soft < 0.5 < loud


def test_a_folder_is_one_corpus(tmp_path):
    soundfile.write(tmp_path / "low.wav", line([48]), RATE)
    soundfile.write(tmp_path / "high.flac", line([67]), RATE)
    (tmp_path / "notes.txt").write_text("no sound")
    for number in (48, 67):
        out = follow(tone(number, 0.5), str(tmp_path), transpose=0)
        assert abs(12.0 * np.log2(hertz(out[9600:16800]) / (440.0 * 2 ** ((number - 69) / 12)))) < 0.6
