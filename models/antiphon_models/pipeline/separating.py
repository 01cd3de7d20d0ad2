"""Step stems: the stems of each sound as files, and shards of their spectrograms."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from antiphon.api.backends.analysis import LogMel, separate_blocks, separator
from antiphon.api.backends.files import AudioWriter
from antiphon_models.pipeline.gathering import SourceItem
from antiphon_models.pipeline.settings import PipelineSettings
from antiphon_models.pipeline.shards import (
    ShardTask,
    excerpt,
    mel_cells,
    row_fields,
    shared_out,
    sounds_of,
    write_shard,
)

FOLDER = "stems"
SOUNDS = "stem-sounds"
"""Folder of the stems: DIGEST/PART.flac, by the digest of the sound's file."""
SILENT_DB = -120.0
"""Level in dB of a silent stem."""


def stems_tasks(settings: PipelineSettings, items: Sequence[SourceItem]) -> list[ShardTask]:
    """Tasks of nonempty shards. Raises `PluginError`: no plugin separates sounds."""
    chosen, version = settings.preprocess, separator().version
    places = str(settings.out), FOLDER, str(settings.gather.path)
    return [ShardTask(n, *places, part, chosen, version) for n, part in shared_out(items, chosen.shards)]


def compute_stems(task: ShardTask) -> None:
    """Computes a shard and writes it. Raises `FileError`: it cannot be written."""
    import pyarrow

    mel, rows = LogMel(task.settings.mel), list[dict[str, Any]]()
    dead: list[dict[str, str]] = []
    for row, (sound, seconds) in sounds_of(task, partial(excerpt, seconds=task.settings.seconds), dead):
        channels = len(sound.samples)
        parts, blocks = separate_blocks([sound.samples], sound.rate, channels)
        stems = np.concatenate(list(blocks), axis=2)
        power = float(np.mean(sound.samples**2)) + 1e-12
        for part, stem in zip(parts, stems, strict=True):
            place = Path(SOUNDS) / row["digest"] / f"{part}.flac"
            (target := Path(task.out) / place).parent.mkdir(parents=True, exist_ok=True)
            with AudioWriter(target, sound.rate, channels, sound.info.subtype) as writer:
                writer.write(stem)
            spectrogram = mel.compute(soxr.resample(stem.mean(0), sound.rate, task.settings.rate).astype(np.float32))
            level = max(SILENT_DB, 10.0 * np.log10(float(np.mean(stem**2)) / power + 1e-12))
            rows.append(
                {**row, "seconds": seconds, "stem": part, "sound": str(place), "level": level, **mel_cells(spectrogram)}
            )
    own = ("stem", pyarrow.string()), ("sound", pyarrow.string()), ("level", pyarrow.float64())
    write_shard(task, row_fields(*own), rows, task.settled(), {task.dead: dead})
