"""The one host of a processor: what it passes on, where it cuts a block, and what it says of what went wrong."""

import numpy as np
import pytest

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.parameter_cell import ParamCell
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.processor import IO, BlockTime, Processor, ProcessorPart
from antiphon.kernel.contract.runner import ProcessorRunner
from antiphon.kernel.graph.rate_adapter import adapt

SPEC = StreamSpec(rate=48000, block=8, channels=1)


class Kept(ProcessorPart):
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def retry(self) -> None:
        self.asked.append("retry")

    def recall(self, kind: str, number: int) -> None:
        self.asked.append((kind, number))

    def standing(self) -> list[tuple[str, int]]:
        return [("absent", 3)]

    def close(self) -> None:
        self.asked.append("close")


class Holder(Processor):
    """Holds a part, and one that needs nothing."""

    def prepare(self, spec: StreamSpec) -> None:
        self.kept = Kept()
        self.parts = (self.kept, ProcessorPart())

    def process(self, io: IO) -> None:
        io.audio_out[0][:] = io.audio_in[0]


class Slow(Holder):
    rate = 12000


@pytest.mark.parametrize("kind", [Holder, Slow])
def test_what_is_not_about_sound_goes_to_the_parts_also_through_another_rate(kind: type[Holder]) -> None:
    inner = kind()
    runner = ProcessorRunner(adapt(inner, SPEC), SPEC.rate)
    runner.prepare(SPEC)
    runner.retry()
    runner.recall("fresh", 7)
    assert runner.standing() == [("absent", 3)]
    first = inner.kept
    runner.prepare(SPEC)
    assert first.asked == ["retry", ("fresh", 7), "close"], "what was prepared before is given back"
    runner.processor.close()
    runner.processor.close()
    assert inner.kept.asked == ["close"]
    assert runner.standing() == []


class Stepper(Processor):
    """Writes down where each call begins, plays its parameter, and answers each event."""

    split = True
    params = (Param("level", "int", 0, 0, 9),)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int, float]] = []

    def process(self, io: IO) -> None:
        self.calls.append((io.time.sample, io.frames, io.time.beat))
        io.audio_out[0][:] = io.value("level")
        for event in io.events_in:
            io.emit(event)


def test_a_block_is_cut_where_a_parameter_changes_and_is_whole_again_after() -> None:
    stepper = Stepper()
    runner = ProcessorRunner(stepper, SPEC.rate)
    runner.prepare(SPEC)
    cell = ParamCell(stepper.params[0], SPEC.rate, SPEC.block)
    cell.post(3, 5.0)
    cell.render(80, 8)
    out, time = np.zeros((1, 8), np.float32), BlockTime(80, 1.0, 120.0)
    io = IO([], [out], {"level": cell}, time, 8, events_in=[Event("on", 2, 60, 1.0), Event("on", 6, 61, 1.0)])
    assert runner.run(io, [cell]) == ""
    assert stepper.calls == [(80, 3, 1.0), (83, 5, 1.0 + 3 / 48000 * 2.0)]
    assert out[0].tolist() == [0, 0, 0, 5, 5, 5, 5, 5]
    assert [(event.offset, event.number) for event in io.events_out] == [(2, 60), (6, 61)]
    assert [event.offset for event in io.events_in] == [2, 6]
    assert (io.base, io.frames, time.sample, time.beat) == (0, 8, 80, 1.0)
    assert io.audio_out[0] is out
