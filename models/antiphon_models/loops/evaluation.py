"""What analysis gets right on loops of known truth, and whether pieces are what they promise: `antiphon bench plugins`.

Loops are drawn by `corpus` from seeds that nothing was fitted on; each direction fits on one soundfont and is
measured on the other. Not comparable with published figures: the loops are rendered, and all in four.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.api import SHARP_NAMES
from antiphon.api.files import HOME_VARIABLE
from antiphon_loops.analysis.spectrum import RATE, picture
from antiphon_loops.analysis.tables import LoopTables
from antiphon_models.loops import corpus, songs, training
from antiphon_models.loops.corpus import Known
from antiphon_models.loops.midifile import SOUNDFONTS, why_not

TEST = 33
"""The seed of what is measured on."""
PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""Krumhansl and Kessler (1982)."""
AIMS = {"tempo 4 %": 0.75, "exact": 0.70, "bars": 0.75, "key": 0.75, "keyless": 0.90, "family": 0.95}


@dataclass(frozen=True, slots=True)
class Guess:
    """What a system says of a loop; None: it does not say."""

    bpm: float | None = None
    bars: int | None = None
    key: str | None = None
    family: str | None = None


System = Callable[[Known], Guess]


def ours(tables: LoopTables) -> System:
    def guess(known: Known) -> Guess:
        import soxr

        mono = known.samples.mean(axis=0)
        mono = soxr.resample(mono / max(1e-9, float(np.abs(mono).max())), corpus.RATE, RATE).astype(np.float32)
        seen = picture(mono, known.samples.shape[1] / corpus.RATE)
        role = tables.role(seen)
        bars, _ = tables.bars(seen, role)
        key = None if role == "drums" else tables.key_of(seen, role)[0]
        return Guess(240.0 * bars / seen.seconds, bars, key or "", role if role in ("drums", "bass") else "harmonic")

    return guess


def trivial(known: Known) -> Guess:
    """1, 2, 4, 8 or 16 bars, whichever is nearest to 110 bpm; C major."""
    seconds = known.samples.shape[1] / corpus.RATE
    bars = min((1, 2, 4, 8, 16), key=lambda n: abs(np.log2(240.0 * n / seconds / 110.0)))
    return Guess(240.0 * bars / seconds, bars, "C major", "harmonic")


def librosa_beats(known: Known) -> Guess:
    """librosa's beat tracker, as it comes."""
    import librosa

    mono = known.samples.mean(axis=0)
    tempo = librosa.beat.beat_track(y=mono, sr=corpus.RATE)[0]
    return Guess(float(np.atleast_1d(tempo)[0]))


def length_aware(known: Known) -> Guess:
    """The number of bars, 1, 2, 4, 8 or 16, whose tempo is nearest to what librosa's beat tracker says."""
    said = librosa_beats(known).bpm or 120.0
    seconds = known.samples.shape[1] / corpus.RATE
    bars = min((1, 2, 4, 8, 16), key=lambda n: abs(np.log2(240.0 * n / seconds / max(said, 1.0))))
    return Guess(240.0 * bars / seconds, bars)


def krumhansl(known: Known) -> Guess:
    """The profile that correlates best with librosa's constant-Q chroma."""
    import librosa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short loops' lowest octaves
        chroma = librosa.feature.chroma_cqt(y=known.samples.mean(axis=0), sr=corpus.RATE).mean(axis=1)
    scores = {
        f"{name} {mode}": float(np.corrcoef(np.roll(profile, n), chroma)[0, 1])
        for mode, profile in PROFILES.items()
        for n, name in enumerate(SHARP_NAMES)
    }
    return Guess(key=max(scores, key=scores.__getitem__))


def marks(known: Known, guess: Guess) -> dict[str, float]:
    out: dict[str, float] = {}
    if guess.bpm is not None:
        off = abs(guess.bpm / known.bpm - 1.0)
        out |= {"tempo 4 %": float(off <= 0.04), "exact": float(off <= 0.005)}
    if guess.bars is not None:
        out["bars"] = float(guess.bars == known.bars)
    if guess.key is not None:
        out["key" if known.key else "keyless"] = float(guess.key == (known.key or ""))
    if guess.family is not None:
        out["family"] = float(guess.family == known.family)
    return out


