"""Filters, distortions, ends and accelerations of single notes."""

import numpy as np
import pytest
from tests.each import each

from antiphon_sampler.coloring import FORMANTS, MAX_Q, quality
from antiphon_sampler.sounds import sounds_of
from antiphon_sampler.tests.conftest import RATE, sine, write
from antiphon_sampler.tests.test_values import played

FRAMES = 9600


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("color") / "kit"
    impulse = np.zeros((1, FRAMES), np.float32)
    impulse[0, 0] = 0.5
    write(folder / "click" / "0.wav", impulse)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, FRAMES)).astype(np.float32)
    write(folder / "noise" / "0.wav", noise)
    write(folder / "tone" / "0.wav", sine(RATE, 1000.0))
    return folder, sounds_of(folder, RATE), noise


def analogue(hertz: np.ndarray, cutoff: float, q: float, kind: str) -> np.ndarray:
    """Response of the two-pole filter that the state-variable one is the bilinear transform of."""
    s = 1j * np.tan(np.pi * hertz / RATE) / np.tan(np.pi * cutoff / RATE)
    return {"low": 1.0, "high": s**2, "band": s}[kind] / (s**2 + s / q + 1.0)


@each(
    "values, kind, cutoff, q",
    [
        ({"lpf": 800.0}, "low", 800.0, 1.0),
        ({"lpf": 3000.0, "resonance": 0.3}, "low", 3000.0, 1000**0.3),
        ({"hpf": 1500.0, "hresonance": 0.2}, "high", 1500.0, 1000**0.2),
        ({"bandf": 2000.0, "bandq": 4.0}, "band", 2000.0, 4.0),
    ],
)
def test_a_notes_filter_has_its_response(play, material, values, kind, cutoff, q):
    notes = list(played(0, s="click", **values))
    y = play(notes, 8000, library=str(material[0])).audio[0][0]
    spectrum = np.abs(np.fft.rfft(y / 0.5))[20:-1200]
    hertz = np.fft.rfftfreq(8000, 1 / RATE)[20:-1200]
    np.testing.assert_allclose(spectrum, np.abs(analogue(hertz, cutoff, q, kind)), atol=2e-3)


def test_a_resonance_is_superdirts_but_bounded():
    assert quality(0.0) == 1.0
    assert quality(0.2) == pytest.approx(1000**0.2)
    assert quality(1.0) == MAX_Q


def test_two_notes_of_one_frame_have_filters_of_their_own_whatever_the_blocks(play, material):
    library, _, noise = material
    left, right = noise * np.float32(np.sqrt(2))
    notes = [*played(77, s="noise", pan=0.0, lpf=300.0), *played(77, s="noise", pan=1.0)]
    y = play(notes, FRAMES + 200, library=str(library)).audio[0]
    np.testing.assert_allclose(y[1, 77 : 77 + 9000], right[:9000], atol=1e-6)
    dull = np.abs(np.fft.rfft(y[0, 1077:9077])) / np.abs(np.fft.rfft(left[1000:9000])).mean()
    hertz = np.fft.rfftfreq(8000, 1 / RATE)
    assert dull[hertz > 3000].mean() < 0.02 < 0.5 < dull[(hertz > 50) & (hertz < 200)].mean()
    for blocks in ([1] * 50 + [37] * 300, [256] * 40):
        other = play(notes, FRAMES + 200, blocks=blocks, library=str(library)).audio[0]
        np.testing.assert_array_equal(other, y[:, : other.shape[1]])


def test_distortions_are_superdirts_formulas(play, material):
    library, _, noise = material
    x = noise[:, :9000].astype(np.float64)

    def of(**values):
        return play(list(played(0, s="noise", **values)), 9000, library=str(library)).audio[0]

    k = 2 * 0.5 / (1 - 0.5)
    np.testing.assert_allclose(of(shape=0.5), (1 + k) * x / (1 + k * np.abs(x)), atol=1e-6)
    step = 0.5 ** (4 - 1)
    np.testing.assert_allclose(of(crush=4.0), np.floor(x / step + 0.5) * step, atol=1e-6)
    np.testing.assert_array_equal(of(coarse=8.0), np.repeat(noise[:, :9000:8], 8, axis=1))


