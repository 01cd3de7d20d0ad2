"""General MIDI's instruments by Strudel's names (`gm_violin`): samples of the machine's soundfont, in the cache.

An instrument is rendered at its first note, by a process that plays the synth backend `soundfont`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import weakref
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

import numpy as np
import soundfile

from antiphon.api import Event, FileError
from antiphon.api.backends.files import cache_folder
from antiphon.api.backends.runtime import start_helper
from antiphon.api.backends.synths import SynthSettings, synth_infos
from antiphon_sampler.library import Listing, SampleFiles
from antiphon_sampler.samples import Sample
from antiphon_sampler.sounds import Sounds

SYNTH = "soundfont"
RATE, HOP = 48000, 4800
HELD, RING = 40, 10
"""Hops that a key is held, and of its release."""
PEAK = 0.5
"""Peak of an instrument's loudest sample, as of the kit's."""
SILENT = 1e-4
SOUND_OFF = 120
SECONDS = 120.0
"""In which an instrument is rendered."""
STEP = 4
"""Semitones from a sample to the next; notes between are played by the nearest."""
SAMPLED = tuple(range(24, 97, STEP))
UNMEANT = 60
"""Note of an event without one."""
_FAMILIES = tomllib.loads(Path(__file__).with_name("general_midi.toml").read_text("utf-8"))
PROGRAMS = {f"gm_{name}": n for n, name in enumerate(" ".join(_FAMILIES.values()).split())}


@cache
def soundfont() -> str:
    """Sentence with the machine's soundfont; "" where none can be played."""
    for info in synth_infos():
        if info.name == SYNTH and info.installed:
            return next((found.text for found in info.make_support().findings() if found.state == "works"), "")
    return ""


def nearest(note: int) -> int:
    """Index among an instrument's samples of the one that plays a note."""
    return round((min(max(note, SAMPLED[0]), SAMPLED[-1]) - SAMPLED[0]) / STEP)


class GeneralMidi(Sounds):
    """The instruments of the machine's soundfont; none without one."""

    def __init__(self, rate: int) -> None:
        font = soundfont()
        folder = cache_folder() / "general-midi" / blake2b(font.encode(), digest_size=8).hexdigest()
        names = tuple(PROGRAMS) if font else ()
        rows = tuple(
            tuple(SampleFiles(f"{name}/{note}", (folder / name / f"{note}.flac",)) for note in SAMPLED)
            for name in names
        )
        super().__init__(Listing(folder, names, rows, ()), rate)

    def warm(self) -> None:
        """No operation: most servers play none of them."""

    def _decoded(self, path: Path) -> tuple[Sample, int]:
        folder = path.parent
        if not folder.exists():
            with start_helper(__name__, folder.name, str(folder)) as process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS)
                process.kill()
            if not folder.exists():
                raise FileError(f"{folder.name} is not played: the soundfont plays nothing of it")
        return super()._decoded(path)


_made: weakref.WeakValueDictionary[int, GeneralMidi] = weakref.WeakValueDictionary()


def general_midi(rate: int) -> GeneralMidi:
    """The instruments at a rate, shared by nodes."""
    found = _made.get(rate)
    if found is None:
        found = _made[rate] = GeneralMidi(rate)
    return found


def render(name: str, folder: Path) -> None:
    """Renders an instrument's samples into a folder, which is there when all of them are."""
    (info,) = (info for info in synth_infos() if info.name == SYNTH)
    module, _, made = info.backend.partition(":")
    backend = getattr(import_module(module), made)(RATE, HOP, 1)
    backend.open(0, SynthSettings(str(PROGRAMS[name]), controls="reverb=0 chorus=0"))
    out, active, sounds = np.zeros((1, 2, HOP), np.float32), np.ones(1, np.bool_), []
    for note in SAMPLED:
        parts, events = [], {0: [Event("on", 0, note, 0.8)], HELD: [Event("off", 0, note)]}
        for hop in range(HELD + RING):
            backend.play(0, hop * HOP, events.get(hop, ()))
            backend.render(out, active)
            parts.append(out[0].copy())
        backend.play(0, 0, [Event("control", 0, SOUND_OFF, 0.0)])
        backend.render(out, active)
        sounds.append(np.concatenate(parts, axis=1))
    gain = PEAK / max(SILENT, *(float(np.abs(sound).max()) for sound in sounds))
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        for note, sound in zip(SAMPLED, sounds, strict=True):
            heard = np.flatnonzero(np.abs(sound).max(axis=0) * gain > SILENT)
            end = int(heard[-1]) + 1 if heard.size else 1
            soundfile.write(beside / f"{note}.flac", gain * sound[:, :end].T, RATE)
        os.rename(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


if __name__ == "__main__":
    os.nice(5)
    render(sys.argv[1], Path(sys.argv[2]))
