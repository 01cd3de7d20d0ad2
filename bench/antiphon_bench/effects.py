"""Compares the effects with pedalboard (Spotify; JUCE's processors): time per block, and difference of equal formulae.

Both are called block by block in turn, in one loop of one process, as a live host would call them. So a busy machine
slows both, and the minimum is the best estimate. pedalboard allocates its output in each call; ours fills one.
"""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.api import IO, BlockTime, StreamSpec, Value
from antiphon.api.backends.rendering import load_plugins, prepare_processor
from antiphon.testing import run_processor
from antiphon_bench.rig import finish, percentiles, table

RATE = 48000
BLOCKS = (64, 256)
COUNT = 4000
"""Timed blocks per effect."""
WARM = 100
NULL_SECONDS = 1.0


def peers(pedalboard: Any, impulse: str) -> dict[str, tuple[str, Any, Mapping[str, Value]]]:
    """Rows of our type, pedalboard's counterpart and our values; the name says where the two differ in formula.

    impulse: path of an impulse response for convolution.
    """
    p = pedalboard
    eight = p.Pedalboard([p.PeakFilter(200.0 * n, 3.0, 1.0) for n in range(1, 9)])
    bands: dict[str, Value] = {}
    for n in range(1, 9):
        bands |= {f"kind{n}": "peak", f"freq{n}": 200.0 * n, f"gain{n}": 3.0, f"q{n}": 1.0}
    return {
        "compressor": ("Compressor", p.Compressor(-20.0, 4.0, 5.0, 100.0), {}),
        "gate": ("NoiseGate", p.NoiseGate(-45.0, 10.0, 1.0, 50.0), {}),
        "eq": ("8 PeakFilter", eight, bands),
        "reverb": ("Reverb (8 combs, 4 allpasses)", p.Reverb(), {}),
        "drive": ("Distortion (not oversampled)", p.Distortion(12.0), {}),
        "drive, oversampling 1": ("Distortion (not oversampled)", p.Distortion(12.0), {"oversampling": "1"}),
        "bitcrush": ("Bitcrush (holds no samples)", p.Bitcrush(8.0), {}),
        "chorus": ("Chorus (one voice)", p.Chorus(), {}),
        "phaser": ("Phaser", p.Phaser(), {}),
        "pingpong": ("Delay (no tape)", p.Delay(0.4, 0.5, 1.0), {}),
        "pitch": ("PitchShift (Rubber Band)", p.PitchShift(5.0), {"semitones": 5.0}),
        "convolution": ("Convolution", p.Convolution(impulse, 1.0), {"impulse": impulse}),
    }


def main(seed: int, limit: int) -> None:
    """Runs the bench, with at most `limit` blocks of each; 0 for all."""
    import pedalboard

    made = load_plugins(check=False).make
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        impulse = str(Path(folder) / "noise.wav")
        fall = np.exp(-6.9 * np.arange(2 * RATE) / (2 * RATE))[:, None]
        soundfile.write(impulse, rng.normal(0.0, 0.1, (2 * RATE, 2)) * fall, RATE, "FLOAT")
        for block in BLOCKS:
            x = rng.normal(0.0, 0.2, (2, block)).astype(np.float32)
            for name, (other, board, settings) in peers(pedalboard, impulse).items():
                ours, theirs = compare_times(made(name.partition(",")[0]), board, x, settings, limit or COUNT)
                rows.append({"block": block, "type": name, "peer": other, "ours": ours, "theirs": theirs})
    table(
        f"µs a block of stereo at {RATE} Hz, {limit or COUNT} blocks of each in turn",
        ("block", "effect", "pedalboard's", "least", "p50", "its least", "its p50", "ratio of least"),
        [(r["block"], r["type"], r["peer"], r["ours"]["least"], r["ours"]["p50"], r["theirs"]["least"],
          r["theirs"]["p50"], r["ours"]["least"] / r["theirs"]["least"]) for r in rows],
    )  # fmt: skip
    nulls = differences(pedalboard, made, rng.normal(0.0, 0.2, (2, round(NULL_SECONDS * RATE))).astype(np.float32))
    table(
        "largest difference from pedalboard's filter, dB of its largest sample", ("filter", "dB"), list(nulls.items())
    )
    finish("effects", {"seed": seed, "cost": rows, "null": nulls, "pedalboard": version("pedalboard")})


def compare_times(
    processor: Any, board: Any, x: NDArray[np.float32], settings: Mapping[str, Value], count: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Microseconds per block of ours and of pedalboard's, called in turn; ours runs by its kernels, as in a plan."""
    spec = StreamSpec(RATE, x.shape[1], 2)
    cells = prepare_processor(processor, spec, settings)
    inputs = [x] * sum(port.kind == "audio" for port in processor.inputs)
    out = np.zeros_like(x)
    step = processor.step(IO(inputs, [out], cells, BlockTime(), x.shape[1]))
    run = None if step is None or step.conditions else step.bound()
    spent: tuple[list[float], list[float]] = ([], [])
    at = 0
    for n in range(count + WARM):
        begun = time.perf_counter_ns()
        if run is None:
            processor.process(IO(inputs, [out], cells, BlockTime(at, at * 2.0 / RATE), x.shape[1]))
        else:
            run()
        between = time.perf_counter_ns()
        board.process(x, RATE, x.shape[1], False)
        ended = time.perf_counter_ns()
        at += x.shape[1]
        if n >= WARM:
            spent[0].append((between - begun) / 1e3)
            spent[1].append((ended - between) / 1e3)
    processor.close()
    ours, theirs = ({**percentiles(part), "least": min(part)} for part in spent)
    return ours, theirs


def differences(pedalboard: Any, made: Callable[[str], Any], x: NDArray[np.float32]) -> dict[str, float]:
    """Largest difference, dB relative to the largest sample, of effects that share a formula."""
    found = {}
    for kind, board in (
        ("peak", pedalboard.PeakFilter(1000.0, 9.0, 2.0)),
        ("lowshelf", pedalboard.LowShelfFilter(300.0, 6.0, 0.8)),
        ("highshelf", pedalboard.HighShelfFilter(5000.0, -12.0, 0.7)),
    ):
        hertz, gain, q = board.cutoff_frequency_hz, board.gain_db, board.q
        settings = {"kind3": kind, "freq3": hertz, "gain3": gain, "q3": q}
        ours = run_processor(made("eq"), StreamSpec(RATE, 256, 2), x, settings)
        theirs = board.process(x, RATE, 256, True)
        found[kind] = float(20.0 * np.log10(np.abs(ours - theirs).max() / np.abs(theirs).max() + 1e-12))
    return found
