"""Notes in seconds as the bytes of a MIDI file, and FluidSynth to play them: the ground truth of `corpus`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TICKS = 9600
"""Of a second: 9,600 a quarter note at 60 bpm."""
SOUNDFONTS = {
    "fluidr3": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "timgm6mb": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}
DRUMS = 9


@dataclass(frozen=True, slots=True)
class TimedMidiNote:
    """A note. start, length: seconds.  pitch: 0 to 127.  velocity: 1 to 127.  channel: 0 to 15."""

    start: float
    length: float
    pitch: int
    velocity: int
    channel: int


@dataclass(frozen=True, slots=True)
class Program:
    """From `start` seconds on `channel` plays General MIDI program 0 to 127 (on channel 9, a drum kit)."""

    start: float
    channel: int
    program: int


def _size(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(0x80 | (number & 0x7F))
    return bytes(reversed(out))


def midi(notes: Sequence[TimedMidiNote], programs: Sequence[Program] = ()) -> bytes:
    """A one-track MIDI file at 60 bpm."""
    events = [(p.start, 1, bytes([0xC0 | p.channel, p.program])) for p in programs]
    for note in notes:
        events.append((note.start, 2, bytes([0x90 | note.channel, note.pitch, note.velocity])))
        events.append((note.start + note.length, 0, bytes([0x80 | note.channel, note.pitch, 0])))
    track, last = bytearray(b"\x00\xff\x51\x03\x0f\x42\x40"), 0
    for seconds, _, data in sorted(events, key=lambda e: (round(e[0] * TICKS), e[1])):
        tick = round(seconds * TICKS)
        track += _size(tick - last) + data
        last = tick
    track += b"\x00\xff\x2f\x00"
    head = b"MThd" + (6).to_bytes(4, "big") + (0).to_bytes(2, "big") + (1).to_bytes(2, "big") + TICKS.to_bytes(2, "big")
    return head + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def why_not() -> str:
    """Why nothing can be rendered here; "" when it can."""
    if shutil.which("fluidsynth") is None:
        return "fluidsynth is not installed"
    missing = [name for name, path in SOUNDFONTS.items() if not path.is_file()]
    return f"the soundfont {missing[0]} is not installed" if missing else ""


def play(data: bytes, soundfont: str, rate: int, reverb: bool = True) -> NDArray[np.float32]:
    """What FluidSynth makes of a MIDI file, float32 `[2, frames]`."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "score.mid", Path(folder) / "sound.wav"
        score.write_bytes(data)
        wet = "1" if reverb else "0"
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(rate), "-R", wet, "-C", wet, "-O", "float", "-T", "wav",
             "-F", str(sound), str(SOUNDFONTS[soundfont]), str(score)],
            check=True, capture_output=True, timeout=600,
        )  # fmt: skip
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)
