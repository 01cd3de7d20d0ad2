"""How near the instruments are to FluidR3's, which they were tuned by: brightness and decay at velocity 80."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change
from antiphon_supercollider.tests.synthdefs.score import RATE, Samples, centroid, needs_scsynth, notes

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
pytestmark = [
    needs_scsynth,
    pytest.mark.skipif(shutil.which("fluidsynth") is None or not FONT.is_file(), reason="needs fluidsynth and FluidR3"),
]
KEYS = (40, 52, 64, 76, 88)
LOW = (28, 34, 40, 46, 52)


def t60(x: Samples) -> float:
    """Seconds, from -5 to -25 dB below the loudest 50 ms."""
    power = (x.astype(np.float64) ** 2).mean(axis=0)
    level = 10 * np.log10(power[: len(power) // 2400 * 2400].reshape(-1, 2400).mean(axis=1) + 1e-14)
    begin = int(np.argmax(level))
    fall = level[begin:] - level[begin]
    return float((np.argmax(fall < -25) - np.argmax(fall < -5)) * 2400 / RATE * 3)


def played(keys: tuple[int, ...], program: int, hold: float) -> list[Samples]:
    """FluidR3's notes at velocity 80, each alone for `hold` seconds and its release for one."""
    period = int((hold + 1.0) * TICKS)
    events = [(0, program_change(0, program))]
    for n, key in enumerate(keys):
        at = TICKS + n * period
        events += [(at, note_on(0, key, 80)), (at + int(hold * TICKS), note_off(0, key))]
    events.append((TICKS + len(keys) * period, bytes((0xB0, 123, 0))))
    x = fluidsynth.play(midi_bytes(events), FONT, RATE, FluidSettings(gain=1.0))
    starts = [RATE + n * period * RATE // TICKS for n in range(len(keys))]
    return [x[start : start + period * RATE // TICKS] for start in starts]


def beside(name: str, program: int, keys: tuple[int, ...], hold: float) -> tuple[list[Samples], list[Samples]]:
    """Ours and FluidR3's notes, from their onset."""
    ours = [x[:, 480:] for x in notes(name, [{"note": key} for key in keys], hold=hold, gap=1.0)]
    theirs = []
    for x in played(keys, program, hold):
        theirs.append(x[int(np.argmax(np.abs(x).max(axis=1) > 0.003)) :].T)
    return ours, theirs


@pytest.mark.parametrize(
    ("name", "program", "keys", "within", "mean"),
    [
        ("piano", 0, KEYS, 1.7, 1.4),
        ("bass", 33, LOW, 1.6, 1.3),
        ("strings", 48, KEYS, 1.7, 1.4),
        ("pad", 89, KEYS, 1.7, 1.4),
        ("pluck", 24, KEYS, 2.5, 1.6),
    ],
)
def test_brightness(name, program, keys, within, mean):
    ours, theirs = beside(name, program, keys, 1.5)
    ratios = [centroid(x) / centroid(y) for x, y in zip(ours, theirs, strict=True)]
    print(name, "centroid", [round(ratio, 2) for ratio in ratios])
    assert all(1 / within < ratio < within for ratio in ratios), ratios
    assert float(np.exp(np.mean(np.abs(np.log(ratios))))) < mean


@pytest.mark.parametrize(("name", "program", "keys"), [("piano", 0, KEYS), ("bass", 33, LOW)])
def test_decay(name, program, keys):
    ours, theirs = beside(name, program, keys, 4.5)
    ratios = [t60(x) / t60(y) for x, y in zip(ours, theirs, strict=True)]
    print(name, "T60", [round(ratio, 2) for ratio in ratios])
    assert all(0.6 < ratio < 1.7 for ratio in ratios), ratios
