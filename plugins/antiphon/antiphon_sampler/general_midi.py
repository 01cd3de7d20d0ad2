"""General MIDI's instruments by Strudel's names (`gm_violin`): cached samples of the machine's soundfont.

An instrument is rendered at its first note, by a process that runs the synth backend `soundfont`.
"""

import contextlib
import os
import shutil
import tempfile
import time
import tomllib
import weakref
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path

import numpy as np

from antiphon.api import Event, Samples
from antiphon.api.backends.files import cache_folder
from antiphon.api.backends.runtime import ChildLane, ChildLimits, say, spawn
from antiphon.api.backends.synths import SynthSettings
from antiphon.backends.info import infos as synth_infos
from antiphon_sampler.library import Listing, SampleFiles
from antiphon_sampler.loops import write_looped
from antiphon_sampler.samples import DecodedSample, Sample
from antiphon_sampler.sounds import Sounds

SYNTH = "soundfont"
RATE, HOP = 48000, 4800
HELD, RING = 40, 10
"""Hops that a key is held, and of its release."""
PEAK = 0.5
"""Peak of an instrument's loudest sample, equal to that of the kit."""
SILENT = 5e-4
"""Level at which a sample ends, 60 dB below the peak."""
FALL, FADED = 0.7, 0.1
"""Ratios of the last held second's level to the previous and the first second's, below which a note decays."""
SEAM, SHORTEST, LONGEST = 4800, RATE, 2 * RATE
"""Crossfade in frames from a held note's end into its loop, and minimum and maximum frames of the loop."""
SOUND_OFF = 120
RENDER, LIMITS = f"{__name__}:render", ChildLimits(nice=5, cpu=120)
"""Entry point that renders an instrument in a child process, and its limits; a busy machine gives it little time."""
SECONDS, AGAIN = 1200.0, 60.0
"""Timeout in seconds of a hanging process, and seconds after which a failed rendering is tried again."""
SAMPLED = tuple(range(24, 97, 4))
"""Notes at which an instrument is rendered; notes in between use the nearest sample."""
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


class GeneralMidi(Sounds):
    """The instruments of the machine's soundfont; empty if there is none."""

    def __init__(self, rate: int) -> None:
        font = soundfont()
        folder = cache_folder() / "general-midi" / key_of(font.partition(" by ")[2])
        names = tuple(PROGRAMS) if font else ()
        rows = tuple(
            tuple(SampleFiles(f"{name}/{note}", (folder / name / f"{note}.wav",)) for note in SAMPLED) for name in names
        )
        super().__init__(Listing(folder, names, rows, ()), rate)
        self._failed: dict[str, float] = {}
        # when each sample was last asked for, in notes
        self._played, self._notes = [0] * len(self._paths), 0

    def warm(self) -> None:
        """Does nothing: most servers play none of them."""

    def get(self, place: int) -> Sample | None:
        self._notes += 1
        self._played[place] = self._notes
        return super().get(place)

    def decode(self, place: int) -> Sample | None:
        if not self._tried[place] and not self._render_instrument(self._paths[place].parent):
            return None
        return super().decode(place)

    def _render_instrument(self, folder: Path) -> bool:
        """Renders an instrument if it is missing. Returns whether it exists then."""
        name = folder.name
        if is_fully_rendered(folder):
            return True
        if time.monotonic() < self._failed.get(name, 0.0):
            return False
        status: int | None = 1
        with contextlib.suppress(OSError), spawn(RENDER, name, str(folder), limits=LIMITS, lane=ChildLane()) as child:
            status = child.wait(SECONDS)
        if is_fully_rendered(folder):
            return True
        self._failed[name] = time.monotonic() + AGAIN
        slow = status in (None, -9)  # killed at the end of its processor time
        why = "this machine is too slow to render it" if slow else "the soundfont plays nothing of it"
        say(f"{name} is not played: {why}; it is tried again after {AGAIN:g} s")
        return False

    def _make_room(self, size: int) -> bool:
        """Evicts the least recently played samples; returns whether there is room. A voice keeps its sample."""
        held = [n for n, sample in enumerate(self._samples) if sample is not None]
        for place in sorted(held, key=self._played.__getitem__):
            sample = self._samples[place]
            if super()._make_room(size):
                break
            if isinstance(sample, DecodedSample):
                self._tried[place] = False
                self._samples[place] = None
                self._bytes -= sample.sound.nbytes + (sample.held.sound.nbytes if sample.held else 0)
                self.counts[0] -= 1
        return super()._make_room(size)


