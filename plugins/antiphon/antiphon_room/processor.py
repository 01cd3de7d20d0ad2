"""The node `echo_cancel`: takes what the loudspeakers play out of a microphone."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import AUDIO_IN, F32, IO, FileError, FileUse, Param, Port, Processor, Step, StreamSpec
from antiphon.api.backends.files import stream_sound
from antiphon_room.canceller import Canceller, CancelState, room_block
from antiphon_room.words import EchoTotal

REFERENCES = 2
MAX_SECONDS = 1800.0
"""Longest reference of a file, which is held in memory."""


class EchoCancel(Processor):
    """Acoustic echo canceller: removes the loudspeakers' sound from a microphone signal and keeps the near end.

    The reference is what was played: in a patch the wire from `played`, of a file the parameter `reference`.
    """

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN, Port("reference", channels=REFERENCES))
    on_files = FileUse(needs=("reference",))
    params: ClassVar[tuple[Param, ...]] = (
        Param("reference", "file", "", doc="Of files: what was played, begun at the same sample; else the input."),
        Param("mask", default=0.3, low=0.0, high=1.0, doc="How much of the echo beside someone is masked."),
        Param("delay", default=0.0, low=0.0, high=1500.0, unit="ms", doc="Delay of the loudspeakers; 0 for unknown."),
        Param("removed", default=0.0, low=0.0, high=120.0, unit="dB", readonly=True, doc="Taken by the filter alone."),
        Param("late", default=0.0, low=0.0, high=1500.0, unit="ms", readonly=True, doc="Delay that was found."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        """Loads the reference. Raises FileError: it cannot be read, or is too long."""
        self._canceller = made = Canceller(spec.rate, spec.channels, REFERENCES)
        self.latency = made.hop
        self._sums = made.sums[0]
        path = str(self.settings["reference"])
        self._file = read_played(Path(path), spec.rate) if path else np.zeros((REFERENCES, 0), np.float32)
        self._heard = np.zeros((REFERENCES, made.hop), np.float32)
        self._sounds = np.zeros((2, spec.channels, made.hop), np.float32)
        self._place = np.zeros(2, np.int64)

    def reset(self) -> None:
        self._canceller.clear()
        self._place.fill(0)
        self._heard.fill(0.0)
        self._sounds.fill(0.0)

    def step(self, io: IO) -> Step:
        canceller, (take, give) = self._canceller, self._sounds
        x, reference = io.audio_in
        state = CancelState(
            canceller.words, canceller.own, canceller.sums, self._heard, take, give, self._place, self._file.reshape(-1)
        )
        mask, delay, length = io.curve("mask"), io.curve("delay"), self._file.shape[1]
        made = room_block.step(x, reference, io.audio_out[0], io.frames, mask, delay, length, state)
        return made.reporting(removed=(self._sums, EchoTotal.REMOVED), late=(self._sums, EchoTotal.LATE))


def read_played(path: Path, rate: int) -> F32:
    """What was played, `[REFERENCES, frames]`; raises FileError: it cannot be read, has another rate, is too long."""
    with stream_sound(path) as (info, blocks):
        if info.rate != rate:
            raise FileError(
                f"the reference {path.name} has {info.rate} Hz and the microphone {rate}; give it as played"
            )
        if info.frames is None or info.frames > MAX_SECONDS * rate:
            raise FileError(f"the reference {path.name} is longer than {MAX_SECONDS:g} s; cut both files")
        parts = [block[:REFERENCES].copy() for block in blocks]
    sound = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    return np.ascontiguousarray(np.broadcast_to(sound, (REFERENCES, sound.shape[1])), np.float32)
