"""`bench pipeline`: log-mel spectrograms of clips and songs by shards and by librosa, on 1 and 2 processes.

The sounds are noise with tones, written as MP3 and WAV. Both systems take turns, in processes of their own with one
thread each. "A core-second" is seconds of sound for a second of processor time. What is measured begins with files on
the disk (cached) and ends with spectrograms, the pipeline's as a shard on the disk. Beam's own start is measured apart.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from antiphon.kernel.io.decode_process import decoders
from antiphon.kernel.signal.features import import_librosa
from antiphon_bench.report import finish, table
from antiphon_models.pipeline import runners
from antiphon_models.pipeline.gathering import SourceItem
from antiphon_models.pipeline.settings import PreprocessSettings
from antiphon_models.pipeline.shards import FOLDER, ShardTask, compute

RATE = 44100
SETTINGS = PreprocessSettings(seconds=0.0)
MATERIAL = {
    "clips of 5 s, wav": (5.0, "wav", 80),
    "clips of 5 s, mp3": (5.0, "mp3", 80),
    "songs of 3 min, mp3": (180.0, "mp3", 4),
}
"""Seconds, format, and how many files."""
ROUNDS = 3
PROCESSES = (1, 2)
Work = Callable[[ShardTask], float]


def main(seed: int, limit: int) -> None:
    """Runs the bench.

    Args:
        seed: Random seed of the sounds.
        limit: Most clips of each kind; 0 for `MATERIAL`'s.
    """
    systems: dict[str, Work] = {"pipeline": _shard, "librosa": _librosa}
    with runners.single_threads(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = {}
        for kind, (seconds, suffix, count) in MATERIAL.items():
            tasks = _written(folder, kind, seconds, suffix, min(count, limit or count), seed)
            result[kind] = _measured(systems, tasks, seconds)
        start = _beam_start(folder, seed)
    rows = [
        (kind, system, *(entry[system][str(n)] for n in PROCESSES), entry[system]["growth"], entry[system]["core"])
        for kind, entry in result.items()
        for system in systems
    ]
    heads = ("sounds", "by", "1 process", "2 processes", "2 over 1", "a core-second")
    table(f"times real time, median of {ROUNDS} rounds, {SETTINGS.bands} bands at {SETTINGS.rate} Hz", heads, rows)
    table("seconds of a run by Beam of one shard that holds one clip", ("workers", "seconds"), list(start.items()))
    finish(
        "pipeline",
        {"seed": seed, "rounds": ROUNDS, "load": os.getloadavg()[0], "times_real_time": result, "beam_start_s": start},
    )


def _measured(systems: dict[str, Work], tasks: list[ShardTask], seconds: float) -> dict[str, dict[str, float]]:
    """Times real time by system and number of processes; systems take turns within a round."""
    total = seconds * sum(len(task.items) for task in tasks)
    speeds: dict[tuple[str, int], list[float]] = {}
    spent: dict[str, float] = {}
    for count in PROCESSES:
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            for work in systems.values():  # imports, and a first file
                first = [replace(task, number=task.number + 100, items=task.items[:1]) for task in tasks]
                list(pool.map(work, first))
            for _ in range(ROUNDS):
                for system, work in systems.items():
                    begun = time.perf_counter()
                    list(pool.map(work, tasks))
                    speeds.setdefault((system, count), []).append(total / (time.perf_counter() - begun))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for system, work in systems.items():
            pool.submit(work, replace(tasks[0], number=100, items=tasks[0].items[:1])).result()
            spent[system] = pool.submit(_processor_time, work, tasks).result()
    found = {}
    for system in systems:
        one, two = (statistics.median(speeds[system, count]) for count in PROCESSES)
        found[system] = {"1": one, "2": two, "growth": two / one, "core": total / spent[system]}
    return found


def _processor_time(work: Work, tasks: list[ShardTask]) -> float:
    """Seconds of processor for some shards, with those of the decoders: what other programs do counts for nothing."""
    decoders().close()
    before = sum(os.times()[:4])
    for task in tasks:
        work(task)
    decoders().close()
    return sum(os.times()[:4]) - before


def _shard(task: ShardTask) -> float:
    return float(compute(task)["seconds"])


def _librosa(task: ShardTask) -> float:
    """The same sounds as librosa's documents have it, one after another."""
    librosa = import_librosa()
    settings, seconds = task.settings, 0.0
    for item in task.items:
        mono, _ = librosa.load(Path(task.source) / item.path, sr=settings.rate, mono=True)
        mel = librosa.feature.melspectrogram(
            y=mono,
            sr=settings.rate,
            n_fft=settings.window,
            hop_length=settings.hop,
            center=False,
            n_mels=settings.bands,
            fmin=settings.low,
            fmax=settings.high,
        )
        librosa.power_to_db(mel)
        seconds += len(mono) / settings.rate
    return seconds


def _written(folder: Path, kind: str, seconds: float, suffix: str, count: int, seed: int) -> list[ShardTask]:
    """Writes sounds, and shares them among four shards."""
    import soundfile

    place = folder / kind.replace(" ", "-").replace(",", "")
    place.mkdir()
    dice = np.random.default_rng(seed)
    at = np.arange(round(seconds * RATE)) / RATE
    items = []
    for number in range(count):
        tones = sum(np.sin(2 * np.pi * pitch * at) for pitch in dice.uniform(80.0, 2000.0, 3))
        sound = 0.1 * tones[:, None] + 0.03 * dice.standard_normal((len(at), 2))
        soundfile.write(place / f"{number:03}.{suffix}", sound.astype(np.float32), RATE)
        items.append(SourceItem(f"{number:03}", f"{number:03}.{suffix}", "", "train", ("noise",)))
    out = str(folder / f"out-{place.name}")
    return [ShardTask(n, out, FOLDER, str(place), tuple(items[n::4]), SETTINGS) for n in range(min(4, count))]


def _beam_start(folder: Path, seed: int) -> dict[str, float]:
    """Seconds of a run with next to nothing to do, by workers; nothing where Beam is not installed."""
    if not runners.is_installed("direct"):
        return {}
    (task,) = _written(folder, "one", 1.0, "wav", 1, seed)
    found = {}
    for workers in PROCESSES:
        begun = time.perf_counter()
        runners.run([replace(task, number=workers)], folder / "beam.log", workers=workers)
        found[str(workers)] = time.perf_counter() - begun
    return found
