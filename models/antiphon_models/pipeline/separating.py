"""The step that takes sounds apart: the stems of each as sound files, and shards of their spectrograms."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from antiphon.errors import FileError
from antiphon.io.audiowrite import AudioWriter
from antiphon.library.analyses import separator
from antiphon.library.separation import separate_blocks
from antiphon.signal.mel import LogMel
from antiphon_models.datasets.examination import fault_of
from antiphon_models.pipeline.gathering import SourceItem, shard_of
from antiphon_models.pipeline.settings import PipelineSettings, PreprocessSettings
from antiphon_models.pipeline.shards import excerpt, file_digest, read_again, write_shard

SOUNDS = "stem-sounds"
"""The folder of the stems: DIGEST/PART.flac, by the digest of the sound's file."""
QUIETEST = -120.0
"""Decibels of a silent stem."""


@dataclass(frozen=True, slots=True)
class StemsTask:
    """One shard of stems to compute; plain data, which a runner sends to another process or machine.

    Attributes:
        number: From 0.
        out: The pipeline's folder.
        source: The data set's folder.
        items: Its sounds, by name.
        settings: Settings of the spectrograms, and how much of each sound is taken apart.
        version: Of the analysis that takes apart.
    """

    number: int
    out: str
    source: str
    items: tuple[SourceItem, ...]
    settings: PreprocessSettings
    version: int

    @property
    def path(self) -> Path:
        """Path of the shard's file."""
        return Path(self.out) / "stems" / f"{self.number:05}.parquet"

    @property
    def dead(self) -> Path:
        """The list of its bad sounds, a JSON object a line."""
        return Path(self.out) / "dead-stems" / f"{self.number:05}.jsonl"

    def digest(self) -> str:
        """Digest of all that the shard's content depends on, except the sounds themselves."""
        whole = {"version": self.version, "settings": asdict(self.settings), "items": [asdict(i) for i in self.items]}
        return hashlib.blake2b(json.dumps(whole, sort_keys=True).encode(), digest_size=20).hexdigest()


def stems_tasks(settings: PipelineSettings, items: Sequence[SourceItem]) -> list[StemsTask]:
    """The shards, without those that no item falls into.

    Raises:
        PluginError: No plugin takes sounds apart.
    """
    chosen, version = settings.preprocess, separator().version
    parts: defaultdict[int, list[SourceItem]] = defaultdict(list)
    for item in items:
        parts[shard_of(item.name, chosen.shards)].append(item)
    return [
        StemsTask(number, str(settings.out), str(settings.gather.path), tuple(parts[number]), chosen, version)
        for number in sorted(parts)
    ]


def compute_stems(task: StemsTask) -> dict[str, Any]:
    """Computes a shard and writes it: "shard", "items" and "dead", how many, and "seconds" of sound.

    Raises:
        FileError: It cannot be written.
    """
    import pyarrow

    mel, rows = LogMel(task.settings.mel), list[dict[str, Any]]()
    dead: list[dict[str, str]] = []
    for item in task.items:
        path = Path(task.source) / item.path
        try:
            digest = file_digest(path)
            sound, length = read_again(partial(excerpt, path, task.settings.seconds))
        except FileError as error:
            dead.append({"name": item.name, "path": item.path, "reason": fault_of(path) or str(error)})
            continue
        channels = len(sound.samples)
        parts, blocks = separate_blocks([sound.samples], sound.rate, channels)
        stems = np.concatenate(list(blocks), axis=2)
        power = float(np.mean(sound.samples**2)) + 1e-12
        for part, stem in zip(parts, stems, strict=True):
            place = Path(SOUNDS) / digest / f"{part}.flac"
            (target := Path(task.out) / place).parent.mkdir(parents=True, exist_ok=True)
            with AudioWriter(target, sound.rate, channels, sound.info.subtype) as writer:
                writer.write(stem)
            spectrogram = mel.compute(soxr.resample(stem.mean(0), sound.rate, task.settings.rate).astype(np.float32))
            level = max(QUIETEST, 10.0 * np.log10(float(np.mean(stem**2)) / power + 1e-12))
            rows.append({
                "name": item.name, "path": item.path, "digest": digest, "group": item.group, "split": item.split,
                "labels": list(item.labels), "seconds": length, "stem": part, "sound": str(place), "level": level,
                "frames": len(spectrogram), "bands": task.settings.bands, "mel": spectrogram.astype("<f2").tobytes(),
            })  # fmt: skip
    text, floating = pyarrow.string(), pyarrow.float64()
    fields = [
        ("name", text), ("path", text), ("digest", text), ("group", text), ("split", text),
        ("labels", pyarrow.list_(text)), ("seconds", floating), ("stem", text), ("sound", text), ("level", floating),
        ("frames", pyarrow.int32()), ("bands", pyarrow.int32()), ("mel", pyarrow.binary()),
    ]  # fmt: skip
    about = {"version": task.version, "settings": asdict(task.settings)}
    write_shard(task, fields, rows, about, {task.dead: dead})
    items = len(task.items) - len(dead)
    return {
        "shard": task.number,
        "items": items,
        "dead": len(dead),
        "seconds": sum({r["name"]: r["seconds"] for r in rows}.values()),
    }