def measure(loops: Iterable[Known], systems: dict[str, System]) -> dict[str, Any]:
    """By system and measure: n, mean, standard error; for ours also by kind of loop."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in systems}
    for known in loops:
        for name, system in systems.items():
            for what, mark in marks(known, system(known)).items():
                found[name].setdefault(what, []).append(mark)
                if name == "ours":
                    found[name].setdefault(f"{what}, {known.kind}", []).append(mark)
    return {name: {what: _summary(values) for what, values in row.items()} for name, row in found.items()}


def _summary(values: Sequence[float]) -> dict[str, float]:
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {"n": len(values), "mean": round(mean, 3), "error": round(error, 3)}


def analysis(count: int, fitted: int, data: Path | None = None) -> dict[str, Any]:
    """Both ways: fitted on one soundfont, measured on the other with what it is measured beside.

    data: with songs in it, of which some are fitted on too, and of others further loops are measured.
    """
    try:
        import librosa  # noqa: F401 - asks whether it is there

        peers: dict[str, System] = {
            "librosa beats": librosa_beats,
            "length-aware": length_aware,
            "Krumhansl": krumhansl,
        }
    except ImportError:
        peers = {}
    out: dict[str, Any] = {}
    for on, to in (("timgm6mb", "fluidr3"), ("fluidr3", "timgm6mb")):
        tables = training.fit(list(training.items(training.loops(on, fitted, data, fitted // 2))))
        systems: dict[str, System] = {"trivial": trivial, **peers, "ours": ours(tables)}
        out[f"{on} to {to}"] = measure(corpus.rendered(count, to, TEST), systems)
        if data is not None:
            cut = songs.drawn(data, count // 2, to, TEST, songs.TEST)
            out[f"{on} to {to}, of songs"] = measure(cut, systems)
    return out


# ---- pieces


def write_library(folder: Path, count: int, seed: int = TEST) -> None:
    """Loops of both soundfonts, in files whose names say nothing."""
    import soundfile

    place = 0
    for soundfont in SOUNDFONTS:
        for known in corpus.rendered(count // 2, soundfont, seed):
            soundfile.write(folder / f"{place:04d}.wav", known.samples.T, corpus.RATE, subtype="PCM_16")
            place += 1


def products(count: int, pieces: int) -> dict[str, Any]:
    """Pieces of a library of `count` loops, analysed as it comes, with its errors."""
    from antiphon_loops.library import analyse
    from antiphon_loops.render import render

    rng = np.random.default_rng(TEST)
    with tempfile.TemporaryDirectory() as name, _home(Path(name) / "home"):
        folder = Path(name) / "loops"
        folder.mkdir()
        write_library(folder, count)
        began = time.perf_counter()
        known = analyse(folder)
        spent = time.perf_counter() - began
        rows = []
        for seed in range(pieces):
            bpm, bars = round(float(rng.uniform(70, 160)), 1), int(rng.choice([8, 16, 32]))
            settings: dict[str, Any] = {
                "bars": bars,
                "bpm": bpm,
                "seed": seed,
                "intensity": float(rng.choice([0.3, 0.7, 1.0])),
            }
            began = time.perf_counter()
            sound = render(folder, settings, corpus.RATE)
            took = time.perf_counter() - began
            rows.append(piece(sound, corpus.RATE, bpm, bars) | {"speed": sound.shape[1] / corpus.RATE / took})
            if seed == 0:
                again = render(folder, settings, corpus.RATE)
                other = render(folder, settings | {"seed": pieces}, corpus.RATE)
                same, differs = np.array_equal(again, sound), not np.allclose(other, sound, atol=1e-2)
        times, commands = block_times(folder), command(folder)
    return {
        "pieces": rows, "loops": len(known.loops), "problems": len(known.problems),
        "analysis, times real time": round(sum(x.seconds for x in known.loops) / spent, 1),
        "block of 64 frames at 48 kHz, µs": times, "same seed same samples": same,
        "another seed another piece": differs, "the command, times real time": commands,
    }  # fmt: skip


@contextmanager
def _home(folder: Path) -> Iterator[None]:
    """What is analysed here is not kept among the performer's own."""
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(folder)
    try:
        yield
    finally:
        del os.environ[HOME_VARIABLE]
        if before is not None:
            os.environ[HOME_VARIABLE] = before


def command(folder: Path) -> dict[str, float]:
    """`antiphon run loops` in a process of its own, its start included: the library's first time, and again."""
    out, found = folder.parent / "piece.wav", {}
    given = ["bars=32", "bpm=110", "mood=dark", "instruments=drums,bass", "seed=1"]
    line = [sys.executable, "-m", "antiphon", "run", "loops", str(folder), str(out), "--force"]
    with _home(folder.parent / "new"):
        for time_of in ("first", "again"):
            began = time.perf_counter()
            subprocess.run([*line, *(x for p in given for x in ("-p", p))], check=True, capture_output=True)
            found[time_of] = round(32 * 240.0 / 110.0 / (time.perf_counter() - began), 1)
    return found


