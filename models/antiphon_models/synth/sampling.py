"""How the samples were made: FluidR3_GM, played note by note by the fluidsynth program, trimmed, as Ogg Vorbis.

    python -m antiphon_models.synth.sampling --font FluidR3_GM.sf2 --out plugins/antiphon_synth/samples

One bright layer per pitch, at full velocity: FluidR3's grand has one layer itself, and fluidsynth plays it softer
but not darker. The darkening of soft notes is done by a low-pass at play; for every zone and velocity of `STEPS`
this tool finds the cutoff that gives the centroid of `DARKER`, and writes it to index.json. Nothing is drawn by
chance: the same font and fluidsynth give the same sound.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

import antiphon_synth
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import FLUID, FluidSettings
from antiphon_models.material.midi_bytes import TICKS, midi_bytes, note_off, note_on, program_change

STEPS = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0)
"""Velocities whose cutoff is searched."""
DARKER = (0.62, 0.8, 0.88, 0.94, 0.98, 1.0)
"""Centroid at each step, as a part of the full one. Within 30 % of the source from velocity 40 up."""
QUALITY = 0.35
"""Vorbis, 0 to 1."""
GAP = 4096
"""Frames of silence between zones: longer than the codec's block, so that no attack leaks into the note before."""
FLOOR = 10 ** (-66 / 20)
LEAD = 10 ** (-54 / 20)
FULL = 22000.0
"""Hz: a cutoff from here up is an open filter."""


@dataclass(frozen=True, slots=True)
class SampleTake:
    """Notes that are sampled of one instrument.

    roots: keys played.  tops: each root's top key.  longest: seconds kept at most.  tuned: roots between which
    the pitch is measured and put right; a grand's octaves outside stay stretched.
    """

    name: str
    channel: int
    program: int
    rate: int
    channels: int
    roots: tuple[int, ...]
    tops: tuple[int, ...]
    longest: float
    tuned: tuple[int, int]


PIANO = (26, 30, 34, 38, 42, 46, 50, 54, 58, 62, 66, 70, 74, 78, 84, 90, 94, 99, 104, 108)
BASS = (28, 34, 41, 48)
DRUMS = tuple(range(27, 88))
TAKES = (
    SampleTake("piano", 0, 0, 32000, 2, PIANO, (*PIANO[:-1], 127), 12.0, (36, 88)),
    SampleTake("bass", 0, 33, 22050, 1, BASS, (30, 36, 43, 127), 7.0, (0, 127)),
    SampleTake("drums", 9, 0, 44100, 2, DRUMS, DRUMS, 3.5, (1, 0)),
)


