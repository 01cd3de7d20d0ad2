"""The sounds that ship: levels, decays, no clicks; and that they are what the script makes."""

from collections import Counter

import numpy as np
import pytest
import soundfile
import soxr
from tests.each import each

from antiphon.api.backends.files import built_in_folder
from antiphon_sampler.pads import rows_by_name

KINDS = (".flac", ".ogg")
LIBRARY = built_in_folder("library")
TABLE = [line.split(",") for line in (LIBRARY / "sounds.csv").read_text().splitlines()[1:]]
PALETTE = {name: tags for name, tags, *_ in TABLE}
KIT = sorted(p for p in (LIBRARY / "kit").glob("*/*") if f"{p.parent.name}/{p.stem}" not in PALETTE)
LOOPS = sorted((LIBRARY / "loops").glob("*.flac"))
SHIPPED = sorted(p for name in ("library", "demo") for p in built_in_folder(name).rglob("*.*") if p.suffix in KINDS)
PEAK = 10.0 ** (-1.0 / 20.0)
# seconds in which the level of 10 ms pieces has fallen by 20 dB
DECAYS = {"bd": (0.15, 0.4), "sd": (0.08, 0.2), "hh": (0.02, 0.07), "oh": (0.25, 0.45), "cp": (0.08, 0.2),
          "lt": (0.25, 0.4), "mt": (0.25, 0.4), "ht": (0.25, 0.4), "rs": (0.01, 0.06), "cb": (0.12, 0.3),
          "bass": (0.6, 0.9), "pluck": (0.6, 1.4), "bell": (0.8, 1.6), "stab": (0.2, 0.5)}  # fmt: skip


def peak(x):
    """True peak, linear, of a sound as a whole."""
    return max(np.abs(soxr.resample(x, 1, 8, quality="HQ")).max(), np.abs(x).max())


def test_no_sound_that_ships_has_a_true_peak_above_minus_one():
    assert len(SHIPPED) > 280
    loud = {str(path): 20 * np.log10(peak(soundfile.read(path)[0])) for path in SHIPPED}
    assert {path: level for path, level in loud.items() if level > -1.0} == {}


@each("path", KIT)
def test_a_sample_is_loud_dry_and_does_not_click(path):
    x, rate = soundfile.read(path)
    assert 0.98 * PEAK < peak(x) <= PEAK
    assert abs(x.mean()) < 1e-3
    assert abs(x[0]) < 1e-3
    assert np.abs(x[-20:]).max() < 2e-3
    size = rate // 100
    level = np.sqrt(np.mean(x[: len(x) // size * size].reshape(-1, size) ** 2, axis=1))
    loudest = int(level.argmax())
    assert loudest <= 4, "it begins late"
    low, high = DECAYS[path.parent.name]
    below = np.flatnonzero(level[loudest:] < 0.1 * level.max())
    assert low <= (below[0] if len(below) else len(level)) / 100 <= high


def test_the_palette_is_what_its_table_says_and_as_loud_as_its_rule():
    there = {f"{p.parent.name}/{p.stem}": p for p in (LIBRARY / "kit").glob("*/*") if p not in KIT}
    assert set(there) == set(PALETTE)
    assert len(there) >= 150
    assert sum(path.stat().st_size for path in there.values()) < 4_000_000
    kinds = Counter(tags.split()[0] for tags in PALETTE.values())
    assert {"drums", "percussion", "bass", "pluck", "keys", "pad", "break", "texture", "voice"} <= set(kinds)
    for name, _, seconds, loud, highest in TABLE:
        x, rate = soundfile.read(there[name])
        assert x.ndim == 1
        assert len(x) / rate == pytest.approx(float(seconds), abs=0.01), name
        assert np.isfinite(x).all()
        assert 20 * np.log10(peak(x)) == pytest.approx(float(highest), abs=0.2), name
        assert float(loud) <= -13.9
        assert float(loud) > -14.15 or float(highest) > -1.3, name
        if not PALETTE[name].startswith("break"):
            assert abs(x[0]) < 0.05, name
            assert np.abs(x[-20:]).max() < 0.05, name


def test_the_names_that_tidal_and_strudel_users_type_are_there():
    words = {path.name for path in (LIBRARY / "kit").iterdir()}
    basic = ["bd", "sd", "hh", "oh", "cp", "rs", "lt", "mt", "ht", "cr", "rd", "cb"]
    assert {*basic, "sh", "tb", "perc", "breaks", "voice", "pad", "noise"} <= words
    for bank in ("tr808", "tr909", "lofi"):
        assert len({word for word in words if word.startswith(f"{bank}_")}) >= 11
        assert {f"{bank}_{name}" for name in ("bd", "sd", "hh", "oh", "cp", "rs", "lt", "mt", "ht", "cr")} <= words


def test_a_drum_of_a_bank_has_the_names_that_others_write():
    names = tuple(sorted(path.name for path in (LIBRARY / "kit").iterdir()))
    rows = rows_by_name(names)
    for said, folder in (
        ("sn", "sd"),
        ("rim", "rs"),
        ("tr909_sn", "tr909_sd"),
        ("tr808_rim", "tr808_rs"),
        ("RolandTR909_bd", "tr909_bd"),
        ("808bd", "tr808_bd"),
        ("808oh", "tr808_oh"),
        ("lofi_kick", "lofi_bd"),
    ):
        assert names[rows[said]] == folder, said


@each("path", LOOPS)
def test_a_loop_is_two_bars_at_100_bpm_and_closes(path):
    x, rate = soundfile.read(path)
    assert len(x) == round(8 * 60.0 / 100.0 * rate)
    assert 0.98 * PEAK < peak(x) <= PEAK
    assert abs(x.mean()) < 1e-4
    steps = np.abs(np.diff(x))
    assert abs(x[0] - x[-1]) < np.quantile(steps, 0.999)


def test_the_choir_sings_a_vowel_over_two_octaves():
    x, rate = soundfile.read(LIBRARY / "choir.flac")
    assert len(x) == round(8 * 0.7 * rate)
    assert 0.98 * PEAK < peak(x) <= PEAK
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    hertz = np.fft.rfftfreq(len(x), 1 / rate)
    vowel, between = (spectrum[(hertz > a) & (hertz < b)].sum() for a, b in ((600, 1200), (1400, 2000)))
    assert vowel > 10 * between
    assert spectrum[(hertz > 2200) & (hertz < 2700)].sum() > 2 * between * 500 / 600 * 0.5
