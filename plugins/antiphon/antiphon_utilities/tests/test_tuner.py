"""The tuner's answers to tones of known pitch."""

import numpy as np
import pytest

import antiphon
from antiphon.api import StreamSpec
from antiphon.testing import render
from antiphon_utilities.tuner import HOP, Tuner

RATE = 48000
NAMES = ("note", "cents", "hertz", "sure")
SOUNDS = {
    "sine": [1.0],
    "saw": [1 / n for n in range(1, 40)],
    "square": [n % 2 / n for n in range(1, 40)],
    "weak fundamental": [0.05] + [1 / n for n in range(1, 30)],
    "strong second": [0.15, 1.0, 0.1, 0.5, 0.05, 0.2],
    "organ": [1, 1, 0, 1, 0, 0, 0, 1],
    "no fundamental": [0.0] + [1 / n for n in range(2, 20)],
}


def tone(hertz, parts, seconds=0.5, rate=RATE, decay=0.0, stiff=0.0, noise=0.0, seed=1):
    """Partials with these amplitudes; decay: of the first a second; stiff: how much strings bend them upwards."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    y = np.zeros(len(t))
    for n, part in enumerate(parts, 1):
        at = n * hertz * np.sqrt(1 + stiff * n * n)
        if at < rate / 2:
            y += part * np.sin(2 * np.pi * (at * t + rng.uniform())) * np.exp(-decay * n * t)
    y *= 0.4 / np.abs(y).max()
    return (y + noise * rng.normal(size=len(t))).astype(np.float32)[None]


def pluck(hertz, seconds=0.45):
    """A plucked string after Karplus and Strong, tuned by an allpass."""
    wanted = RATE / hertz - 0.5
    size = int(wanted - 0.1)
    c = (1 - (wanted - size)) / (1 + (wanted - size))
    string = np.random.default_rng(2).uniform(-0.5, 0.5, size)
    out, before, mean, tuned = np.zeros(round(seconds * RATE)), 0.0, 0.0, 0.0
    for n in range(len(out)):
        at = n % size
        out[n] = string[at]
        last, mean = mean, 0.5 * (string[at] + before)
        before = string[at]
        tuned = c * mean + last - c * tuned
        string[at] = 0.999 * tuned
    return out.astype(np.float32)[None]


def readings(x, rate=RATE, tuner=None, **settings):
    """Each reading: note, cents, hertz, sure."""
    tuner, told = tuner or Tuner(), []
    inner, hop, frames = tuner.process, round(HOP * rate), 0

    def process(io):
        nonlocal frames
        inner(io)
        before, frames = frames, frames + io.frames
        if frames // hop > before // hop:
            told.append([io.reports[name] for name in NAMES])

    tuner.process = process
    render(tuner, StreamSpec(rate, 256, x.shape[0]), x, settings)
    return np.array(told)


def cents_off(x, hertz, rate=RATE, skip=3):
    """How far each reading is off, but for the first, in which the tone begins."""
    found = readings(x, rate)[skip:, 2]
    assert len(found) >= 5
    assert (found > 0).all()
    return 1200 * np.log2(found / hertz)


@pytest.mark.parametrize("sound", sorted(SOUNDS))
def test_notes_from_e1_to_4_khz_are_within_a_fifth_of_a_cent(sound):
    for place in np.arange(0.0, 79.5, 7.0 + 0.07):
        hertz = 41.2 * 2 ** (place / 12)
        assert np.abs(cents_off(tone(hertz, SOUNDS[sound]), hertz)).max() < 0.2, hertz


@pytest.mark.parametrize("rate", [44100, 96000])
def test_at_other_rates(rate):
    for hertz in (41.2, 82.4, 440.3, 1000.0, 3951.0):
        for sound in ("sine", "saw", "strong second"):
            assert np.abs(cents_off(tone(hertz, SOUNDS[sound], rate=rate), hertz, rate)).max() < 0.2


@pytest.mark.parametrize("hertz", [41.2, 55.0, 82.41, 110.0, 146.83, 196.0, 246.94, 329.63, 659.26])
def test_plucked_strings(hertz):
    assert np.abs(cents_off(pluck(hertz), hertz)).max() < 0.5
    parts = [1 / n for n in range(1, 25)]
    assert np.abs(cents_off(tone(hertz, parts, 1.0, decay=1.0), hertz)).max() < 0.5
    # partials of a stiff string are sharp, so that it has no one pitch; its first is meant
    assert np.abs(cents_off(tone(hertz, parts, 1.0, decay=1.0, stiff=1e-4), hertz)).max() < 2.0


def test_noise_twenty_db_below_leaves_it_within_a_cent():
    for hertz in (41.2, 110.0, 440.0, 1760.0, 3900.0):
        for sound in ("sine", "saw", "square"):
            assert np.abs(cents_off(tone(hertz, SOUNDS[sound], noise=0.02), hertz)).max() < 1.0


def test_note_and_cents_go_by_the_reference():
    x = tone(443.0, [1.0, 0.5])
    assert readings(x)[5, :2] == pytest.approx([69, 1200 * np.log2(443 / 440)], abs=0.1)
    assert readings(x, reference=443.0)[5, :2] == pytest.approx([69, 0], abs=0.1)
    assert readings(x, reference=415.0)[5, :2] == pytest.approx([70, 1200 * np.log2(443 / 415) - 100], abs=0.1)


def test_twenty_readings_a_second_from_the_first_tenth_of_it():
    assert HOP <= 0.1
    found = readings(tone(110.0, SOUNDS["saw"], 1.0))
    assert len(found) == 20
    assert (found[2:, 0] == 45).all()
    assert (found[2:, 3] > 0.99).all()


def test_silence_noise_and_chords_are_no_note():
    noise = np.random.default_rng(1).normal(0, 0.2, (1, 5 * RATE)).astype(np.float32)
    assert not readings(np.zeros((1, RATE), np.float32)).any()
    assert not readings(1e-4 * tone(440.0, [1.0])).any()
    assert not readings(noise)[:, :3].any()
    for notes in ((220.0, 277.2, 329.6), (164.8, 196.0, 246.9, 329.6), (130.8, 164.8, 196.0)):
        chord = sum(tone(hertz, SOUNDS["saw"], 1.0) for hertz in notes) / len(notes)
        assert not readings(chord)[:, :3].any(), notes


def test_it_passes_every_bit_and_is_over_when_the_sound_is():
    x = np.concatenate([tone(220.0, [1.0], 0.5), np.zeros((1, RATE // 2), np.float32)], axis=1)
    tuner = Tuner()
    done = render(tuner, StreamSpec(RATE, 256, 2), x)
    np.testing.assert_array_equal(done.audio[0], np.repeat(x, 2, axis=0))
    assert tuner.latency == 0
    assert [done.reports[name] for name in NAMES[:3]] == [0, 0, 0]


def test_of_a_file_the_notes_are_found_with_their_cents() -> None:
    parts = SOUNDS["saw"]
    bend = 2 ** (10 / 1200)
    a3, silence, c4 = tone(220 * bend, parts, 2.0), np.zeros((1, RATE // 2), np.float32), tone(261.6256, parts, 1.0)
    made = antiphon.run("tuner", np.concatenate([a3, silence, c4], axis=1), RATE)
    found = made.report
    assert (found["note"], found["name"]) == (57, "A3")
    assert found["cents"] == pytest.approx(10.0, abs=0.3)
    assert found["hertz"] == pytest.approx(220 * bend, abs=0.05)
    assert [(one["name"], round(one["begin"], 1), round(one["end"], 1)) for one in found["notes"]] == [
        ("A3", pytest.approx(0.1, abs=0.1), pytest.approx(2.0, abs=0.1)),
        ("C4", pytest.approx(2.6, abs=0.1), pytest.approx(3.5, abs=0.1)),
    ]
    sharp = antiphon.run("tuner", a3, RATE, reference=442.0).report
    assert sharp["cents"] == pytest.approx(10.0 + 1200 * np.log2(440 / 442), abs=0.3)
    assert not antiphon.run("tuner", np.zeros((1, RATE), np.float32), RATE).report


def test_of_a_file_the_level_is_that_of_all_of_it() -> None:
    x = np.zeros((2, 2 * RATE), np.float32)
    x[0, :RATE] = 0.5 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    x[1, 24000] = -0.8
    found = antiphon.run("meter", x, RATE).report
    assert found["peak"] == pytest.approx(20 * np.log10(0.8), abs=0.01)
    assert found["peak_seconds"] == pytest.approx(0.5)
    assert found["rms"] == pytest.approx(10 * np.log10(np.mean(np.square(x, dtype=np.float64))), abs=0.01)
