"""The sampled instruments, read from Ogg Vorbis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon.api import EngineError
from antiphon_pyo.zone_sound import STEPS, ZoneSound


class SamplesError(EngineError):
    """Samples cannot be read, in one sentence."""


def folder() -> Path:
    """Folder of the samples: beside the plugin `antiphon_synth`, in a checkout and in a wheel."""
    try:
        return Path(str(resources.files("antiphon_synth"))) / "samples"
    except ModuleNotFoundError as error:
        raise SamplesError("the samples come with the plugin antiphon_synth, which is not installed") from error


def load(name: str, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of "piano", "bass" or "drums" from the lowest, generated on demand; `where` None is `folder()`.

    Raises SamplesError: they cannot be read.
    """
    where = where or folder()
    try:
        index: dict[str, Any] = json.loads((where / "index.json").read_text())
        if tuple(index["velocities"]) != STEPS:
            raise SamplesError(f"{where / 'index.json'} was made for other velocities; run sampling.py again")
        row = index[name]
        with soundfile.SoundFile(where / row["file"]) as file:
            yield from _read(file, row["zones"])
    except (OSError, KeyError, ValueError, soundfile.SoundFileError) as error:
        raise SamplesError(f"the samples of {name} in {where} cannot be read: {error}") from error


def _read(file: soundfile.SoundFile, zones: list[dict[str, Any]]) -> Iterator[ZoneSound]:
    at = 0
    for zone in zones:
        file.read(zone["start"] - at, dtype="float32")  # a seek in Vorbis decodes as much
        x = file.read(zone["frames"], dtype="float32", always_2d=True)
        at = zone["start"] + zone["frames"]
        left = np.ascontiguousarray(x[:, 0])
        right = np.ascontiguousarray(x[:, 1]) if x.shape[1] > 1 else left
        yield ZoneSound(left, right, zone["root"], zone["low"], zone["high"], file.samplerate, tuple(zone["cutoffs"]))