def play(
    font: Path,
    notes: Sequence[tuple[int, int]],
    *,
    program: int = 0,
    channel: int = 0,
    rate: int = 44100,
    hold: float = 8.0,
    gap: float = 2.0,
) -> list[NDArray[np.float32]]:
    """Each (key, velocity) alone for `hold` seconds and its release for `gap`, dry: arrays `[frames, 2]`.

    Raises FileNotFoundError without a fluidsynth program, CalledProcessError where it fails.
    """
    period = int((hold + gap) * TICKS)
    events = [(0, program_change(channel, program))]
    for n, (key, velocity) in enumerate(notes):
        at = TICKS + n * period
        events += [(at, note_on(channel, key, velocity)), (at + int(hold * TICKS), note_off(channel, key))]
    events.append((TICKS + len(notes) * period, bytes((0xB0 | channel, 123, 0))))
    x = fluidsynth.play(midi_bytes(events), font, rate, FluidSettings(gain=1.0))
    starts = [rate + n * period * rate // TICKS for n in range(len(notes))]
    return [x[s : s + period * rate // TICKS] for s in starts]


def trim(x: NDArray[np.float32], rate: int, longest: float) -> NDArray[np.float32]:
    """The part between its first and last audible frame, faded at both ends."""
    loud = np.abs(x).max(axis=1)
    peak = float(loud.max())
    if peak == 0.0:
        return x[:0]
    begin = max(0, int(np.argmax(loud > peak * LEAD)) - 8)
    end = len(loud) - int(np.argmax(loud[::-1] > peak * FLOOR))
    end = min(end, begin + int(longest * rate))
    y = x[begin:end].copy()
    edge = min(8, len(y))
    y[:edge] *= np.linspace(0.0, 1.0, edge, endpoint=False, dtype=np.float32)[:, None]
    tail = max(1, min(int(0.15 * len(y)), rate))
    y[-tail:] *= (np.cos(np.linspace(0.0, np.pi, tail)) * 0.5 + 0.5).astype(np.float32)[:, None]
    return y


def cutoffs(x: NDArray[np.float32], rate: int) -> list[float]:
    """Hz for each of `STEPS`: of the low-pass (12 dB an octave) that brings the centroid to `DARKER` of itself."""
    y = x[: rate // 2].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y) * 2)[len(y) :]))
    hz = np.fft.rfftfreq(len(y), 1.0 / rate)

    def centroid(cut: float) -> float:
        passed = spectrum / np.sqrt(1.0 + (hz / cut) ** 4)
        return float((hz * passed).sum() / max(passed.sum(), 1e-12))

    full, result = centroid(1e9), []
    for part in DARKER:
        low, high = 40.0, FULL
        for _ in range(30):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if centroid(middle) < part * full else (low, middle)
        result.append(round(FULL if part == 1.0 else high, 1))
    return result


def off_pitch(x: NDArray[np.float32], rate: int, root: int) -> float:
    """Cents by which the first four partials are above the key's, together."""
    y = x[rate // 5 : rate // 5 + 3 * rate // 2].mean(axis=1)
    size = 8 * len(y)
    level = np.sqrt(np.abs(np.fft.rfft(y * np.hanning(len(y)), size)))
    tried = np.arange(-40.0, 40.25, 0.25)
    hz = 440.0 * 2.0 ** ((root - 69 + tried / 100) / 12)
    heights = [sum(level[round(k * f * size / rate)] for k in range(1, 5) if k * f < rate / 2) for f in hz]
    return float(tried[int(np.argmax(heights))])


def sample(font: Path, take: SampleTake, out: Path) -> dict[str, Any]:
    """Writes one instrument's file; returns what index.json says of it."""
    played = play(
        font,
        [(root, 127) for root in take.roots],
        program=take.program,
        channel=take.channel,
        rate=take.rate,
        hold=take.longest + 0.5,
        gap=1.5,
    )
    zones: list[dict[str, Any]] = []
    at, low = GAP, 0
    with soundfile.SoundFile(
        out / f"{take.name}.ogg",
        "w",
        take.rate,
        take.channels,
        format="OGG",
        subtype="VORBIS",
        compression_level=1.0 - QUALITY,
    ) as file:
        write(file, np.zeros((GAP, take.channels), np.float32))
        for root, top, whole in zip(take.roots, take.tops, played, strict=True):
            x = trim(whole, take.rate, take.longest)
            if len(x) < 64:
                continue
            dark = cutoffs(x, take.rate)
            low = root if take.channel == 9 else low
            tuned = take.tuned[0] <= root <= take.tuned[1]
            pitch = round(root + off_pitch(x, take.rate, root) / 100, 4) if tuned else root
            x = x if take.channels == 2 else x.mean(axis=1, keepdims=True)
            zones.append({"root": pitch, "low": low, "high": top, "start": at, "frames": len(x), "cutoffs": dark})
            low = top + 1
            write(file, x)
            write(file, np.zeros((GAP, take.channels), np.float32))
            at += len(x) + GAP
    return {"file": f"{take.name}.ogg", "rate": take.rate, "zones": zones}


def write(file: soundfile.SoundFile, x: NDArray[np.float32]) -> None:
    """In pieces: libsndfile's Vorbis encoder overruns its stack on long ones."""
    for n in range(0, len(x), 4096):
        file.write(x[n : n + 4096])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--font", type=Path, default=FLUID)
    parser.add_argument("--out", type=Path, default=Path(antiphon_synth.__file__).parent / "samples")
    options = parser.parse_args()
    index: dict[str, Any] = {
        "velocities": STEPS,
        **{take.name: sample(options.font, take, options.out) for take in TAKES},
    }
    (options.out / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    size = sum(p.stat().st_size for p in options.out.iterdir())
    print(f"{sum(len(index[t.name]['zones']) for t in TAKES)} zones, {size / 1e6:.2f} MB in {options.out}")


if __name__ == "__main__":
    main()