def key_of(font: str) -> str:
    """Folder name of a soundfont's samples: a hash of its path and its identity."""
    try:
        stat = os.stat(font)
        made = stat.st_size, stat.st_mtime_ns
    except OSError:
        made = 0, 0
    how = repr((*made, RATE, HOP, HELD, RING, PEAK, SILENT, SAMPLED, FALL, FADED, SEAM, SHORTEST, LONGEST))
    return "-".join(blake2b(text.encode(), digest_size=8).hexdigest() for text in (font, how))


def is_fully_rendered(folder: Path) -> bool:
    return all((folder / f"{note}.wav").exists() for note in SAMPLED)


_made: weakref.WeakValueDictionary[int, GeneralMidi] = weakref.WeakValueDictionary()


def general_midi(rate: int) -> GeneralMidi:
    """Returns the instruments at a rate, shared by all nodes."""
    found = _made.get(rate)
    if found is None:
        found = _made[rate] = GeneralMidi(rate)
    return found


def loop_end(sound: Samples) -> tuple[Samples, int]:
    """Makes a held note, without release, loop at its end; returns the first frame of the loop, -1 if the note decays.

    The loop length maximises the wave's similarity; the loop's end is crossfaded into the sound before its start.
    """
    end, second = HELD * HOP, RATE
    levels = [float(np.sqrt(np.mean(sound[:, end - n * second : end - (n - 1) * second] ** 2))) for n in (1, 2)]
    struck = float(np.sqrt(np.mean(sound[:, :second] ** 2)))
    if levels[0] < max(SILENT, FADED * struck, FALL * levels[1]):
        return sound, -1
    mono = sound[:, :end].mean(axis=0).astype(np.float64)
    late = mono[end - SEAM :]
    starts = np.arange(end - SEAM - LONGEST, end - SEAM - SHORTEST)
    reach = mono[starts[0] : starts[-1] + SEAM]
    size = 1 << (len(reach) + SEAM).bit_length()
    alike = np.fft.irfft(np.fft.rfft(reach, size) * np.conj(np.fft.rfft(late, size)), size)[: len(starts)]
    power = np.concatenate([[0.0], np.cumsum(reach**2)])
    alike /= np.sqrt(power[SEAM : SEAM + len(starts)] - power[: len(starts)] + 1e-12)
    first = int(starts[int(alike.argmax())]) + SEAM
    made = sound[:, :end].astype(np.float64)
    early, late_level = (float(np.sqrt(np.mean(made[:, n - SEAM : n] ** 2))) + 1e-9 for n in (first, end))
    made[:, first:] *= (early / late_level) ** (np.arange(end - first) / (end - first))
    share = np.linspace(0.0, 1.0, SEAM)
    made[:, end - SEAM :] = (1.0 - share) * made[:, end - SEAM :] + share * made[:, first - SEAM : first]
    return made.astype(np.float32), first


def render(name: str, place: str) -> None:
    """Renders an instrument's samples into a folder, which appears only when complete."""
    folder = Path(place)
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
    gain = PEAK / max(1e-4, *(float(np.abs(sound).max()) for sound in sounds))
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        for note, sound in zip(SAMPLED, sounds, strict=True):
            sound, first = loop_end((gain * sound).astype(np.float32))
            heard = np.flatnonzero(np.abs(sound).max(axis=0) > SILENT)
            end = int(heard[-1]) + 1 if heard.size else 1
            write_looped(beside / f"{note}.wav", sound[:, :end] if first < 0 else sound, RATE, first)
        if not is_fully_rendered(folder):
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(beside, folder)
        for other in folder.parent.parent.glob(f"{folder.parent.name.partition('-')[0]}-*"):
            if other != folder.parent:
                shutil.rmtree(other, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
