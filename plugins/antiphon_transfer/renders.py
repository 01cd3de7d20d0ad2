"""Test material with an exact answer: the same notes by two instruments, and other notes by the second.

Songs of POP909 and Bach chorales, played by FluidSynth from a General MIDI soundfont.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.api import FileError

F32 = NDArray[np.float32]
RATE = 44100
SECONDS = 10.0
SOUNDFONTS = {
    "fluid": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "timgm": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
}
# by General MIDI number: struck, plucked, bowed, blown, sung, organs and two synthesised
PROGRAMS = (0, 4, 6, 11, 12, 16, 19, 21, 24, 25, 27, 40, 42, 46, 48, 52, 56, 60, 61, 65, 66, 68, 71, 73, 80, 89)

Note = tuple[float, float, int, int]
"""Start and end in seconds, MIDI number, velocity."""


@dataclass(frozen=True, slots=True)
class TransferTask:
    """One task: mono sounds at `RATE`, and what they were made of."""

    name: str
    source: F32
    target: F32
    reference: F32


def pop(data: Path) -> list[Path]:
    """The songs there are; those whose number is divisible by ten are left to others."""
    found = sorted((data / "pop909").glob("[0-9][0-9][0-9]/[0-9][0-9][0-9].mid"))
    return [path for path in found if int(path.stem) % 10]


def song(path: Path, rng: np.random.Generator) -> list[Note]:
    """`SECONDS` of melody and accompaniment from somewhere in a song."""
    import mido

    notes: list[Note] = []
    waiting: dict[tuple[int, int], tuple[float, int]] = {}
    now = 0.0
    for message in mido.MidiFile(path):
        now += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if key in waiting:
            start, velocity = waiting.pop(key)
            notes.append((start, now, message.note, velocity))
        if message.type == "note_on" and message.velocity:
            waiting[key] = (now, message.velocity)
    first = float(rng.uniform(8.0, max(9.0, now - SECONDS - 8.0)))
    return cut(notes, first)


def chorale(steps: list[list[int]], rng: np.random.Generator) -> list[Note]:
    """`SECONDS` of a chorale at 70 to 110 quarters a minute, each voice at a velocity of its own."""
    step = 15.0 / float(rng.uniform(70, 110))
    notes: list[Note] = []
    for voice in range(4):
        velocity = int(rng.integers(70, 110))
        line = [row[voice] if voice < len(row) else -1 for row in steps]
        at = 0
        for n in range(1, len(line) + 1):
            # a held note is repeated on the grid; on the beat a repetition may be struck anew
            if n == len(line) or line[n] != line[at] or (n % 8 == 0):
                if line[at] >= 0:
                    notes.append((at * step, n * step * 0.999, int(line[at]), velocity))
                at = n
    last = max(0.0, len(steps) * step - SECONDS)
    return cut(notes, float(rng.uniform(0.0, last)))


def cut(notes: list[Note], first: float) -> list[Note]:
    """The notes that begin within `SECONDS` from `first`, counted from there."""
    inside = [n for n in notes if first <= n[0] < first + SECONDS - 0.2]
    return sorted((a - first, min(b - first, SECONDS), number, v) for a, b, number, v in inside)


def play(notes: list[Note], program: int, soundfont: Path, folder: Path) -> F32:
    """The notes by one instrument, `SECONDS` long, mono."""
    import mido
    import soundfile

    track = mido.MidiTrack([mido.Message("program_change", program=program)])
    events = [(a, 1, n, v) for a, _, n, v in notes] + [(b, 0, n, 0) for _, b, n, _ in notes]
    before = 0
    for when, on, number, velocity in sorted(events, key=lambda e: (e[0], e[1])):
        tick = round(when * 960)
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=number, velocity=velocity, time=tick - before))
        before = tick
    midi, sound = folder / "a.mid", folder / "a.wav"
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(midi)
    command = ["fluidsynth", "-ni", "-g", "0.6", "-r", str(RATE), "-F", str(sound), str(soundfont), str(midi)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    samples = soundfile.read(sound, dtype="float32", always_2d=True)[0].mean(axis=1)
    out = np.zeros(round(SECONDS * RATE), np.float32)
    out[: min(len(samples), len(out))] = samples[: len(out)]
    return out


def items(data: Path, soundfont: str, part: str, count: int, seed: int = 1) -> Iterator[TransferTask]:
    """`count` tasks of a soundfont. part: "tune" or "report"; they share neither songs nor pairs of instruments.

    Raises `FileError` for what they need and is not there.
    """
    wanted = (data / "pop909", data / "jsb", SOUNDFONTS[soundfont])
    missing = [str(path) for path in wanted if not path.exists()]
    if shutil.which("fluidsynth") is None:
        missing.append("fluidsynth")
    if missing:
        raise FileError(f"transfer is measured on songs played by FluidSynth; missing: {', '.join(missing)}")
    rng = np.random.default_rng([seed, sorted(SOUNDFONTS).index(soundfont), part == "report"])
    odd = part == "report"
    songs = [path for path in pop(data) if int(path.stem) % 2 == odd]
    chorales = json.loads((data / "jsb" / "jsb-chorales-16th.json").read_text())["test" if odd else "train"]
    pairs = [(p, q) for p in PROGRAMS for q in PROGRAMS if p != q and (p + q) % 2 == odd]
    order = rng.permutation(len(pairs))
    for turn in range(count):
        first, second = pairs[order[turn % len(order)]]
        kind = "pop" if turn % 2 else "jsb"
        made: list[list[Note]] = []
        while len(made) < 2:
            if kind == "pop":
                notes = song(songs[int(rng.integers(len(songs)))], rng)
            else:
                notes = chorale(chorales[int(rng.integers(len(chorales)))], rng)
            if len(notes) >= 12:
                made.append(notes)
        with tempfile.TemporaryDirectory() as place:
            where, font = Path(place), SOUNDFONTS[soundfont]
            yield TransferTask(
                f"{soundfont} {kind} {first}>{second}",
                play(made[0], first, font, where),
                play(made[0], second, font, where),
                play(made[1], second, font, where),
            )
