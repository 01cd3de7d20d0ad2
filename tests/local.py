"""Small processors with known answers, a catalog of them, and a stage to play them in."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from tests.noteclick import NoteClick

from antiphon.kernel.contract.block import StreamSpec
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.event import Event
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.params import Param
from antiphon.kernel.contract.ports import AUDIO_OUT, CONTROL_OUT, EVENTS_IN, EVENTS_OUT, Port
from antiphon.kernel.contract.processor import Processor
from antiphon.kernel.engine.graph_player import GraphPlayer
from antiphon.kernel.graph.compiler import compile_plan
from antiphon.kernel.graph.graph import Graph, NodeSpec, Wire
from antiphon.kernel.graph.plan import Plan
from antiphon.kernel.plugins.checks import inspect_processor
from antiphon.kernel.session.actions import NodeSet
from antiphon.kernel.session.commands import NOW, When

RATE = 48000


class Gain(Processor):
    """Multiplies, smoothly or in steps."""

    params = (
        Param("gain", default=1.0, low=0.0, high=4.0, smooth=0.004),
        Param("step", default=1.0, low=0.0, high=4.0),
    )

    def process(self, io):
        np.multiply(io.audio_in[0], io.curve("gain"), out=io.audio_out[0])
        np.multiply(io.audio_out[0], io.curve("step"), out=io.audio_out[0])


class Lag(Processor):
    """Passes its input `frames` late, and says so."""

    params = (Param("frames", "int", 100, low=0, high=100000, restart=True),)

    def prepare(self, spec):
        self.latency = int(self.settings["frames"])
        self.tail = np.zeros((spec.channels, self.latency), np.float32)

    def reset(self):
        self.tail[:] = 0.0

    def process(self, io):
        both = np.concatenate([self.tail, io.audio_in[0]], axis=1)
        io.audio_out[0][:] = both[:, : io.frames]
        self.tail = both[:, io.frames :]


class Repeat(Lag):
    """An echo: its input comes `frames` late, which is no latency."""

    on_files = FileUse(tail=True)

    def prepare(self, spec):
        super().prepare(spec)
        self.latency = 0


class Echo(Processor):
    """One that may close a cycle: its output is its input, as late as the host feeds it, times 0.5."""

    holds = True

    def process(self, io):
        np.multiply(io.audio_in[0], 0.5, out=io.audio_out[0])


class Count(Processor):
    """A source with state: the number of frames since it was made, / 2^20; `at` adds steps exactly by `split`."""

    inputs = ()
    split = True
    params = (Param("plus", "int", 0, low=0, high=8),)

    def prepare(self, spec):
        self.n = 0

    def reset(self):
        self.n = 0

    def process(self, io):
        io.audio_out[0][:] = (np.arange(self.n, self.n + io.frames) / 2**20 + 0.125 * io.value("plus")).astype(
            np.float32
        )
        self.n += io.frames


class Clicker(Processor):
    """A click of 1 on its input's sound, and a note, where `fire` fires."""

    outputs = (AUDIO_OUT, EVENTS_OUT)
    params = (Param("fire", "trigger", False),)

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0]
        for n in io.fired("fire"):
            io.audio_out[0][:, n] += 0.25
            io.emit(Event("on", n, 60))


class Notes(Processor):
    """A click of 0.5 at each note, which have to come in order."""

    inputs = (EVENTS_IN,)

    def process(self, io):
        offsets = [event.offset for event in io.events_in]
        assert offsets == sorted(offsets)
        io.audio_out[0].fill(0.0)
        for event in io.events_in:
            io.audio_out[0][:, event.offset] += 0.5


class Two(Processor):
    """A mono input, and two outputs: it as it is, and negated in three channels."""

    inputs = (Port("in", channels=1),)
    outputs = (Port("out", channels=1), Port("minus", channels=3))

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0]
        io.audio_out[1][:] = -io.audio_in[0]


class Wrong(Processor):
    """Breaks its contract as `how` says, from the block that `go` is switched on in."""

    params = (
        Param("how", "choice", "raise", choices=("raise", "nan", "shape", "return", "none", "slow")),
        Param("go", "switch", False),
    )
    clock: Callable[[], None] = staticmethod(lambda: None)

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0] * np.float32(0.5)
        if not io.at("go", io.frames - 1):
            return None
        match io.value("how"):
            case "raise":
                raise ValueError("as I was told")
            case "nan":
                io.audio_out[0][0, io.frames - 1] = np.nan
            case "shape":
                io.audio_out[0] = np.zeros((3, 5), np.float32)
            case "none":
                io.audio_out.clear()
            case "return":
                return io.audio_out[0]
            case "slow":
                self.clock()
        return None