def piece(sound: NDArray[np.float32], rate: int, bpm: float, bars: int) -> dict[str, float]:
    """What a piece is held against, measured from its samples."""
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
        "length off, ms": abs(sound.shape[1] / rate - bars * 240.0 / bpm) * 1000,
        "tempo off, %": tempo_error(seen.onsets[3], seen.seconds, bpm) * 100,
        "onsets within 20 ms": float(np.mean(np.abs(off) < 0.020)) if len(off) else 1.0,
        "in one scale": float(max(scales) / chroma.sum()),
        "quietest bar, dB": 20 * float(np.log10(min(levels) + 1e-9)),
        "true peak, dB": 20 * float(np.log10(true_peak(sound, rate))),
        "LUFS": float(pyloudnorm.Meter(rate).integrated_loudness(sound.T)),
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


def real(data: Path) -> list[dict[str, Any]]:
    """Sonic Pi's loops, in a folder of its samples; the name of one of them tells its tempo and key."""
    from antiphon.api import FileError
    from antiphon_loops.analysis.analyse import analyse_file

    rows = []
    for path in sorted(data.glob("loop_*.flac")):
        try:
            x = analyse_file(path, path.name)
            rows.append({"file": path.stem, "bpm": x.bpm, "bars": x.bars, "key": x.key, "role": x.role})
        except FileError as error:
            rows.append({"file": path.stem, "said": str(error)})
    return rows


def block_times(folder: Path, blocks: int = 2000, block: int = 64) -> dict[str, float]:
    """Microseconds of a block of 64 frames at 48 kHz, in stereo, everything playing: p50, p99, the longest."""
    from antiphon.api import IO, BlockTime, StreamSpec
    from antiphon.api.jobs import prepare_processor
    from antiphon_loops.processor import Loops

    spec, processor = StreamSpec(48000, block, 2), Loops()
    cells = prepare_processor(processor, spec, {"library": str(folder), "intensity": 1.0, "bars": 8})
    for cell in cells.values():
        if cell.param.kind not in ("text", "file"):
            cell.render(0, block)
    clock, out, spent = BlockTime(), np.zeros((2, block), np.float32), []
    for _ in range(blocks):
        clock.beat = clock.sample / 24000.0
        began = time.perf_counter_ns()
        processor.process(IO((), (out,), cells, clock, block))
        spent.append((time.perf_counter_ns() - began) / 1000.0)
        clock.sample += block
    processor.close()
    return {"p50": round(float(np.median(spent[1:])), 1), "p99": round(float(np.percentile(spent[1:], 99)), 1)}


def show(result: dict[str, Any]) -> str:
    lines = []
    for way, systems in result.get("analysis", {}).items():
        lines.append(f"{way:<32}" + "".join(f"{what:>18}" for what in AIMS))
        for name, row in systems.items():
            cells = (f"{row[w]['mean']:.3f} ± {row[w]['error']:.3f}" if w in row else "" for w in AIMS)
            lines.append(f"  {name:<30}" + "".join(f"{cell:>18}" for cell in cells))
        counts = "".join(f"{systems['ours'].get(w, {}).get('n', ''):>18}" for w in AIMS)
        lines.append(f"  {'n':<30}{counts}")
    made = result.get("products")
    if made:
        rows = made["pieces"]
        lines.append(f"pieces: {len(rows)}, of {made['loops']} loops, as they were analysed")
        for what in rows[0]:
            values = [row[what] for row in rows]
            lines.append(
                f"  {what:<22}median {np.median(values):9.3f}   least {min(values):9.3f}   most {max(values):9.3f}"
            )
        lines += [f"  {what}: {made[what]}" for what in made if what != "pieces"]
    lines += [f"  {row}" for row in result.get("real", [])]
    return "\n".join(lines)


def main(
    data: Path | None = None, count: int = 120, fitted: int = 480, pieces: int = 20, library: int = 60
) -> dict[str, Any]:
    """Measures, prints and returns.

    data: the folder of real data, with `pop909` and `sonicpi` in it.  count: loops measured each way, and half as
    many of songs.  fitted: loops fitted on each way, and half as many of songs.  library: loops pieces are made of.
    """
    missing = why_not()
    if missing:
        print(f"loops: {missing}, so that there is nothing to measure on")
        return {}
    result: dict[str, Any] = {"analysis": analysis(count, fitted, data), "products": products(library, pieces)}
    if data is not None:
        result["real"] = real(data / "sonicpi")
    print(show(result))
    return result


if __name__ == "__main__":
    main()
