"""A plugin of one processor that turns events into samples, so that a recording says what came, and when.

First channel: a sample for each event, where it was. Second channel: 0.01 for every note that sounds.
What came is sent on.
"""

from antiphon.kernel.contract.hookspecs import hookimpl
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_OUT, EVENTS_IN, EVENTS_OUT
from antiphon.kernel.contract.processor import Processor


@hookimpl
def antiphon_processors(register):
    register("noteclick", "noteclick:NoteClick", "A sample for each event.")


def click(kind, number, value, channel):
    """The sample of an event: no two of a test are alike. At most 0.4, below where the limiter begins."""
    base = {
        "on": 0.05,
        "off": 0.15,
        "control": 0.25,
        "bend": 0.3,
        "program": 0.34,
        "pitch": 0.1,
        "pressure": 0.2,
        "timbre": 0.01,
    }[kind]
    value = value / 96 if kind == "pitch" else value
    return base + number / 4096 + value / 64 + channel / 2048


class NoteClick(Processor):
    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT, EVENTS_OUT)
    params = (Param("level", default=1.0, low=0.0, high=1.0),)
    split = True

    def prepare(self, spec):
        self.reset()

    def reset(self):
        self.held = {}

    def process(self, io):
        y, at, level = io.audio_out[0], 0, float(io.value("level"))
        y[:] = 0.0
        for event in io.events_in:
            assert at <= event.offset < io.frames
            y[1, at : event.offset] = 0.01 * len(self.held)
            at = event.offset
            key = (event.channel, event.number)
            if event.kind == "on":
                self.held[key] = event.value
            elif event.kind == "off":
                self.held.pop(key, None)
            io.emit(event)
            y[0, at] += level * click(event.kind, event.number, event.value, event.channel)
        y[1, at:] = 0.01 * len(self.held)
