"""Interface to FluidSynth: renders a MIDI file's bytes with a General MIDI soundfont."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from antiphon.api.backends.files import MidiTrack, write_midi

# ---- Notes as the bytes of a MIDI file, for FluidSynth to play

TICKS = 960
"""Default ticks per second."""


def note_on(channel: int, number: int, velocity: int) -> bytes:
    """Note-on message. channel: 0 to 15.  number, velocity: 0 to 127."""
    return bytes((0x90 | channel, number, velocity))


def note_off(channel: int, number: int) -> bytes:
    """Note-off message. channel: 0 to 15.  number: 0 to 127."""
    return bytes((0x80 | channel, number, 0))


def is_note_on(message: bytes) -> bool:
    """Whether a message starts a note; a note on with velocity 0 ends it."""
    return message[0] & 0xF0 == 0x90 and message[2] > 0


def program_change(channel: int, program: int) -> bytes:
    """Program change message. channel: 0 to 15, of which 9 plays drums.  program: 0 to 127, of General MIDI."""
    return bytes((0xC0 | channel, program))


def control_change(channel: int, number: int, value: int) -> bytes:
    """Control change message. channel: 0 to 15.  number, value: 0 to 127, as 7 for the volume, 10 for the pan."""
    return bytes((0xB0 | channel, number, value))


def midi_bytes(events: Iterable[tuple[int, bytes]], ticks: int = TICKS) -> bytes:
    """Builds a one-track MIDI file, format 0, from sorted (tick, message) pairs.

    `ticks`: per second, even, at most 32,767. A beat is half a second up to 960 ticks, else a second.
    """
    # a beat's ticks are a 15-bit number: at a second to the beat time can be counted twice as finely
    beats_a_second = 2 if ticks <= TICKS else 1
    track, last = bytearray(b"\x00\xff\x51\x03" + (1_000_000 // beats_a_second).to_bytes(3, "big")), 0
    for tick, message in events:
        track += _delta(tick - last) + message
        last = tick
    track += b"\x00\xff\x2f\x00"
    head = b"".join(number.to_bytes(2, "big") for number in (0, 1, ticks // beats_a_second))
    return b"MThd" + len(head).to_bytes(4, "big") + head + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _delta(number: int) -> bytes:
    """Variable-length quantity of a delta time in ticks."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.insert(0, (number & 0x7F) | 0x80)
    return bytes(digits)


TIMEOUT_SECONDS = 600.0
"""Timeout of a program in seconds; rendering usually takes a few seconds."""


def absent(program: str, files: Iterable[Path]) -> list[str]:
    """Names of missing programs, and paths of missing files."""
    names = [] if shutil.which(program) is not None else [program]
    return names + [str(path) for path in files if not path.is_file()]


def render(score: bytes, words: Callable[[Path, Path], Sequence[str]]) -> NDArray[np.float32]:
    """Renders a MIDI file's bytes with a program, as float32 `[frames, channels]`.

    `words` builds the command line from the paths of the MIDI file and of the sound file to write.

    Raises `FileNotFoundError`: the program is missing. `subprocess.CalledProcessError`: it fails.
    `subprocess.TimeoutExpired`: it takes more than `TIMEOUT_SECONDS` seconds.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        notes, sound = Path(folder) / "notes.mid", Path(folder) / "sound.wav"
        notes.write_bytes(score)
        subprocess.run(
            words(notes, sound), check=True, capture_output=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL
        )
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(samples)


PROGRAM = "fluidsynth"
FLUID = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
TIM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


@dataclass(frozen=True, slots=True)
class FluidSettings:
    """Settings of FluidSynth.

    Args:
        gain: Its master gain, 0 to 10.
        reverb: Whether reverb is on; None keeps FluidSynth's default, on.
        chorus: Whether chorus is on; None keeps FluidSynth's default, on.
        options: Further settings by name, in the format of `-o`.
        samples: Output format: "float", or 16 bits, dithered and clipped at full scale.
    """

    gain: float
    reverb: bool | None = False
    chorus: bool | None = False
    options: tuple[tuple[str, str], ...] = ()
    samples: Literal["float", "s16"] = "float"


def missing(fonts: Iterable[Path] = (FLUID, TIM)) -> list[str]:
    """Missing programs and soundfonts on this machine, each by its name or path."""
    return absent(PROGRAM, fonts)


def play(score: bytes, font: Path, rate: int, settings: FluidSettings) -> NDArray[np.float32]:
    """Renders a MIDI file's bytes with FluidSynth: float32 `[frames, 2]`, with the release after the last event.

    Raises `FileNotFoundError`: fluidsynth or the soundfont is missing. `subprocess.CalledProcessError`: it fails.
    `subprocess.TimeoutExpired`: it takes more than `rendering.TIMEOUT_SECONDS` seconds.
    """
    if not font.is_file():
        # FluidSynth would play its default soundfont, with a warning alone
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(font))
    return render(score, lambda notes, sound: [
        PROGRAM, "-ni", "-q", "-g", f"{settings.gain:g}", "-r", str(rate), "-O", settings.samples, "-T", "wav",
        *_switch("-R", settings.reverb), *_switch("-C", settings.chorus),
        *(word for name, value in settings.options for word in ("-o", f"{name}={value}")),
        "-F", str(sound), str(font), str(notes),
    ])  # fmt: skip


def play_tracks(tracks: Sequence[MidiTrack], font: Path, rate: int, settings: FluidSettings) -> NDArray[np.float32]:
    """Renders tracks at 120 bpm with FluidSynth, as `play` renders a file of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.mid"
        write_midi(path, tracks, 120.0)
        return play(path.read_bytes(), font, rate, settings)


def _switch(name: str, on: bool | None) -> tuple[str, ...]:
    return () if on is None else (name, str(int(on)))
