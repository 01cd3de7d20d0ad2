"""`synth`: a node that has its notes played by the backend, in a worker, one block late."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import replace

import numpy as np

from antiphon.api import AUDIO_OUT, EVENTS_IN, IO, Event, Param, ParamError, Processor, Samples, StreamSpec
from antiphon.api.synths import (
    DIALS,
    FIRST_DIAL,
    INSTRUMENTS,
    PYO,
    SC_INSTRUMENTS,
    SUPERCOLLIDER,
    VOICES,
    BackendChoice,
    Sounding,
    SynthSettings,
    chosen_backend,
    pack_events,
    parse_controls,
)
from antiphon.api.workers import DropoutFader, DropoutLog, Rebuffer, Stream, current_pool

MAX_WAITING = 8192
MOST_EVENTS = 128
"""Of a hop; the rest of `MAX_EVENTS` is for the notes a new worker is told again."""
_DB = math.log(10.0) / 20.0


class Synth(Processor):
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
            choices=(*INSTRUMENTS, *SC_INSTRUMENTS),
            restart=True,
            doc="What the notes are played by; the last four with --synth supercollider.",
        ),
        Param("level", default=0.0, low=-60.0, high=12.0, unit="dB", smooth=0.005, doc="How loud."),
        Param("bend", default=2.0, low=0.0, high=24.0, unit="semitones", restart=True, doc="Reach of a full bend."),
        Param("voices", "int", VOICES, 1, VOICES, restart=True, doc="Notes at once; the oldest is let go for more."),
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
        self.close()
        hop, channels = spec.block, spec.channels
        self._hops = Rebuffer(hop, 0, 0, channels, self._post, self._load)
        self.latency = self._hops.latency
        self._choice = chosen_backend()
        self._most = max(1, min(MOST_EVENTS, int(self._choice.info.crowd * hop)))
        self.latency += hop * self._choice.info.delay(spec.rate, hop)
        self._presence = DropoutFader(channels, hop, spec.rate)
        self._answer: Samples = np.zeros((channels, hop), np.float32)
        self._gain = np.zeros(spec.block, np.float32)
        self._finite = np.zeros((2, hop), np.bool_)
        self._skipped = 0
        self._events: deque[tuple[int, Event]] = deque(maxlen=MAX_WAITING)
        self._hop_events: list[Event] = []
        self._dials = tuple(f"x{n + 1}" for n in range(len(parse_controls(str(self.settings["controls"])).dials)))
        self._turned = [-1.0] * len(self._dials)
        self._sounding = Sounding()
        self._script = DropoutLog()
        self._dropped = 0
        self._io: IO | None = None
        self._stream: Stream | None = None
        here = current_pool()
        if here is not None:
            choice = self._choice
            settings = SynthSettings(
                str(self.settings["instrument"]), float(self.settings["bend"]), int(self.settings["voices"]),
                int(self.settings["seed"]), str(self.settings["synthdef"]), str(self.settings["sound"]),
                str(self.settings["controls"]),
            )  # fmt: skip
            settings = playable(settings, choice)
            asked = choice.info.worker(spec.rate, hop, dict(choice.settings))
            self._stream = here.open(asked, json.dumps(settings.to_json(), ensure_ascii=False), self.node)

    def process(self, io: IO) -> None:
        self._io, out = io, io.audio_out[0]
        hops = self._hops
        hops.begin(io.time.sample)
        start = hops.number * hops.hop + hops.fill
        # blocks that were missed: hops are counted, the clock went on
        self._skipped = io.time.sample - start
        for event in io.events_in:
            if len(self._events) == MAX_WAITING:
                self._dropped += 1
            self._events.append((start + event.offset, event))
        hops.run(io, None, out)
        gain = self._gain[: io.frames]
        np.multiply(io.curve("level"), np.float32(_DB), out=gain)
        np.exp(gain, out=gain)
        np.multiply(out, gain, out=out)
        if self._dropped:
            io.report("dropped", self._dropped)

    def _post(self, hop: int, _sound: Samples) -> None:
        size, stream, io = self._hops.hop, self._stream, self._io
        start = hop * size
        events = self._hop_events
        events.clear()
        if io is not None and self._dials:
            self._turn(io, events)
        # what a hop cannot hold waits for the next
        while self._events and self._events[0][0] < start + size and len(events) < self._most:
            at, event = self._events.popleft()
            events.append(event.moved(max(0, at - start) - event.offset))
        if stream is not None and io is not None:
            due = self._script.before(hop, (stream,)) or hop == self._hops.first
            fresh = stream.fresh(hop, due or not self._script.away)
            if fresh is not None:
                if fresh:
                    self._script.began(hop, self._hops.first, io)
                    events[:0] = self._sounding.again(start)
                self._dropped += pack_events(start + self._skipped, events, stream.input(hop))
                stream.post(hop)
        self._sounding.follow(start, events)

    def _turn(self, io: IO, events: list[Event]) -> None:
        """Dials that stand elsewhere than they did go before the hop's notes."""
        for n, name in enumerate(self._dials):
            place = float(io.at(name, max(0, io.frames - 1)))
            if place != self._turned[n]:
                self._turned[n] = place
                events.append(Event("control", 0, FIRST_DIAL + n, place))

    def _load(self, hop: int, out: Samples) -> None:
        stream, io = self._stream, self._io
        if hop < self._hops.first or stream is None or io is None:
            out.fill(0.0)
            return
        absent = self._script.absent(hop)
        given = stream.take(hop, not absent)
        if absent:
            given = None
        if given is not None and not np.isfinite(given, out=self._finite).all():
            stream.blame()
            given = None
        self._script.took(hop, given is not None, io)
        if given is not None:
            _spread(given, self._answer)
        self._presence.play(self._answer if given is not None else None, None, out)

    def reset(self) -> None:
        self._hops.clear()
        self._presence.clear()
        self._events.clear()
        self._sounding.clear()
        if self._stream is not None:
            self._stream.reset()

    def retry(self) -> None:
        if self._stream is not None:
            self._stream.retry()

    def recall(self, kind: str, number: int) -> None:
        self._script.recall(kind, number)

    def standing(self) -> list[tuple[str, int]]:
        return self._script.standing()

    def close(self) -> None:
        stream: Stream | None = getattr(self, "_stream", None)
        if stream is not None:
            stream.close()


def playable(settings: SynthSettings, choice: BackendChoice) -> SynthSettings:
    """The settings, once it is certain that the backend plays them. Raises `ParamError` or `FileError`.

    Where pyo stands in for a scsynth that was given up, a piano stands in for what pyo has not.
    """
    match choice.info.name:
        case SUPERCOLLIDER.name:
            from antiphon.synth.sc.material import check

            check(settings)
        case PYO.name if settings.synthdef or settings.instrument in SC_INSTRUMENTS:
            if not choice.instead:
                what = "a SynthDef" if settings.synthdef else settings.instrument
                raise ParamError(f"pyo does not play {what}; start with --synth supercollider")
            return replace(settings, instrument="piano", synthdef="", sound="")
    return settings


def _spread(given: Samples, into: Samples) -> None:
    """Stereo to as many channels as there are."""
    if into.shape[0] == 1:
        np.add(given[0], given[1], out=into[0])
        np.multiply(into[0], np.float32(0.5), out=into[0])
        return
    into[:2] = given
    into[2:] = 0.0
