"""Renders monophonic solos by the programs of a soundfont: python -m antiphon_models.transfer.solos FOLDER.

Each instrument has a folder for `antiphon train timbre`; the shipped weights were trained on these.
"""

import sys
from pathlib import Path

import numpy as np

from antiphon.api.backends.files import AudioWriter, make_folder
from antiphon_models.material import fluidsynth
from antiphon_models.material.fluidsynth import (
    FLUID,
    TICKS,
    FluidSettings,
    midi_bytes,
    note_off,
    note_on,
    program_change,
)

RATE = 44100
INSTRUMENTS = {
    "cello": (42, 36, 76),
    "clarinet": (71, 50, 91),
    "flute": (73, 60, 96),
    "saxophone": (65, 49, 81),
    "trumpet": (56, 54, 84),
    "violin": (40, 55, 96),
}
"""Program, lowest and highest note of each instrument."""
NOTES, FILES = 60, 4


def solo(program: int, low: int, high: int, rng: np.random.Generator) -> list[tuple[int, bytes]]:
    """Random events of `NOTES` notes: leaps and steps, short and long, soft and loud, some slurred, some swelling."""
    events: list[tuple[int, bytes]] = [(0, program_change(0, program))]
    now, pitch = 0.2, int(rng.integers(low, high + 1))
    for _ in range(NOTES):
        leap = int(rng.integers(-12, 13)) if rng.random() < 0.4 else int(rng.integers(-3, 4))
        pitch = int(np.clip(pitch + leap, low, high)) if rng.random() < 0.8 else int(rng.integers(low, high + 1))
        length = float(rng.choice([0.2, 0.4, 0.8, 1.6], p=[0.25, 0.35, 0.25, 0.15]))
        end = now + length
        swell = rng.uniform(40, 127, 2) if rng.random() < 0.5 else np.array([127.0, 127.0])
        wide = int(rng.integers(40, 127)) if length > 0.7 and rng.random() < 0.4 else 0
        events.append((round(now * TICKS), bytes([0xB0, 1, wide])))
        for n, value in enumerate(np.linspace(swell[0], swell[1], 9)):
            events.append((round((now + length * n / 9) * TICKS), bytes([0xB0, 11, int(value)])))
        events.append((round(now * TICKS) + 1, note_on(0, pitch, int(rng.integers(35, 125)))))
        events.append((round(end * TICKS), note_off(0, pitch)))
        now = end + float(rng.choice([0.0, 0.05, 0.3], p=[0.5, 0.3, 0.2]))
    return sorted(events, key=lambda event: event[0])


def make(folder: Path, seed: int = 1) -> None:
    """Writes `FILES` files of about 45 s for each instrument."""
    for name, (program, low, high) in INSTRUMENTS.items():
        for n in range(FILES):
            path = make_folder(folder / name) / f"{n}.wav"
            if path.is_file():
                continue
            rng = np.random.default_rng((seed, program, n))
            score = midi_bytes(solo(program, low, high, rng))
            sound = fluidsynth.play(score, FLUID, RATE, FluidSettings(gain=0.8, reverb=False, chorus=False))
            with AudioWriter(path, RATE, 1, "PCM_16") as writer:
                writer.write(np.ascontiguousarray(sound.mean(axis=1))[None])


if __name__ == "__main__":
    make(Path(sys.argv[1]))
