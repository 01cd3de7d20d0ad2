"""The notes of a whole sound, by the streaming code: heard once to know what comes, and once to decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.block import Samples, StreamSpec
from antiphon.harness import prepare
from antiphon.params import Value
from antiphon.processor import IO, BlockTime, Event
from antiphon_hum.judge import Said, backwards
from antiphon_hum.processor import Hum

BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Note:
    """start, end: frames of the sound, end after start.  number: MIDI number.  velocity: above 0 to 1."""

    start: int
    end: int
    number: int
    velocity: float


def notes_of(
    samples: Samples, rate: int, settings: Mapping[str, Value] | None = None, live: bool = False
) -> list[Note]:
    """The notes in float32 `[channels, frames]` or `[frames]`; see `Listener`. live: heard once, knowing no more than
    what has been; else twice, as files are.
    """
    sound = np.atleast_2d(np.asarray(samples, np.float32))
    ahead: Sequence[float] = ()
    if not live:
        first = Listener(rate, sound.shape[0], settings)
        first.hear(sound)
        ahead = first.beliefs()
    listener = Listener(rate, sound.shape[0], settings, ahead)
    listener.hear(sound)
    return listener.notes()


class Listener:
    """Takes a sound piece by piece and has its notes at the end, the latency taken out.

    frames: heard so far.
    """

    def __init__(
        self, rate: int, channels: int, settings: Mapping[str, Value] | None = None, ahead: Sequence[float] = ()
    ) -> None:
        """settings: parameters of `hum`; its `bpm` is the clock that `quantise` goes by, with a beat at frame 0.
        ahead: `beliefs` of a listener that has heard the same sound.  Raises `ParamError` and `UsageError` for
        settings `hum` does not take.
        """
        self._processor = Hum()
        self._cells = prepare(self._processor, StreamSpec(rate, BLOCK, channels), settings or {})
        self._tempo = float(self._processor.settings["bpm"])
        self._io = IO([], [], self._cells, BlockTime(tempo=self._tempo))
        self._told: list[Said] = []
        self._processor.foresee(ahead, self._told)
        self._rate, self._channels = rate, channels
        self._events: list[Event] = []
        self._at = self.frames = 0

    def hear(self, sound: Samples) -> None:
        """float32 `[channels, n]` more of it."""
        self.frames += sound.shape[1]
        for at in range(0, sound.shape[1], BLOCK):
            self._block(sound[:, at : at + BLOCK])

    def beliefs(self) -> list[float]:
        """What a second listener is to know ahead. Nothing more is heard afterwards."""
        self._end()
        return backwards(self._told)

    def notes(self) -> list[Note]:
        """In order of their start, within the sound. Nothing more is heard afterwards."""
        self._end()
        return list(_notes(self._events, self._processor.latency, self.frames))

    def _end(self) -> None:
        silence = np.zeros((self._channels, BLOCK), np.float32)
        for _ in range(0, self._processor.latency + BLOCK, BLOCK):
            self._block(silence)

    def _block(self, sound: Samples) -> None:
        io, at, frames = self._io, self._at, sound.shape[1]
        for cell in self._cells.values():
            cell.render(at, frames)
        io.audio_in, io.frames = [sound], frames
        io.time.sample, io.time.beat = at, at / self._rate * self._tempo / 60.0
        self._processor.process(io)
        for cell in self._cells.values():
            cell.settle(at + frames)
        self._events += [Event(e.kind, at + e.offset, e.number, e.value) for e in io.events_out]
        io.events_out.clear()
        self._at += frames


def _notes(events: Iterable[Event], latency: int, frames: int) -> Iterator[Note]:
    """Events by frame of the stream as notes by frame of the sound; what has no length is left out."""
    held: Event | None = None
    for event in [*events, Event("off", latency + frames)]:
        if held is not None:
            start, end = (min(max(0, e.offset - latency), frames) for e in (held, event))
            if end > start:
                yield Note(start, end, held.number, held.value)
        held = event if event.kind == "on" else None
