"""The node `echo_cancel`: takes what the loudspeakers play out of a microphone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from antiphon.api import (
    AUDIO_IN,
    F32,
    F64,
    IO,
    FileError,
    FileHearing,
    FileUse,
    Param,
    Port,
    Processor,
    Samples,
    Step,
    StreamSpec,
    Value,
)
from antiphon.api.backends.files import stream_sound
from antiphon_room.canceller import Canceller, CancelState, room_block
from antiphon_room.words import EchoTotal

REFERENCES = 2
MAX_SECONDS = 1800.0
"""Longest reference of a file, which is held in memory."""
FRAME_SECONDS, COMPARED_SECONDS, MAX_DELAY_SECONDS = 0.01, 60.0, 1.5
"""Frames of the levels by which a file is compared with its reference, how much of both, and how late it may be."""
RATES = (16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
"""Rates in Hz of which a file may have another one's label."""
ALIKE, MORE_ALIKE = 0.3, 0.1
"""Correlation of the levels' changes at another rate than the label's from which it is the right one, and how much more
than at the label's: of four records and a room it is .55, beside a speaker as loud .18 and more, at wrong rates .25 at
most.
"""
_SMOOTH = np.hanning(9)[1:-1]
EARLY_SECONDS = 0.5
"""How much earlier than the microphone a reference may end."""


class EchoCancel(Processor):
    """Acoustic echo canceller: removes the loudspeakers' sound from a microphone signal and keeps the near end.

    The reference is what was played: in a patch the wire from `played`, of a file the parameter `reference`.
    """

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN, Port("reference", channels=REFERENCES))
    on_files = FileUse(needs=("reference",), hears="antiphon_room.processor:hear")
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "reference",
            "file",
            "",
            holds="what was played",
            doc="Of files: what was played, begun at the same sample; else the input.",
        ),
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
    """The reference sound, `[REFERENCES, frames]`; raises FileError: it cannot be read, has another rate, is too
    long.
    """
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


def hear(path: Path, values: Mapping[str, Value], fired: Collection[str]) -> FileHearing:
    """`FileUse.hears` of `echo_cancel`: a sentence, for the closing line, on a reference that does not fit the
    microphone. Raises FileError as `read_played`.
    """
    with stream_sound(path) as (info, blocks):
        rate, frames = info.rate, info.frames
        microphone = _changes(blocks, rate)
    played = read_played(Path(str(values["reference"])), rate)
    said = []
    if (right := rate_of(microphone, _changes(iter((played,)), rate), rate)) != rate:
        said.append(f"its rate seems to be {right} Hz, not {rate} as it says, and nothing of what was played is found")
    seconds = played.shape[1] / rate
    if frames is not None and frames / rate - seconds > EARLY_SECONDS:
        said.append(f"the reference ends at {seconds:.1f} s, and what is played after it is left")
    return FileHearing(said="; ".join(said))


def rate_of(microphone: F64, played: F64, rate: int) -> int:
    """Rate in Hz of a microphone's file that says `rate`: another one where only so it goes with what was played.

    `microphone`, `played`: changes of level, a frame of `FRAME_SECONDS` each by that rate.
    """
    alike = {right: _alike(microphone, played, right / rate) for right in (rate, *RATES)}
    best = max(alike, key=lambda right: alike[right])
    return best if alike[best] >= max(ALIKE, alike[rate] + MORE_ALIKE) else rate


def _alike(microphone: F64, played: F64, faster: float) -> float:
    """Greatest correlation of changes, 0 to 1, where the first ones are played `faster` and up to 1.5 s later."""
    count = min(int(len(microphone) / faster), len(played))
    if count < 1.0 / FRAME_SECONDS:
        return 0.0
    heard = np.interp(np.arange(count) * faster, np.arange(len(microphone)), microphone)
    heard, played = heard - heard.mean(), played[:count] - played[:count].mean()
    size = 2 * count
    lags = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(played, size).conj(), size)
    power = float(np.sqrt((heard**2).sum() * (played**2).sum()))
    return float(lags[: round(MAX_DELAY_SECONDS / FRAME_SECONDS)].max()) / power if power else 0.0


def _changes(blocks: Iterator[Samples], rate: int) -> F64:
    """Changes in dB from frame to frame of `FRAME_SECONDS`, of the beginning; none below 60 dB under the loudest."""
    parts, count = list[F32](), 0
    for block in blocks:
        parts.append(np.square(block).mean(axis=0))
        count += block.shape[1]
        if count >= COMPARED_SECONDS * rate:
            break
    power = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    size = max(1, round(FRAME_SECONDS * rate))
    means = power[: len(power) // size * size].reshape(-1, size).mean(axis=1, dtype=np.float64)
    most = float(means.max(initial=0.0))
    if len(means) < len(_SMOOTH) or not most:
        return np.zeros(0)
    levels = 10.0 * np.log10(np.maximum(means, 1e-6 * most) / most)
    return np.diff(np.convolve(levels, _SMOOTH / _SMOOTH.sum(), "same"))
