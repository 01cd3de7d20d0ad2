"""Envelopes and modulations of single notes: level, low-pass, pitch, frequency modulation, length, pitch by name."""

from collections.abc import Iterator

import numpy as np
import pytest

from antiphon_sampler.pads import other_names, recorded_notes, rows_by_name
from antiphon_sampler.sounds import sounds_of
from antiphon_sampler.tests.conftest import RATE, sine, write
from antiphon_sampler.tests.test_values import played


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What is decoded of it is kept, as a node alone would not."""
    made = tmp_path_factory.mktemp("motion") / "kit"
    write(made / "tone" / "a4.wav", sine(RATE, 440.0))
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (1, RATE)).astype(np.float32)
    write(made / "noise" / "0.wav", noise)
    kept = sounds_of(made, RATE)
    yield str(made)
    del kept


def peak(sound: np.ndarray) -> float:
    """Hertz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 17))
    return float(spectrum.argmax() * RATE / (1 << 17))


def of(play, folder: str, frames: int = 36_000, note: int = 69, **values) -> np.ndarray:
    notes = list(played(0, s=values.pop("s", "tone"), note=note, **values))
    return play(notes, frames, library=folder, pads="named").audio[0][0]


def test_decay_falls_to_its_level_in_a_line(play, folder):
    y, plain = of(play, folder, decay=0.2, sustainlevel=0.25), of(play, folder)
    wanted = np.interp(np.arange(36_000), [0, 0.2 * RATE], [1.0, 0.25])
    np.testing.assert_allclose(y, plain * wanted, atol=1e-6)
    silent = of(play, folder, attack=0.1, decay=0.1)
    assert np.abs(silent[int(0.2 * RATE) + 1 :]).max() == 0.0
    assert np.abs(silent[4000:5500]).max() > 0.4


def test_the_low_pass_sweeps_up_and_back(play, folder):
    y = of(play, folder, s="noise", note=36, lpf=200.0, lpenv=5.0, lpattack=0.2, lpdecay=0.3, lpsustain=0.0)
    hertz = np.fft.rfftfreq(4096, 1 / RATE)
    bright = [float((np.abs(np.fft.rfft(y[at : at + 4096])) ** 2)[hertz > 2000].sum()) for at in (0, 8000, 30_000)]
    assert bright[1] > 100 * bright[0]
    assert bright[1] > 100 * bright[2]


def bright(sound: np.ndarray, at: int, above: float = 2000.0) -> float:
    """Power above a frequency in 4,096 frames."""
    power = np.abs(np.fft.rfft(sound[at : at + 4096] * np.hanning(4096))) ** 2
    return float(power[np.fft.rfftfreq(4096, 1 / RATE) > above].sum())


def test_a_steep_low_pass_falls_twice_as_fast_and_its_sweep_ends_with_the_note(play, folder):
    kinds = ("12db", "24db", "ladder")
    plain, steep, ladder = (of(play, folder, s="noise", note=36, lpf=500.0, ftype=kind) for kind in kinds)
    np.testing.assert_array_equal(steep, ladder)
    bands = [[bright(y, 8000, f) - bright(y, 8000, 2 * f) for f in (1000.0, 4000.0)] for y in (plain, steep)]
    slopes = [10 * np.log10(low / high) for low, high in bands]
    # two octaves higher, a band is four times as wide: 6 dB of noise
    assert slopes == pytest.approx([24.0 - 6.0, 48.0 - 6.0], abs=4.0)
    values = {"s": "noise", "note": 36, "lpf": 200.0, "lpenv": 5.0, "lpsustain": 1.0, "lasts": 0.5, "release": 0.4}
    kept, falls = (of(play, folder, **values, lprelease=seconds) for seconds in (0.0, 0.1))
    assert bright(falls, 4000) == pytest.approx(bright(kept, 4000), rel=1e-6)
    assert bright(falls, 18_000) < 0.01 * bright(kept, 18_000)


