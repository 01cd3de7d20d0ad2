"""Offline backend: records events in one pass and plays the sound scsynth rendered of them in the next.

A file is played twice or more. In the first pass synth nodes are silent and their events are recorded; scsynth renders
their score offline (`-N`), and the next pass plays that. If the sound changes the events (a synth feeding an analysing
node), another pass follows.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from antiphon.api import EngineError, Event, Samples
from antiphon.api.backends.synths import SynthSettings
from antiphon_supercollider.timing import delay

TOLD = "told-{}.jsonl"
SOUND = "sound-{}-{}.npy"
"""Name of a track's sound by pass and track: float32 `[2, frames]`, from sample 0 on."""


class ScoreBackend:
    """Backend of one pass. `live`: uses the live latency.

    `folder`: stores the events and the rendered sound of passes. A *track* is one node from its opening to its closing;
    tracks are numbered in order of opening.
    """

    name = "supercollider"
    rehearses = False

    def __init__(self, rate: int, hop: int, slots: int, folder: str, turn: int, serial: int, live: bool) -> None:
        self._hop, self._folder, self._turn = hop, Path(folder), int(turn)
        # a set that is played again has the latency it had
        self._behind = delay(rate, hop) * hop if live else 0
        self._tracks = [-1] * slots
        self._samples = [0] * slots
        self._sounds: list[Samples | None] = [None] * slots
        self._opened = 0
        try:
            self._file: TextIO = (self._folder / TOLD.format(self._turn)).open("w", encoding="utf-8")
        except OSError as error:
            raise EngineError(f"the notes cannot be kept in {folder}: {error.strerror}") from error

    def open(self, slot: int, settings: SynthSettings) -> None:
        self._tracks[slot] = self._opened
        self._sounds[slot] = _sound(self._folder / SOUND.format(self._turn - 1, self._opened))
        self._write({"track": self._opened, "settings": settings.to_json()})
        self._opened += 1

    def close(self, slot: int) -> None:
        self._tracks[slot], self._sounds[slot] = -1, None

    def play(self, slot: int, sample: int, events: Sequence[Event]) -> None:
        self._samples[slot] = sample
        for e in events:
            self._write(
                {
                    "track": self._tracks[slot],
                    "sample": sample,
                    "event": [e.kind, e.offset, e.number, e.value, e.channel, e.age],
                }
            )

    def render(self, out: Samples, active: NDArray[np.bool_]) -> None:
        for slot in np.flatnonzero(active):
            sound, at = self._sounds[slot], self._samples[slot] - self._behind
            out[slot] = 0.0
            if sound is not None and at + self._hop > 0:
                skipped = max(0, -at)
                part = sound[:, at + skipped : at + self._hop]
                out[slot, :, skipped : skipped + part.shape[1]] = part
        self._file.flush()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def _sound(path: Path) -> Samples | None:
    if not path.exists():
        return None
    samples: Samples = np.load(path, mmap_mode="r")
    return samples
