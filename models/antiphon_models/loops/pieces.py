"""Pieces made of a library of known loops, measured from their samples."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api.files import HOME_VARIABLE
from antiphon_loops.analysis.spectrum import RATE, picture
from antiphon_models.learning.user_commands import command
from antiphon_models.loops import corpus
from antiphon_models.loops.midifile import SOUNDFONTS


def measured_pieces(count: int, pieces: int, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """A name and figures by measure: of each piece, of the library's analysis, of the command, of a block.

    Pieces of a library of `count` loops as its analysis has it, errors included, each of a length, tempo, intensity and
    seed drawn at random.
    """
    import soundfile

    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name, _home(Path(name) / "home"):
        folder, out = Path(name) / "loops", Path(name) / "piece.wav"
        folder.mkdir()
        seconds = write_library(folder, count, seed)
        began = time.perf_counter()
        command("library", "analyse", folder, "--only", "loop", "--json")
        yield "library", {"analysis": seconds / (time.perf_counter() - began)}
        for number in range(pieces):
            bpm, bars = round(float(rng.uniform(70, 160)), 1), int(rng.choice([8, 16, 32]))
            given = [f"bars={bars}", f"bpm={bpm}", f"seed={number}", f"intensity={rng.choice([0.3, 0.7, 1.0])}"]
            began = time.perf_counter()
            command("run", "loops", folder, out, "--force", "--fade", "0", *(x for p in given for x in ("-p", p)))
            took = time.perf_counter() - began
            sound, rate = soundfile.read(out, dtype="float32")
            row = piece(sound.T, rate, bpm, bars) | {"speed": len(sound) / rate / took}
            yield f"piece {number}, {bars} bars", row
        yield "command", start_times(folder)
        yield "block", block_times(folder)


def write_library(folder: Path, count: int, seed: int) -> float:
    """Writes `count` loops, half of each soundfont, in files without their truth in the name; returns seconds."""
    import soundfile

    place, frames = 0, 0
    for soundfont in SOUNDFONTS:
        for known in corpus.rendered(count // 2, soundfont, seed):
            soundfile.write(folder / f"{place:04d}.wav", known.samples.T, corpus.RATE, subtype="PCM_16")
            place += 1
            frames += known.samples.shape[1]
    return frames / corpus.RATE


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """Puts Antiphon's home, and so the analyses, elsewhere than the performer's."""
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(folder)
    try:
        yield
    finally:
        del os.environ[HOME_VARIABLE]
        if before is not None:
            os.environ[HOME_VARIABLE] = before


def start_times(folder: Path) -> dict[str, float]:
    """Times real time of `antiphon run loops`, its start included: with a library not analysed yet, and again."""
    out, speeds = folder.parent / "piece.wav", {}
    given = ["bars=32", "bpm=110", "mood=dark", "instruments=drums,bass", "seed=1"]
    line = [sys.executable, "-m", "antiphon", "run", "loops", str(folder), str(out), "--force"]
    with _home(folder.parent / "new"):
        for measure in ("new library", "known library"):
            began = time.perf_counter()
            subprocess.run([*line, *(x for p in given for x in ("-p", p))], check=True, capture_output=True)
            speeds[measure] = 32 * 240.0 / 110.0 / (time.perf_counter() - began)
    return speeds


def piece(sound: NDArray[np.float32], rate: int, bpm: float, bars: int) -> dict[str, float]:
    """Figures of a piece from its samples, float32 `[2, frames]`, beside the requested tempo and length."""
    import pyloudnorm
    import soxr

    from antiphon_loops.analysis.loudness import true_peak
    from antiphon_loops.arrangement.stretch import onsets

    edges = np.round(np.arange(bars + 1) * 240.0 / bpm * rate).astype(int)
    levels = [float(np.sqrt((sound[:, a:b] ** 2).mean())) for a, b in pairwise(edges)]
    places = np.array(onsets(sound, rate)) / rate
    sixteenth = 15.0 / bpm
    off = (places + sixteenth / 2) % sixteenth - sixteenth / 2
    mono = soxr.resample(sound.mean(axis=0), rate, RATE).astype(np.float32)
    seen = picture(mono, len(mono) / RATE)
    level = np.sqrt(seen.notes / seen.notes.max()).sum(axis=1)
    chroma = np.bincount((np.arange(len(level)) + 28) % 12, weights=level, minlength=12)
    scales = [sum(chroma[(k + s) % 12] for s in (0, 2, 4, 5, 7, 9, 11)) for k in range(12)]
    return {
        "length": abs(sound.shape[1] / rate - bars * 240.0 / bpm) * 1000,
        "tempo off": tempo_error(seen.onsets[3], seen.seconds, bpm) * 100,
        "on 16ths": float(np.mean(np.abs(off) < 0.020)) if len(off) else 1.0,
        "in one scale": float(max(scales) / chroma.sum()),
        "quietest bar": 20 * float(np.log10(min(levels) + 1e-9)),
        "true peak": 20 * float(np.log10(true_peak(sound, rate))),
        "loudness": float(pyloudnorm.Meter(rate).integrated_loudness(sound.T)),
    }


def tempo_error(onsets: NDArray[np.float64], seconds: float, bpm: float) -> float:
    """How far the strongest pulse within 2 % of `bpm` lies from it: beats, eighths and 16ths of a DFT of the onsets."""
    at = np.arange(len(onsets)) * (seconds / len(onsets))
    factors = np.linspace(0.98, 1.02, 401)
    pulses = [
        sum(abs(np.sum(onsets * np.exp(-2j * np.pi * at * bpm / 60.0 * f * part))) for part in (1, 2, 4))
        for f in factors
    ]
    return abs(float(factors[int(np.argmax(pulses))]) - 1.0)


def block_times(folder: Path, blocks: int = 2000, block: int = 64) -> dict[str, float]:
    """Microseconds of a block of 64 frames at 48 kHz, in stereo, with all roles playing: median and p99."""
    from antiphon.api import IO, BlockTime, StreamSpec
    from antiphon.api.jobs import prepare_processor
    from antiphon_loops.processor import Loops

    spec, processor = StreamSpec(48000, block, 2), Loops()
    cells = prepare_processor(processor, spec, {"library": str(folder), "intensity": 1.0, "bars": 8})
    cells.render(0, block)
    clock, out, spent = BlockTime(), np.zeros((2, block), np.float32), []
    for _ in range(blocks):
        clock.beat = clock.sample / 24000.0
        began = time.perf_counter_ns()
        processor.process(IO((), (out,), cells, clock, block))
        spent.append((time.perf_counter_ns() - began) / 1000.0)
        clock.sample += block
    processor.close()
    return {"block p50": float(np.median(spent[1:])), "block p99": float(np.percentile(spent[1:], 99))}