@each("vowel", FORMANTS)
def test_a_vowel_has_its_formants(play, material, vowel):
    y = play(list(played(0, s="click", vowel=vowel)), 8000, library=str(material[0])).audio[0][0]
    spectrum, hertz = np.abs(np.fft.rfft(y)), np.fft.rfftfreq(8000, 1 / RATE)
    first = FORMANTS[vowel][0][0]
    assert abs(hertz[np.argmax(spectrum)] - first) < 60
    above = (hertz > 6000) & (hertz < 12000)
    assert spectrum[above].max() < 0.1 * spectrum.max()


def test_sustain_ends_that_note_alone_over_its_release(play, material):
    notes = [*played(100, s="tone", sustain=0.05, pan=0.0), *played(100, s="tone", pan=1.0)]
    y = play(notes, 12000, library=str(material[0])).audio[0]
    end = 100 + round(0.05 * RATE)
    assert np.abs(y[0, end - 100 : end]).max() > 0.6
    # a full side leaves 1e-16 on the other
    assert np.abs(y[0, end + 96 :]).max() < 1e-9
    assert np.abs(np.diff(y[0, end - 5 : end + 100])).max() < 0.12, "no click"
    assert np.abs(y[1, 11000:]).max() > 0.6
    slow = play(list(played(100, s="tone", sustain=0.05, release=0.1)), 12000, library=str(material[0])).audio[0]
    assert np.abs(slow[0, end + 2000 : end + 3000]).max() > 0.1
    assert not slow[0, end + 4801 :].any()


@each("accelerate", [1.0, -0.5])
def test_accelerate_changes_the_speed_in_a_straight_line_over_the_sample(play, material, accelerate):
    y = play(list(played(0, s="tone", accelerate=accelerate)), 2 * RATE, library=str(material[0])).audio[0][0]
    frames = round(RATE / (0.5 * (1 + 1 + accelerate)))
    n = np.arange(frames)
    at = n + accelerate / frames * n * (n - 1) / 2
    wanted = 0.5 * np.sin(2 * np.pi * 1000 * at / RATE)
    inner = slice(200, frames - 400)
    np.testing.assert_allclose(y[inner], wanted[inner], atol=0.01)
    assert not y[frames + 100 :].any()


def test_accelerate_over_a_sustain_and_through_a_stop(play, material):
    library = str(material[0])
    y = play(list(played(0, s="tone", accelerate=2.0, sustain=0.1)), 9600, library=library).audio[0][0]
    rising = np.flatnonzero((y[:4799] < 0) & (y[1:4800] >= 0))
    # from 1 to 3 kHz in 0.1 s
    assert abs(len(rising) - 200) <= 2
    back = play(list(played(0, s="tone", accelerate=-2.0)), 2 * RATE, library=library).audio[0][0]
    assert np.abs(np.diff(back)).max() < 0.1
    assert back[RATE // 2 - 2000 : RATE // 2].any()
    assert not back[RATE + 200 :].any()


@each("speed", [1.0, -1.0])
def test_a_part_is_repeated_and_fades_at_its_last_end_alone(play, material, speed):
    library, _, noise = material
    part = noise[:, 4800:7200] if speed > 0 else noise[:, 4800:7200][:, ::-1]
    values = {"begin": 0.5, "end": 0.75, "repeats": 3, "speed": speed}
    y = play(list(played(0, s="noise", **values)), FRAMES, library=str(library)).audio[0]
    wanted = np.tile(part, 3)
    np.testing.assert_allclose(y[:, 30:7000], wanted[:, 30:7000], atol=1e-6)
    assert not y[:, 7200:].any()


def test_the_channels_of_a_sample_are_filtered_apart(play, material):
    library, _, noise = material
    y = play(list(played(0, s="noise", hpf=900.0, lpf=2500.0)), 4000, library=str(library)).audio[0]
    hertz = np.fft.rfftfreq(1 << 15, 1 / RATE)[:-1]
    both = np.append(analogue(hertz, 900.0, 1.0, "high") * analogue(hertz, 2500.0, 1.0, "low"), 0.0)
    for channel in (0, 1):
        wanted = np.fft.irfft(np.fft.rfft(noise[channel, :4000], 1 << 15) * both)
        np.testing.assert_allclose(y[channel, :3900], wanted[:3900], atol=1e-5)
