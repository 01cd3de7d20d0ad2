"""What a plugin author writes: `prepare`, `process`, `reset`, and a latency.

    class Louder(Processor):
        params = (Param("by", default=6.0, low=0.0, high=24.0, unit="dB", smooth=0.005),)

        def process(self, io: IO) -> None:
            gain = 10.0 ** (io.curve("by") / 20.0)
            np.multiply(io.audio_in[0], gain, out=io.audio_out[0])

`process` runs on the block path: no input or output, no locks, no logging, no imports, no arrays that
grow. Make buffers in `prepare`. The host does the rest: smoothing, bypass, mute, wet, latency
compensation, NaN guard, rate and block-size adaption, OSC, HTTP, files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.contract.block import Samples, StreamSpec
from antiphon.contract.parameter_cell import ParamCell
from antiphon.contract.params import Param, Value
from antiphon.contract.ports import AUDIO_IN, AUDIO_OUT, Port

PEDAL = 64
"""The controller that holds notes."""


@dataclass(slots=True)
class BlockTime:
    """When the block's first frame is: sample of the engine's clock, beat, tempo in bpm."""

    sample: int = 0
    beat: float = 0.0
    tempo: float = 120.0
    playing: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """A note or a control inside a block. `offset` is its frame.

    kinds: "on" (number: the note 0-127, value: velocity above 0 to 1), "off" (number), "control" (number 0-127,
    value 0 to 1), "bend" (value -1 to 1).  channel: 1 to 16.  age: frames a note has sounded already; 0 for one
    that begins.  live: it was played this moment, for no particular frame: the sooner the better.
    serial: what plays it has heard of it by that number already, by the short way of a
    played note; 0: it has not.
    """

    kind: str
    offset: int
    number: int = 0
    value: float = 0.0
    channel: int = 1
    age: int = 0
    live: bool = False
    serial: int = 0

    def moved(self, by: int) -> Event:
        """The same event, so many frames later."""
        return Event(
            self.kind, self.offset + by, self.number, self.value, self.channel, self.age, self.live, self.serial
        )


@dataclass(slots=True)
class IO:
    """One call's sound, events, parameters and time.

    audio_in[i], audio_out[j]: float32 `[channels, frames]` of the i-th audio input and j-th audio
    output port; frames ≤ the prepared block. Fill every output; inputs are not to be written.
    events_in: events of this block, in order of offset. asset[name]: read-only decoded sound.
    """

    audio_in: Sequence[Samples]
    audio_out: Sequence[Samples]
    cells: Mapping[str, ParamCell]
    time: BlockTime
    frames: int = 0
    base: int = 0
    events_in: list[Event] = field(default_factory=list)
    events_out: list[Event] = field(default_factory=list)
    asset: Mapping[str, Samples] = field(default_factory=dict)
    reports: dict[str, float] = field(default_factory=dict)
    marks: list[tuple[str, int]] = field(default_factory=list)

    def curve(self, name: str) -> NDArray[np.float32]:
        """The parameter's value at every frame, float32 `[frames]`; not to be written."""
        full = self.cells[name].full
        if self.base == 0 and self.frames == full.shape[0]:
            return full
        return full[self.base : self.base + self.frames]

    def value(self, name: str) -> Value:
        """The parameter's value at the first frame."""
        return self.at(name, 0)

    def at(self, name: str, offset: int) -> Value:
        """The parameter's value at frame `offset`: a float, int, bool or choice as declared."""
        cell = self.cells[name]
        if cell.param.kind in ("text", "file"):
            return cell.text
        return cell.param.decode(cell.number_at(self.base + offset))

    def fired(self, name: str) -> list[int]:
        """Frames of this block at which the trigger fired."""
        fired = self.cells[name].fired
        if not fired or (self.base == 0 and fired[-1] < self.frames):
            return fired
        return [n - self.base for n in fired if self.base <= n < self.base + self.frames]

    def emit(self, event: Event) -> None:
        """Sends an event out of the node's events port."""
        if len(self.events_out) < 1024:
            self.events_out.append(event)

    def report(self, name: str, number: float) -> None:
        """Publishes a `readonly` parameter's value (a meter, a detected tempo)."""
        self.reports[name] = number

    def mark(self, kind: str, number: int) -> None:
        """Notes in the session log what happened and would not happen again by itself: see `ProcessorPart.recall`."""
        if len(self.marks) < 1024:
            self.marks.append((kind, number))


class ProcessorPart:
    """What a processor holds outside its process: a stream through a worker, and the log of what happened to it.

    The processor names its parts in `Processor.parts`, and the host passes on to them what is not about sound. Each
    part says what it needs; by default nothing.
    """

    def retry(self) -> None:
        """The performer asked for it (`/node/NAME/reset`): what was given up is tried again. On the block path."""

    def recall(self, kind: str, number: int) -> None:
        """A session is replayed: what `IO.mark` noted in the coming block is to happen in it again."""

    def standing(self) -> list[tuple[str, int]]:
        """A session begins: what `recall` has to be given first, so that the coming block is as it will be."""
        return []

    def close(self) -> None:
        """Gives it back. Off the block path; never used afterwards."""


class Processor(ABC):
    """A streaming processor.

    inputs, outputs, params: what it can be wired and turned by.
    split: the block is split where one of its parameters changes without smoothing, so that `value`
    is exact; else read `curve` and `at`.  holds: feeds nothing through within `spec.block` frames
    of it, so that it may close a cycle.  compensates: in a cycle it takes `StreamSpec.feedback` off what it
    holds sound back by; the host then brings all other sound to it as late as the cycle.  tail: it sounds on when
    its input has ended, and dies away: files go on until that is silent.  needs: parameters of kind file without
    which it does nothing to a file.
    rate, block, channels: what it insists on; None takes the stream's. The host adapts.
    latency: frames at the processor's own rate by which its output lags its input; constant from
    one `prepare` to the next.  settings: values of its `restart`, text and file parameters, set
    before `prepare`.  dry: its first audio input is what bypass and `wet` pass.  node: the number of
    its node, set before `prepare`.  parts: what it holds outside its process; made in `prepare`.  files:
    "module:function" of what `antiphon run` calls with a `antiphon.offline.file_job.FileJob` where its files are not
    sound in, sound out; "" for the rest.
    """

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN,)
    outputs: ClassVar[tuple[Port, ...]] = (AUDIO_OUT,)
    params: ClassVar[tuple[Param, ...]] = ()
    split: ClassVar[bool] = False
    holds: ClassVar[bool] = False
    compensates: ClassVar[bool] = False
    tail: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    rate: ClassVar[int | None] = None
    block: ClassVar[int | None] = None
    channels: ClassVar[int | None] = None
    files: ClassVar[str] = ""
    latency: int = 0
    node: int = 0
    parts: tuple[ProcessorPart, ...] = ()

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {p.name: p.default for p in self.params}

    def prepare(self, spec: StreamSpec) -> None:  # noqa: B027 - to have none is the common case
        """Makes every buffer and sets `latency`. Called off the block path, before the first block."""

    @abstractmethod
    def process(self, io: IO) -> None:
        """One block: reads `io.audio_in`, fills `io.audio_out`. Returns nothing."""

    def reset(self) -> None:  # noqa: B027 - to have no past is the common case
        """Forgets the past: silence in, silence out from here. Called on the block path."""

    def close(self) -> None:
        """Gives back what it holds outside its process: its parts. Off the block path; `prepare` may follow.

        One that holds more extends it, and may not count on `prepare` having come to its end.
        """
        for part in self.parts:
            part.close()
        self.parts = ()
