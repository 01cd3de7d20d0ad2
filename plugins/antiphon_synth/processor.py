"""`synth`: a node that has its notes played by the backend, in a worker, one block late."""

from __future__ import annotations

import json
import math
from collections import deque

import numpy as np

from antiphon.api import AUDIO_OUT, EVENTS_IN, IO, Event, Param, Samples, StreamSpec
from antiphon.api.synths import (
    DIALS,
    FIRST_DIAL,
    INSTRUMENTS,
    MORE_INSTRUMENTS,
    VOICES,
    Sounding,
    SynthSettings,
    chosen_backend,
    pack_events,
    parse_controls,
)
from antiphon.api.workers import WorkerProcessor, WorkerSpec

MAX_WAITING = 8192
MOST_EVENTS = 128
"""Of a hop; the rest of `MAX_EVENTS` is for the sounding notes that a new worker is sent again."""
_DB = math.log(10.0) / 20.0


class Synth(WorkerProcessor):
    """Events in, sound out. Events of a block are played with their offsets in the next one.

    While its worker is away the node is silent (a 10 ms fade); when it is back, the notes that sound still are
    taken up where they would be.
    """

    inputs = (EVENTS_IN,)
    outputs = (AUDIO_OUT,)
    tail = True
    params = (
        Param(
            "instrument",
            "choice",
            "piano",
            choices=(*INSTRUMENTS, *MORE_INSTRUMENTS),
            restart=True,
            doc="What the notes are played by; the last four with --synth supercollider.",
        ),
        Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="How loud."),
        Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", restart=True, doc="Reach of a full bend."),
        Param("voices", "int", VOICES, 1, VOICES, restart=True, doc="Most notes at once; the oldest is released."),
        Param("seed", "int", 1, 0, 65535, restart=True, doc="Of what is drawn by chance in the sound."),
        Param("synthdef", "file", "", doc="A compiled SynthDef that plays instead, with --synth supercollider."),
        Param("sound", "file", "", doc="What the sampler, the grains and a SynthDef's buffer hold."),
        Param("controls", "text", "", doc="What else is set of the SynthDef: cutoff=800 density=1:200."),
        *(
            Param(f"x{n}", low=0.0, high=1.0, smooth=0.02, doc=f"Dial {n}: a range of controls, from end to end.")
            for n in range(1, DIALS + 1)
        ),
        Param("dropped", "int", 0, 0, 2**31 - 1, readonly=True, doc="Events there was no room for."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._choice = chosen_backend()
        self._most = max(1, min(MOST_EVENTS, int(self._choice.info.crowd * spec.block)))
        self._gain = np.zeros(spec.block, np.float32)
        self._skipped = 0
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_WAITING)
        self._hop_events: list[Event] = []
        self._dials = tuple(f"x{n + 1}" for n in range(len(parse_controls(str(self.settings["controls"])).dials)))
        self._turned = [-1.0] * len(self._dials)
        self._sounding = Sounding()
        self._dropped = 0
        super().prepare(spec)

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        return self._choice.info.worker(spec.rate, spec.block, dict(self._choice.settings))

    def config(self) -> str:
        settings = SynthSettings(
            str(self.settings["instrument"]), float(self.settings["bend"]), int(self.settings["voices"]),
            int(self.settings["seed"]), str(self.settings["synthdef"]), str(self.settings["sound"]),
            str(self.settings["controls"]),
        )  # fmt: skip
        settings = self._choice.info.supporter().playable(settings, instead=self._choice.instead)
        return json.dumps(settings.to_json(), ensure_ascii=False)

    def lead(self, spec: StreamSpec, hop: int) -> int:
        """A hop is a block: the next one plays its answer."""
        return 0

    def behind(self, spec: StreamSpec, hop: int) -> int:
        return hop * self._choice.info.delay(spec.rate, hop)

    def process(self, io: IO) -> None:
        out, hops = io.audio_out[0], self.hops
        hops.begin(io.time.sample)
        start = hops.number * hops.hop + hops.fill
        # blocks that were missed: hops are counted, the clock went on
        self._skipped = io.time.sample - start
        for event in io.events_in:
            if len(self._events) == MAX_WAITING:
                self._dropped += 1
            self._events.append((start + event.offset, event))
        super().process(io)
        gain = self._gain[: io.frames]
        np.multiply(io.curve("level"), np.float32(_DB), out=gain)
        np.exp(gain, out=gain)
        np.multiply(out, gain, out=out)
        if self._dropped:
            io.report("dropped", self._dropped)

    def post(self, hop: int, sound: Samples) -> None:
        """The hop's events are gathered, whether there is a worker for them or not."""
        size = self.hops.hop
        start, events = hop * size, self._hop_events
        events.clear()
        if self._dials:
            self._turn(self._io, events)
        # what a hop cannot hold waits for the next
        while self._events and self._events[0][0] < start + size and len(events) < self._most:
            at, event = self._events.popleft()
            events.append(event.moved(max(0, at - start) - event.offset))
        super().post(hop, sound)
        self._sounding.follow(start, events)

    def begin(self, hop: int) -> None:
        """A new worker is given the notes that sound."""
        self._hop_events[:0] = self._sounding.again(hop * self.hops.hop)

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        self._dropped += pack_events(hop * self.hops.hop + self._skipped, self._hop_events, into[0])

    def _turn(self, io: IO, events: list[Event]) -> None:
        """Dials that stand elsewhere than they did go before the hop's notes."""
        for n, name in enumerate(self._dials):
            place = float(io.at(name, max(0, io.frames - 1)))
            if place != self._turned[n]:
                self._turned[n] = place
                events.append(Event("control", 0, FIRST_DIAL + n, place))

    def reset(self) -> None:
        super().reset()
        self._events.clear()
        self._sounding.clear()