class Saw(Processor):
    """A control that rises from 0 by `slope` a frame, from when it was made."""

    inputs = ()
    outputs = (CONTROL_OUT,)
    params = (Param("slope", default=1e-4, low=-1.0, high=1.0),)

    def prepare(self, spec):
        self.n = 0

    def process(self, io):
        io.audio_out[0][0] = np.arange(self.n, self.n + io.frames) * io.value("slope")
        self.n += io.frames


class Level(Processor):
    """The magnitude of its input as a control, `latency` late."""

    outputs = (CONTROL_OUT,)
    latency = 40

    def prepare(self, spec):
        self.tail = np.zeros((1, 40), np.float32)

    def process(self, io):
        both = np.concatenate([self.tail, np.abs(io.audio_in[0][:1])], axis=1)
        io.audio_out[0][:] = both[:, : io.frames]
        self.tail = both[:, io.frames :]


class Log(Processor):
    """A source of the very value of its log parameter, /1000."""

    inputs = ()
    params = (Param("cutoff", default=100.0, low=10.0, high=1000.0, warp="log", smooth=0.01),)

    def process(self, io):
        io.audio_out[0][:] = io.curve("cutoff") / np.float32(1000.0)


class Hear(Processor):
    """Keeps the time it was given."""

    def prepare(self, spec):
        self.times = []

    def process(self, io):
        self.times.append((io.time.sample, io.time.beat, io.time.tempo, io.time.playing))
        io.audio_out[0][:] = io.audio_in[0]


class Leader(Processor):
    """One that the clock waits for while it is on."""

    params = (Param("on", "switch", True),)

    def awaits(self, values):
        return bool(values["on"])

    def process(self, io):
        io.audio_out[0][:] = io.audio_in[0]


TYPES: dict[str, type[Processor]] = {
    "gain": Gain, "lag": Lag, "repeat": Repeat, "echo": Echo, "count": Count, "clicker": Clicker, "notes": Notes,
    "two": Two, "wrong": Wrong, "hear": Hear, "noteclick": NoteClick, "saw": Saw, "level": Level, "log": Log,
    "leader": Leader,
}  # fmt: skip
CATALOG = Catalog({name: inspect_processor(name, kind, "", "local", play=False) for name, kind in TYPES.items()})


def make(name: str) -> Processor:
    return TYPES[name]()


def graph(nodes: Mapping[str, object], wires: Iterable[str]) -> Graph:
    """nodes: name → type, or (type, values). wires: "a.port > b.port", a plain name being the first audio port."""
    specs = []
    for name, kind in nodes.items():
        kind, values = kind if isinstance(kind, tuple) else (kind, {})
        specs.append(NodeSpec(name, kind, values))
    made = Graph(tuple(specs))
    ends = []
    for wire in wires:
        source, dest = (part.strip() for part in wire.split(">"))
        ends.append(Wire(made.end(source, "out", CATALOG), made.end(dest, "in", CATALOG)))
    return Graph(made.nodes, tuple(ends))


def ids(made: Graph) -> dict[str, int]:
    return {node.name: number for number, node in enumerate(made.nodes, 1)}


def plan(made: Graph, spec: StreamSpec, old: Plan | None = None, numbers: Mapping[str, int] | None = None) -> Plan:
    return compile_plan(made, CATALOG, make, spec, numbers or ids(made), old)


def staged(made: Graph, spec: StreamSpec | None = None, tempo: float = 120.0) -> GraphPlayer:
    stage = GraphPlayer(spec or StreamSpec(RATE, 256, 2), tempo)
    stage.load(plan(made, stage.spec), 1, 0.0)
    return stage


def cell(kind: str, name: str) -> int:
    return next(n for n, p in enumerate(CATALOG[kind].cells) if p.name == name)


def put(made: Graph, node: str, name: str, number: float, ramp: float = 0.0, when: When = NOW) -> NodeSet:
    """The action that sets a node's parameter."""
    return NodeSet(ids(made)[node], cell(made.node(node).type, name), number, ramp, when)


def play(stage: GraphPlayer, x: np.ndarray, blocks: Sequence[int] | None = None) -> np.ndarray:
    """The whole of x through the stage, in blocks of these sizes, over and over."""
    kept, at, turn = [], 0, 0
    sizes = blocks or (stage.spec.block,)
    while at < x.shape[1]:
        size = min(sizes[turn % len(sizes)], x.shape[1] - at)
        kept.append(stage.run(x[:, at : at + size]).copy())
        at, turn = at + size, turn + 1
    return np.concatenate(kept, axis=1)


def said(stage: GraphPlayer, kind: str) -> list[object]:
    return [report for report in stage.reports if report.kind == kind]
