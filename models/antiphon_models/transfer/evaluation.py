"""How good the transfer is, beside doing nothing, the classical ways and the exact answer.

Tuning was done with part "tune" of the soundfont "fluid"; part "report" shares neither songs nor pairs of instruments
with it, and "timgm" is another soundfont.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from antiphon_models.transfer.baselines import WAYS
from antiphon_models.transfer.measures import measure
from antiphon_models.transfer.renders import F32, RATE, TransferTask, items

MEASURES = ("lsd", "timbre", "onsets", "chroma", "pitch")
MODES = ("envelope", "nmf", "wavelet")


@dataclass(slots=True)
class StreamedTransfer:
    """A mode through the live code, latency taken out. spent, played: seconds, the reference's analysis included."""

    mode: str
    spent: float = 0.0
    played: float = 0.0

    def __call__(self, source: F32, reference: F32) -> F32:
        import soundfile

        from antiphon.api import StreamSpec
        from antiphon.api.testing import run_processor
        from antiphon_transfer.processor import Transfer

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "reference.wav"
            soundfile.write(path, reference, RATE, "FLOAT")
            began = time.perf_counter()
            processor, spec = Transfer(), StreamSpec(RATE, 512, 1)
            padded = np.concatenate([source, np.zeros(spec.rate // 10, np.float32)])
            made = run_processor(processor, spec, padded[None], {"mode": self.mode, "reference": str(path)})[0]
            self.spent += time.perf_counter() - began
            self.played += len(source) / RATE
        return np.asarray(made[processor.latency : processor.latency + len(source)], np.float32)


@dataclass(slots=True)
class Scores:
    """Of one system, an entry an item."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def column(self, name: str) -> Any:
        return np.array([row[name] for row in self.rows])


def systems() -> dict[str, Callable[[F32, F32], F32]]:
    """Every system by name; "exact" is added by `evaluate`."""
    return {**WAYS, **{f"ours, {mode}": StreamedTransfer(mode) for mode in MODES}}


def evaluate(
    data: Path, soundfont: str = "timgm", part: str = "report", count: int = 24, seed: int = 1
) -> dict[str, Any]:
    """All systems on the same items: by system the mean and standard error of every measure.

    "lsd ratio" and "timbre ratio" are ratios of means to those of copying the input, with the standard error of a
    ratio of paired means.
    """
    ways = systems()
    scores = {name: Scores() for name in (*ways, "exact")}
    for item in items(data, soundfont, part, count, seed):
        for name, way in ways.items():
            scores[name].rows.append(_measured(way(item.source, item.reference), item))
        scores["exact"].rows.append(_measured(item.target, item))
    base = scores["copy A"]
    result: dict[str, Any] = {"soundfont": soundfont, "part": part, "n": count, "seed": seed, "systems": {}}
    for name, score in scores.items():
        row: dict[str, Any] = {key: _mean(score.column(key)) for key in MEASURES}
        for key in ("lsd", "timbre"):
            row[f"{key} ratio"] = _ratio(score.column(key), base.column(key))
        ours = ways.get(name)
        if isinstance(ours, StreamedTransfer):
            row["times real time"] = round(ours.played / ours.spent, 1)
        result["systems"][name] = row
    return result


def _measured(made: F32, item: TransferTask) -> dict[str, float]:
    return measure(made, item.source, item.target, item.reference, RATE)


def _mean(values: Any) -> tuple[float, float]:
    return round(float(values.mean()), 3), round(_error(values), 3)


def _error(values: Any) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _ratio(values: Any, base: Any) -> tuple[float, float]:
    ratio = values.mean() / base.mean()
    error = _error(values - ratio * base) / base.mean()
    return round(float(ratio), 3), round(float(error), 3)


def show(result: dict[str, Any]) -> str:
    """The table, mean ± standard error, and as last line the whole result as JSON."""
    columns = ("lsd", "lsd ratio", "timbre ratio", "onsets", "chroma", "pitch")
    head = f"{result['soundfont']} {result['part']}, n = {result['n']}, seed {result['seed']}"
    lines = [head, f"{'system':<16}" + "".join(f"{name:>16}" for name in columns) + f"{'real time':>11}"]
    for name, row in result["systems"].items():
        cells = "".join(f"{row[key][0]:>9.3f} ±{row[key][1]:.3f}" for key in columns)
        speed = f"{row['times real time']:>9} x" if "times real time" in row else ""
        lines.append(f"{name:<16}{cells}{speed}")
    return "\n".join([*lines, json.dumps(result)])


def main(data: Path, count: int = 24, seed: int = 1) -> dict[str, Any]:
    """Prints the tables of both soundfonts, of songs and pairs that were not tuned on, and returns them by soundfont.

    count: tasks of each.  Raises `FileError` where songs, chorales, soundfonts or FluidSynth are missing.
    """
    results = {}
    for soundfont in ("fluid", "timgm"):
        results[soundfont] = evaluate(data, soundfont, "report", count, seed)
        print(show(results[soundfont]), flush=True)
    return results
