"""The base class of processors, and the data of one call: `Processor`, `IO`, `Event`.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import Samples, StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.contract.ports import AUDIO_IN, AUDIO_OUT, Port
from antiphon.kernel.errors import PluginError
from antiphon.native.kernel import Step


@dataclass(slots=True)
class BlockTime:
    """The time of a block's first frame.

    Attributes:
        sample: The frame's number on the engine's sample clock.
        beat: Its position on the musical clock, in beats.
        tempo: Beats per minute.
        latency: Frames from the frame until it sounds at the device; 0 on files.
    """

    sample: int = 0
    beat: float = 0.0
    tempo: float = 120.0
    playing: bool = True
    latency: int = 0

    def beats_per_frame(self, rate: float) -> float:
        """Increment of the musical clock per frame, in beats; 0 while it is stopped. `rate`: of the stream, Hz."""
        return self.tempo / (60.0 * rate) if self.playing else 0.0

    def frames_per_beat(self, rate: float) -> float:
        """Length of a beat in frames, whether the clock runs or not. `rate`: of the stream, Hz."""
        return 60.0 * rate / self.tempo


@dataclass(slots=True)
class IO:
    """The arguments of one call of `process`: sound, events, parameters and time.

    `process` has to fill every array of `audio_out` and must not write arrays of `audio_in`.

    Attributes:
        audio_in: float32 `[channels, frames]` of each audio or control input, in declared order.
        audio_out: float32 `[channels, frames]` of each audio or control output, in declared order.
        cells: The parameters' values over the block, by name; processors read them by `curve`, `value`, `at` and
            `fired`.
        time: Time of the first frame.
        frames: Frames of this call, 1 to the prepared block.
        base: Where a block is split, the frame of the whole block at which this call begins.
        events_out: Events passed to `emit`.
        asset: Decoded sound by port name, read-only.
        reports: Numbers passed to `report`.
        marks: Marks passed to `mark`.
        steering: Tempos passed to `steer`.
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
    steering: list[tuple[float, float, float]] = field(default_factory=list)

    def curve(self, name: str) -> NDArray[np.float32]:
        """Values of a parameter at every frame, float32 `[frames]`, smoothed and modulated; valid during this call."""
        full = self.cells[name].full
        if self.base == 0 and self.frames == full.shape[0]:
            return full
        return full[self.base : self.base + self.frames]

    def value(self, name: str) -> Value:
        """Value of a parameter at the first frame."""
        return self.at(name, 0)

    def at(self, name: str, offset: int) -> Value:
        """Value of a parameter at one frame, 0 to `frames` - 1."""
        cell = self.cells[name]
        if cell.param.kind in ("text", "file"):
            return cell.text
        return cell.param.decode(cell.number_at(self.base + offset))

    def fired(self, name: str) -> list[int]:
        """Frames of this call at which a trigger was sent, in order."""
        fired = self.cells[name].fired
        if not fired or (self.base == 0 and fired[-1] < self.frames):
            return fired
        return [n - self.base for n in fired if self.base <= n < self.base + self.frames]

    def emit(self, event: Event) -> None:
        """Sends an event out of the node's events port. At most 1024 are taken in one call; more are dropped."""
        if len(self.events_out) < 1024:
            self.events_out.append(event)

    def report(self, name: str, number: float) -> None:
        """Publishes the value of a `readonly` parameter; for a choice, the index of its word, from 0."""
        self.reports[name] = number

    def mark(self, kind: str, number: int) -> None:
        """Writes a line into the session log, for an event that a replay cannot compute.

        At most 1024 are taken in one call; more are dropped. `ProcessorPart.recall` gets both arguments before the same
        block in a replay.
        """
        if len(self.marks) < 1024:
            self.marks.append((kind, number))

    def steer(self, tempo: float, ahead: float = 0.0, skip: float = 0.0) -> None:
        """Asks for a tempo of the clock, in bpm, from the next block on; live and on files alike.

        `ahead`: beats by which the clock lags behind the node's beat, negative where it leads. The clock catches up
        within about a beat, by at most 8 % of the tempo. `skip`: beats, 0 or above, that the clock skips first; a clock
        that waits (`Processor.awaits`) starts, and may skip backwards too. Of several nodes that ask in a block, the
        first in the order of the plan leads.
        """
        if not self.steering:
            self.steering.append((tempo, ahead, skip))


class ProcessorPart:
    """A resource of a processor outside its process: a stream through a worker, the log of its dropouts.

    The processor lists its parts in `Processor.parts`; the host calls them. A part overrides the methods that it needs.
    """

    def retry(self) -> None:
        """Retries after a permanent failure, at `/node/NAME/reset`; `Processor.reset` follows. For the block path."""

    def recall(self, kind: str, number: int) -> None:
        """Repeats in the coming block what `IO.mark` logged before that block of a set. Called on the block path."""

    def standing(self) -> list[tuple[str, int]]:
        """Marks that `recall` needs before the coming block, for a log that begins with that block."""
        return []

    def close(self) -> None:
        """Releases the part's resources. Called off the block path; the part is not used afterwards."""


