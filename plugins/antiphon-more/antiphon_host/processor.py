"""`plugin`: node that plays a third-party effect or instrument in its own worker."""

from collections import deque
from collections.abc import Callable

import numpy as np

from antiphon.api import AUDIO_IN, AUDIO_OUT, IO, Event, FileUse, Param, Samples, Step, StreamSpec
from antiphon.api.backends.synths import SynthMemory
from antiphon.api.backends.workers import Rebuffer, WorkerProcessor, WorkerSpec
from antiphon.synths.processor import EventWord, no_events
from antiphon_host import states
from antiphon_host.card import HostedControl, PluginCard
from antiphon_host.catalogue import card_of, is_mono, ports, query_plugin_latency
from antiphon_host.midi import COLUMNS, HEAD, MAX_EVENTS, pack

MIN_HOP = 32
MAX_WAITING = 4096
MEMORY = 512
"""Memory limit of a plugin in megabytes."""


class Plugin(WorkerProcessor):
    """Plays a third-party plugin. Ports and parameters are those of its `uri`; without one the input passes through."""

    inputs = (AUDIO_IN,)
    outputs = (AUDIO_OUT,)
    variants = "uri=antiphon_host.catalogue:declare_node"
    on_files = FileUse(changes=("level", "channels", "time", "pitch"))
    params = (
        Param("uri", "text", "", owners=True, doc="lv2:URI, clap:ID or vst3:PATH; see `antiphon plugins --scan`."),
        Param("state", "text", "", owners=True, doc="NAME.state beside your patches: what it keeps beside parameters."),
        Param("keep", "trigger", False, owners=True, doc="Writes that state now."),
    )
    card: PluginCard | None = None

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        """Worker of a node; a plugin of one channel has an instance per channel."""
        card, hop = self._card(), max(MIN_HOP, spec.block)
        self._copies = spec.channels if is_mono(card) else 1
        rows = (card.ins + card.side) * self._copies
        more = HEAD + len(card.controls) + (MAX_EVENTS * COLUMNS if card.notes else 0)
        return WorkerSpec(
            name=card.name or card.address,
            factory="antiphon_host.worker:Hosted",
            zygote="host",
            imports="antiphon_host.worker",
            hop=hop,
            rate=spec.rate,
            inputs=(rows + -(-more // hop), hop),
            outputs=(card.outs * self._copies, hop),
            slots=1,
            memory=MEMORY,
            settings={"address": card.address, "copies": self._copies, "controls": len(card.controls)},
        )

    def _card(self) -> PluginCard:
        if self.card is None or self.card.address != self.settings["uri"]:
            self.card = card_of(str(self.settings["uri"]))
        return self.card

    def config(self) -> str:
        """Name of the plugin's state."""
        name, card = str(self.settings["state"]), self._card()
        if name:
            states.read(name, card.address)
        return name

    def behind(self, spec: StreamSpec, hop: int) -> int:
        """Latency in frames as the plugin reports it with the node's values."""
        card = self._card()
        late = tuple((control.key, self._set_number(control)) for control in card.controls if control.late)
        return query_plugin_latency(card.address, card.latency, spec.rate, hop, late) if late or card.latency else 0

    def _set_number(self, control: HostedControl) -> float:
        """Plugin value of a control that only a new plan changes."""
        param = control.param()
        return control.number(param.encode(self.settings.get(control.name, param.default)))

    def prepare(self, spec: StreamSpec) -> None:
        """Opens the stream. Raises `ParamError`: the plugin is missing, or cannot be hosted."""
        self._passes = not self.settings["uri"]
        if self._passes:
            self.latency = 0
            return
        card = self._card()
        self.inputs, self.outputs = ports(card)  # type: ignore[misc, assignment]
        self._controls = card.controls
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_WAITING)
        self._keeps = 0
        self._hop_events: list[Event] = []
        self._sounding = SynthMemory()
        self._state = np.zeros(EventWord.SIZE, np.int64)
        self._state[EventWord.WAITING] = 1  # also while controls are to be given
        super().prepare(spec)
        self._rows = (card.ins + card.side) * self._copies
        self._side = card.side if card.ins and card.side else 0
        if self._side:
            channels = card.ins + card.side
            self._in: Samples = np.zeros((channels, spec.block), np.float32)
            post = self._post_both
            self.hops = Rebuffer(self.hops.hop, self.hops.lead, channels, card.outs, post, self.load)
        # what a hop holds after its sound: nothing to set where its first number is 0
        self._head: Samples = np.zeros(self._sent[0].size - self._rows * self.hops.hop, np.float32)
        controls = slice(HEAD, HEAD + len(card.controls))
        self._values: memoryview[float] = self._head.data[controls]  # type: ignore[assignment]
        for n, control in enumerate(card.controls):
            if control.late:
                self._values[n] = self._set_number(control)
        self._cells: object = None
        self._floats: list[tuple[int, memoryview[float]]] = []
        self._steps: list[tuple[int, HostedControl, Callable[[int], float]]] = []
        self._given = False
        self._bound: tuple[Samples | None, Samples, Callable[[], bool]] | None = None

    def process(self, io: IO) -> None:
        """Collects the block's events, posts complete hops, and plays the answers."""
        if self._passes:
            io.audio_out[0][...] = io.audio_in[0]
            return
        hops = self.hops
        hops.begin(io.time.sample)
        start = hops.number * hops.hop + hops.fill
        self._state[EventWord.SKIPPED] = io.time.sample - start
        if io.fired("keep"):
            self._keeps += 1
            self._given = False
        for event in io.events_in:
            self._events.append((start + event.offset, event))
        self._read(io)
        if not self._play_natively(io):
            if self._side:
                self._io = io
                sound = self._in[:, : io.frames]
                channels = io.audio_in[0].shape[0]
                sound[:channels], sound[channels:] = io.audio_in[0], io.audio_in[1]
                hops.run(io, sound, io.audio_out[0])
            else:
                super().process(io)
        self._state[EventWord.WAITING] = len(self._events) + (not self._given)

    def step(self, io: IO) -> Step | None:
        """Step of a block without events and with unchanged controls."""
        if self._passes or self._side:
            return None
        x, y = io.audio_in[0] if self._rows else None, io.audio_out[0]
        hop = self.hop_step(x, y, self._head)
        if hop is None or self.hops.hop != io.frames:
            return None
        if self._bound is None or self._bound[0] is not x or self._bound[1] is not y:
            self._bound = x, y, hop.bound()
        return hop.provided(no_events.step(self._state, self.hops.words, self.hops.hop, io.time.sample))

    def _play_natively(self, io: IO) -> bool:
        """Processes a block without events in native code, with its controls; returns False if that is impossible."""
        if self._bound is None or self._events:
            return False
        x, y, run = self._bound
        if y is not io.audio_out[0] or (x is not None and x is not io.audio_in[0]):
            return False
        self._head[0], self._head[2] = not self._given, self._keeps
        done = run()
        self._head[0] = 0.0
        self._given |= done
        return done

    def _read(self, io: IO) -> None:
        """Reads the controls at the block's end; changed ones are marked to be sent."""
        if io.cells is not self._cells:
            self._cells, cells = (
                io.cells,
                [(n, c, io.cells[c.name]) for n, c in enumerate(self._controls) if not c.late],
            )
            self._floats = [(n, memoryview(cell.full)) for n, c, cell in cells if c.kind == "float"]  # type: ignore[arg-type]
            self._steps = [(n, c, cell.number_at) for n, c, cell in cells if c.kind != "float"]
        values, last = self._values, max(0, io.base + io.frames - 1)
        for n, full in self._floats:
            if values[n] != full[last]:
                values[n], self._given = full[last], False
        for n, control, number_at in self._steps:
            before, values[n] = values[n], control.number(number_at(last))
            if values[n] != before:
                self._given = False

    def _post_both(self, hop: int, sound: Samples) -> None:
        """Posts a hop of sound and side chain; a missing answer is replaced by the sound alone."""
        self._both = sound
        self.post(hop, sound[: len(sound) - self._side])

    def post(self, hop: int, sound: Samples) -> None:
        """Collects the hop's events, and posts them with its sound."""
        size, events = self.hops.hop, self._hop_events
        start = hop * size
        events.clear()
        while self._events and self._events[0][0] < start + size and len(events) < MAX_EVENTS:
            at, event = self._events.popleft()
            events.append(event.moved(max(0, at - start) - event.offset))
        self._given = False
        super().post(hop, sound)
        self._sounding.follow(start, events)

    def begin(self, hop: int) -> None:
        """Sends the held notes again to a new worker."""
        self._hop_events[:0] = self._sounding.restore_events(hop * self.hops.hop)

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        """Writes the sound of a hop, its final control values, then its events."""
        given, rows, head = into[0], self._rows, self._head
        given[:rows] = self._both if self._side else sound
        more = given[rows:].reshape(-1)
        after = HEAD + len(self._controls)
        more[:after] = head[:after]
        more[0], more[2] = 1.0, self._keeps
        more[1] = pack(self._hop_events, more[after:]) if len(more) >= after + MAX_EVENTS * COLUMNS else 0
        self._given = True

    def reset(self) -> None:
        """Resets the plugin from the next hop on."""
        if self._passes:
            return
        super().reset()
        self._events.clear()
        self._sounding.clear()
