"""The node `echo_cancel`: removes the loudspeakers' sound from a microphone."""

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
from antiphon_room.words import EchoTotal, EchoWord

REFERENCES = 2
MAX_SECONDS = 1800.0
"""Longest reference of a file, which is held in memory."""
FRAME_SECONDS, COMPARED_SECONDS, MAX_DELAY_SECONDS = 0.01, 60.0, 1.5
"""Frame of the levels that are compared between a file and its reference, compared length, and maximum delay, in s."""
RATES = (16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
"""Sample rates in Hz that a file may have under another rate's label."""
ALIKE, MORE_ALIKE = 0.3, 0.1
"""Minimum correlation of level changes at which another rate than the label's is right, and minimum excess over the
label's rate. Four records in a room have .55, with an equally loud speaker .18 or more, at wrong rates .25 at most.
"""
_SMOOTH = np.hanning(9)[1:-1]
LAG_RATE, MAX_LAG_SECONDS, REACHED_SECONDS, LEAD_SECONDS = 8000, 10.0, 0.1, 0.02
"""Hz at which a file's lag is looked for; in seconds the largest, those that need nothing, and what one is set to."""
CLEAR_PEAK, NEARLY = 12.0, 0.7
"""Minimum peak of the correlation, in its standard deviations, and share of it at which a lag within reach is kept."""
EARLY_SECONDS = 0.5
"""Seconds by which a reference may end before the microphone."""


class EchoCancel(Processor):
    """Acoustic echo canceller: removes the loudspeakers' sound from a microphone signal and keeps the near end.

    The reference is the played sound: in a patch the wire from `played`, for a file the parameter `reference`.
    """

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN, Port("reference", channels=REFERENCES))
    on_files = FileUse(needs=("reference",), hears="antiphon_room.processor:hear")
    params: ClassVar[tuple[Param, ...]] = (
        Param(
            "reference",
            "file",
            "",
            holds="what was played",
            doc="Of files: what was played, begun within 10 s of the microphone; else the input.",
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
        self._start = 0

    def heard(self, told: int | None) -> None:
        """Sets the frames by which a file's reference is held back, `told`; below 0 it begins that much later in it.

        Then no delay is looked for, which a melody may feign; None leaves that to the canceller.
        """
        self._start = -(told or 0)
        self._canceller.words[EchoWord.FIXED] = told is not None
        self.reset()

    def reset(self) -> None:
        self._canceller.clear()
        self._place[:] = 0, self._start
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
    """`FileUse.hears` of `echo_cancel`: a sentence for the closing line if the reference does not match the microphone.
    Raises FileError as `read_played` does.
    """
    with stream_sound(path) as (info, blocks):
        rate, frames = info.rate, info.frames
        parts = [block.copy() for block in _first_seconds(blocks, rate)]
    microphone = np.concatenate(parts, 1) if parts else np.zeros((1, 0), np.float32)
    played = read_played(Path(str(values["reference"])), rate)
    said, held = list[str](), None
    if (right := rate_of(_changes(iter((microphone,)), rate), _changes(iter((played,)), rate), rate)) != rate:
        said.append(f"its rate seems to be {right} Hz, not {rate} as it says, and nothing of what was played is found")
    elif not values.get("delay") and (held := lag_of(microphone.mean(0), played.mean(0), rate)):
        found = held / rate + LEAD_SECONDS
        said.append(f"the loudspeakers are {1000 * abs(found):.0f} ms {'late' if found > 0 else 'early'} in it")
    seconds = played.shape[1] / rate
    if frames is not None and frames / rate - seconds > EARLY_SECONDS:
        said.append(f"the reference ends at {seconds:.1f} s, and what is played after it is left")
    return FileHearing(said="; ".join(said), told=held)


def lag_of(microphone: F32, played: F32, rate: int) -> int | None:
    """Frames by which the played sound, `[frames]`, is to be held back for the filter to reach its echo.

    0: it does; None: no echo is found.

    The peak of the correlation of both with even spectra, at `LAG_RATE`, up to `MAX_LAG_SECONDS` either way.
    """
    step = max(1, rate // LAG_RATE)
    count = min(len(microphone), len(played), round(COMPARED_SECONDS * rate)) // step
    if count * step < rate:
        return None
    size = 1 << (2 * count - 1).bit_length()
    x, y = (np.fft.rfft(part[: count * step].reshape(count, step).mean(1), size) for part in (microphone, played))
    both = x * y.conj()
    alike = np.fft.irfft(both / (np.abs(both) + 1e-3 * np.abs(both).mean() + 1e-20), size)
    most = min(count - 1, round(MAX_LAG_SECONDS * rate / step))
    lags = np.concatenate([alike[-most:], alike[: most + 1]])
    near = lags[most : most + round(REACHED_SECONDS * rate / step)]
    best = int(lags.argmax())
    if lags[best] < CLEAR_PEAK * float(alike.std()):
        return None
    if near.max() > NEARLY * lags[best]:
        return 0
    return (best - most) * step - round(LEAD_SECONDS * rate)


def _first_seconds(blocks: Iterator[Samples], rate: int) -> Iterator[Samples]:
    count = 0
    for block in blocks:
        yield block
        count += block.shape[1]
        if count >= COMPARED_SECONDS * rate:
            return


def rate_of(microphone: F64, played: F64, rate: int) -> int:
    """Rate in Hz of a microphone file labelled `rate`: another one if only that matches the played sound.

    `microphone`, `played`: level changes per frame of `FRAME_SECONDS`, assuming that rate.
    """
    alike = {right: _alike(microphone, played, right / rate) for right in (rate, *RATES)}
    best = max(alike, key=lambda right: alike[right])
    return best if alike[best] >= max(ALIKE, alike[rate] + MORE_ALIKE) else rate


def _alike(microphone: F64, played: F64, faster: float) -> float:
    """Maximum correlation of changes, 0 to 1, with the first ones played `faster` and up to 1.5 s later."""
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
    """Level changes in dB between frames of `FRAME_SECONDS`, at the start; levels are at least -60 dB of the peak."""
    parts = [np.square(block).mean(axis=0) for block in _first_seconds(blocks, rate)]
    power = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    size = max(1, round(FRAME_SECONDS * rate))
    means = power[: len(power) // size * size].reshape(-1, size).mean(axis=1, dtype=np.float64)
    most = float(means.max(initial=0.0))
    if len(means) < len(_SMOOTH) or not most:
        return np.zeros(0)
    levels = 10.0 * np.log10(np.maximum(means, 1e-6 * most) / most)
    return np.diff(np.convolve(levels, _SMOOTH / _SMOOTH.sum(), "same"))