def test_the_pitch_envelope_ends_at_the_pitch_and_the_vibrato_swings_around_it(play, folder):
    y = of(play, folder, penv=12.0, pdecay=0.25)
    assert peak(y[:1200]) == pytest.approx(840.0, rel=0.05)
    assert peak(y[16_000:32_000]) == pytest.approx(440.0, rel=1e-3)
    y = of(play, folder, vib=5.0, vibmod=1.0)
    phase = np.unwrap(np.angle(np.fft.ifft(np.where(np.arange(len(y)) < len(y) // 2, np.fft.fft(y), 0))))
    pitch = 12 * np.log2(np.diff(phase)[2400:-6000] * RATE / (2 * np.pi) / 440.0)
    assert np.percentile(pitch, (2, 98)) == pytest.approx([-1.0, 1.0], abs=0.15)


def test_frequency_modulation_has_its_sidebands_by_bessels_functions(play, folder):
    bessel = pytest.importorskip("scipy.special").jv
    y = of(play, folder, fm=1.0, fmh=2.0)[:24_000]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    found = [spectrum[round(h * len(y) / RATE)] for h in (440.0, 1320.0, 2200.0)]
    j = [abs(bessel(n, 1.0)) for n in (0, 1, 2)]
    # the lower sideband of the first order folds at 440 - 880 onto the carrier
    assert found[2] / found[1] == pytest.approx((j[2]) / (j[1]), rel=0.6)
    assert found[1] > 0.2 * found[0]


def test_frequency_modulation_rises_and_falls_to_its_share(play, folder):
    y = of(play, folder, fm=2.0, fmh=3.0, fmattack=0.2, fmdecay=0.2, fmsustain=0.25)
    steady = of(play, folder, fm=0.5, fmh=3.0)
    sides = [bright(y, at, 1500.0) for at in (0, 8000, 28_000)]
    assert sides[1] > 3 * sides[0]
    assert sides[2] == pytest.approx(bright(steady, 28_000, 1500.0), rel=0.05)


def test_a_note_lasts_its_beats_and_plays_at_the_pitch_of_its_files_name(play, folder):
    y = of(play, folder, lasts=0.5, release=0.01, note=81)
    end = int(np.flatnonzero(np.abs(y) > 1e-4)[-1])
    assert end == pytest.approx(0.25 * RATE + 0.01 * RATE, abs=64)
    assert peak(y[:10_000]) == pytest.approx(880.0, rel=1e-3)
    names = ("x/c4.ogg", "x/bb3_soft.wav", "x/fs2.wav", "x/a.wav", "x/c4x.wav", "x/A3v8.wav", "x/D#4 002 D#4v8.wav")
    assert recorded_notes(names) == (60, 58, 42, -1, -1, 57, 63)


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (("p/Piano_A3.wav", "p/Piano_C4.wav", "p/Piano_D#4.wav"), (57, 60, 63)),
        (("p/vl-G3-ff.wav", "p/vl-D4-ff.wav", "p/noise.wav"), (55, 62, -1)),
        (("p/Piano_A3.wav",), (57,)),
        (("bd/kick_b1.wav", "bd/kick_b2.wav"), (-1, -1)),
        (("bd/BT0A0A7.wav", "bd/BT3A7D0.wav"), (-1, -1)),
    ],
)
def test_the_note_of_a_file_may_end_its_name(names, notes):
    assert recorded_notes(names) == notes
    assert recorded_notes(names, mapped=True) == (-1,) * len(names)


@pytest.mark.parametrize("pads", ["named", "pitch"])
def test_each_note_is_played_by_the_nearest_file(play, tmp_path, pads):
    """Sines of three levels, in files as `sounds add` names those of a listing: the level tells which file sounds."""
    for name, hertz, level in (("A3 000 a", 220.0, 0.2), ("C4 001 b", 261.6256, 0.4), ("D#4 002 c", 311.127, 0.8)):
        write(tmp_path / "kit" / "spiano" / f"{name}.wav", level * sine(RATE, hertz))
    for note, hertz, level in ((57, 220.0, 0.1), (59, 246.94, 0.2), (60, 261.63, 0.2), (70, 466.16, 0.4)):
        notes = list(played(0, s="spiano", note=note))
        y = play(notes, 20_000, library=str(tmp_path / "kit"), pads=pads, sensitivity=0.0).audio[0][0]
        assert peak(y[:10_000]) == pytest.approx(hertz, rel=2e-3)
        assert np.abs(y[:10_000]).max() == pytest.approx(level, rel=0.05)


def test_other_programs_names_come_behind_the_librarys_own(play, folder):
    rows = rows_by_name(("piano", "saw", "sawtooth", "tr909_bd"))
    names = ("piano", "saw", "sawtooth", "tr909_bd")
    assert {k: v for k, v in other_names(names).items() if k in ("superzow", "sawtooth", "gm_piano", "gm_flute")} == {
        "superzow": "sawtooth", "gm_piano": "piano"}  # fmt: skip
    assert (rows["sawtooth"], rows["gm_piano"], rows["superpiano"], rows["superzow"]) == (2, 0, 0, 2)
