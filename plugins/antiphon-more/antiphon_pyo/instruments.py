"""Parameters of the instruments: attack, release, and the effect of velocity."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from antiphon.api import EngineError
from antiphon_pyo import tones
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


@dataclass(frozen=True, slots=True)
class Instrument:
    """A sampled instrument."""

    name: str
    attack: float  # seconds
    release: float  # seconds
    level: float  # gain at full velocity
    curve: float  # exponent of the velocity
    one_shot: bool = False  # it plays to its end; note-offs have no effect
    free: bool = False  # a note begins at a random position of its loop
    damped: int = 127  # highest key with a damper; above it notes ring
    chokes: dict[int, int] = field(default_factory=dict)  # choke groups by key


_HATS = {42: 1, 44: 1, 46: 1}
_PAIRS = {71: 2, 72: 2, 73: 3, 74: 3, 78: 4, 79: 4, 80: 5, 81: 5}

INSTRUMENTS = {
    each.name: each
    for each in (
        Instrument("piano", 0.0005, 0.30, 1.45, 1.7, damped=88),
        Instrument("bass", 0.001, 0.12, 1.2, 1.25),
        Instrument("pad", 0.35, 1.2, 1.25, 1.3, free=True),
        Instrument("pluck", 0.0005, 0.25, 0.85, 1.6),
        Instrument("strings", 0.09, 0.45, 1.45, 1.4, free=True),
        Instrument("drums", 0.0003, 0.05, 1.3, 1.5, one_shot=True, chokes=_HATS | _PAIRS),
    )
}


def sounds(name: str, rate: int, where: Path | None = None) -> Iterator[ZoneSound]:
    """Zones of an instrument, generated on demand; `where` None is the plugin `antiphon_synth`'s folder.

    Raises SamplesError: the samples cannot be read.
    """
    match name:
        case "pad":
            return tones.ensemble(tones.PAD, rate, 11)
        case "strings":
            return tones.ensemble(tones.STRINGS, rate, 12)
        case "pluck":
            return tones.pluck(rate, 13)
        case _:
            return load(name, where)