class Processor:
    """The base class of a node's code: sound and events in, sound and events out, block by block.

    The host does smoothing, bypass, mute, wet and dry, latency compensation, checks for NaN, adaption of rate and block
    size, OSC, HTTP and files.

    Attributes:
        inputs: Ports it can be wired into; one audio input unless declared.
        outputs: Ports it can be wired from; one audio output unless declared.
        split: The host splits a block where a parameter without smoothing changes, so that `IO.value` is exact.
        holds: No input reaches an output within `spec.block` frames, so that the node may close a cycle of wires.
        compensates: In a cycle it subtracts `StreamSpec.feedback` from its own delay; the host then delays all other
            sound to it by the same number of frames.
        rate: The rate it requires, in Hz; None takes the stream's, and otherwise the host resamples. It may be a
            property that reads `settings`, which are set before the host asks.
        block: The block it requires, in frames; None takes the stream's.
        channels: The channels it requires; None takes the stream's.
        on_files: How `antiphon run` uses it, and what it does to a file.
        variants: "PARAM=module:function", where ports and parameters depend on what the text parameter PARAM names; ""
            otherwise. The function is given the `ProcessorInfo` of the type and the value, and returns the declaration
            for it or raises an `AntiphonError`. Not called on the block path; the value is in `settings` before
            `prepare`.
        latency: Frames, at the processor's own rate, by which its output lags behind its input. Set in `prepare`, and
            constant until the next `prepare`.
        node: The number of its node; the host sets it before `prepare`.
        parts: Its resources outside its process; made in `prepare`.
        vocabulary: Names that its text parameters accept, by parameter, and bounds of a number's range that its
            settings narrow; set in `prepare`. A sender of `/node/NAME/play` gets `/fail` on any other name. At most
            64 KB per node are used.
        settings: Values of its `restart`, text and file parameters, by name; the host sets them before `prepare`.
    """

    inputs: ClassVar[tuple[Port, ...]] = (AUDIO_IN,)
    outputs: ClassVar[tuple[Port, ...]] = (AUDIO_OUT,)
    params: ClassVar[tuple[Param, ...]] = ()
    split: ClassVar[bool] = False
    holds: ClassVar[bool] = False
    compensates: ClassVar[bool] = False
    rate: ClassVar[int | None] = None
    block: ClassVar[int | None] = None
    channels: ClassVar[int | None] = None
    on_files: ClassVar[FileUse] = FileUse()
    variants: ClassVar[str] = ""
    latency: int = 0
    node: int = 0
    parts: tuple[ProcessorPart, ...] = ()
    vocabulary: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {p.name: p.default for p in self.params}

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer and sets `latency`. Called off the block path, before the first block.

        An `AntiphonError` refuses the patch with its sentence.
        """

    def step(self, io: IO) -> Step | None:
        """Describes a block as calls of kernels, which the plan then runs as machine code without the interpreter.

        Has no side effects. The plan calls it once the node's parameters are steady, and repeats the kernel calls for
        every block until one changes that it does not read by `curve` alone: array addresses are fixed, state that
        changes from block to block is in the arrays, and fields of `io.time`, which may be unknown yet, are passed to
        kernels unevaluated.

        Returns `kernel.step(…)`, or several joined by `then`; with `provided`, blocks that only `process` can compute
        are found one by one. None where `process` computes every block until a parameter moves.
        """
        return None

    def process(self, io: IO) -> None:
        """Computes one block. It returns None, and must not read or write files, lock, log, import or grow arrays.

        A processor defines this or `step`. It fills every frame of `io.audio_out`.
        """
        step = self.step(io)
        if step is None or step.conditions:
            raise PluginError("it has no process, and no step for every block")
        step.run()
        for name, (array, place) in step.reports.items():
            io.report(name, io.cells[name].param.clip(float(array[place])))

    def reset(self) -> None:
        """Restores the state after `prepare`: silence in then gives silence out. Called on the block path."""

    def awaits(self, values: Mapping[str, Value]) -> bool:
        """Whether the clock stands from the start of the patch until the node steers it or the transport starts.

        Called after `prepare`, with the values of all parameters by name; on the block path too, where the clock is to
        wait again.
        """
        return False

    def heard(self, told: Any) -> None:
        """Takes the findings of `FileUse.hears` on the file to be played. Called after `prepare`, for files only."""

    def look_ahead(self, frames: int | None) -> bool:
        """True for a preroll: a pass over the whole file without output before it is played. Never called live.

        After a pass `rewind` and then this are called, for four passes at most. `frames`: length of the file, to which
        the pass adds silence as long as the latency; None, for no pass, where it is unknown or over half an hour.
        """
        return False

    def rewind(self) -> None:
        """Returns to a file's first frame after a preroll, keeping its estimates. Called between two blocks."""

    def save_state(self) -> Mapping[str, Any]:
        """State for a newer version of the plugin to continue from (hot reload).

        Called between two blocks, on the block path, and once before as a trial, from another thread. It has no side
        effects, and returns the buffers themselves, not copies: numbers, texts and arrays of numbers by name, 1 MiB at
        most; empty where the new version begins as after `prepare`.
        """
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores the `save_state` of another version. Called after `prepare`, on the block path.

        Names may be missing, and arrays have another shape. Arrays are copied into the processor's own, because the
        other version still plays during the crossfade. An exception refuses the new version in the trial; later the
        node begins as after `prepare`.
        """

    def close(self) -> None:
        """Closes its parts. Called off the block path; `prepare` may follow.

        Overrides that release more must call it, and may not assume that `prepare` completed.
        """
        for part in self.parts:
            part.close()
        self.parts = ()
