"""Control's end of the engine link (`engine.link`): sends actions; reads reports, clocks, counters and meters."""

import errno
import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from msgspec import convert

from antiphon.kernel.contract.event import EVENT_KINDS, Event
from antiphon.kernel.engine.link import (
    BeatPassed,
    EngineCounters,
    EngineStatus,
    Late,
    LoaderReport,
    NodeState,
    PlanLoaded,
    PlanRefused,
    Report,
    Reported,
    Synced,
)
from antiphon.kernel.engine.shared import (
    DRIVERS,
    METERS,
    OUTPUT,
    SESSION,
    TRACKS,
    HeaderWord,
    Shared,
    command_ring,
    report_ring,
)
from antiphon.kernel.errors import EngineError
from antiphon.kernel.graph.io_nodes import IN_NUMBER, OUT_NUMBER
from antiphon.kernel.runtime.platform import hear, start_time
from antiphon.kernel.session.actions import Action, EngineLoad
from antiphon.kernel.session.commands import Now, Play, Sample
from antiphon.kernel.workers.low_latency_events import EventWriter

REPORT_KINDS = ("", "synced", "late", "running", "loaded", "beat", "reported", "played")
PLACES = {name: place for place, name in enumerate(REPORT_KINDS)}
"""Index of each kind of report."""
STATES = ("none", "starting", "running", "ended")
MAX_MESSAGE = 8 << 20
_COUNTERS = tuple(HeaderWord[counter.name.upper()] for counter in fields(EngineCounters))


class RemoteEngine:
    """Client of the engine process. No call blocks. For one thread.

    `direct`: low-latency path of played notes to their worker, or None.
    """

    def __init__(
        self, shared: Shared, wake_fd: int, peer: socket.socket, recorder: socket.socket | None = None
    ) -> None:
        """Creates a connection to the engine, which may start later and rings the bell `wake_fd` for reports."""
        self._shared, self._wake, self._peer, self._recorder = shared, wake_fd, peer, recorder
        self._words, self._floats = shared.words, shared.floats
        self._commands, self._reports = command_ring(shared), report_ring(shared)
        self.direct: EventWriter | None = None
        self._batches = 0  # how many `batch` are open, one within the other
        self._to_stop = False  # a stop was sent to the recorder, which may not have handled it yet
        self._tracks_to_stop = False
        self._refused: list[PlanRefused] = []
        peer.setblocking(False)

    # ---- commands
    def send(self, action: Action) -> bool:
        """Puts an action into the engine's ring; if full, counts it and returns False. Undated notes go to `direct`
        too.
        """
        if self.direct is None or not isinstance(action, Play) or type(action.when) is not Now or self._commands.full:
            return self._commands.push(action)
        if self._batches and not self.direct.batching:
            self.direct.begin_batch()
        event = replace(action.event, serial=self.direct.send(action.node, action.event))
        return self._commands.push(Play(action.node, event, action.when))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Context whose actions reach one block, even nested; those over `COMMANDS_A_BLOCK` are dropped."""
        self._batches += 1
        if self._batches == 1:
            self._commands.begin_batch()
        try:
            yield
        finally:
            self._batches -= 1
            if self._batches == 0:
                try:
                    if self.direct is not None and self.direct.batching:
                        self.direct.end_batch()
                finally:
                    self._commands.end_batch()

    def load(self, plan: EngineLoad) -> None:
        """Requests a plan, answered by `PlanLoaded` or `PlanRefused`; nodes of the same number keep their state."""
        request = {"do": "load", "serial": plan.serial, "graph": plan.graph.to_json(), "ids": plan.ids}
        always = {"tempo": plan.tempo, "fade": plan.fade}
        more = {"again": plan.again, "versions": dict(plan.versions), "quantum": plan.quantum, "tail": plan.tail}
        refusal = self._send({**request, **always, **{key: value for key, value in more.items() if value}})
        if refusal:
            self._refused.append(PlanRefused(plan.serial, refusal))

    def record(self, path: str | None) -> None:
        """Starts recording the output to a file; None stops it. Raises EngineError when the recorder is too busy."""
        self._ask({"do": "record", "path": path})

    def tracks(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        """Starts recording tracks into a folder; None stops it. Raises EngineError when the recorder is too busy."""
        self._ask({"do": "tracks", "path": path, "header": header or {}})
        self._tracks_to_stop = path is None

    def capture(self, path: str, node: int, bars: int, bar: int, number: int) -> None:
        """Writes the last bars, of `bar` beats each, of a node to a file; the recorder answers by `number`."""
        self._ask({"do": "capture", "path": path, "node": node, "bars": bars, "bar": bar, "number": number})

    def note_turn(self) -> None:
        """Writes a heartbeat of control's loop; without one the supervisor considers control hung."""
        self._words[HeaderWord.CONTROL_BEAT] = time.monotonic_ns()

    def echo(self, node: int) -> None:
        """Selects the node whose events are reported as `Play`: a number, `EVERY_NODE`, or 0 for none."""
        self._words[HeaderWord.ECHO] = node

    def session(self, path: str | None, header: dict[str, Any] | None = None) -> None:
        """Starts recording a session into a folder; None stops it. Raises EngineError when the recorder is too busy."""
        self._ask({"do": "session", "path": path, "header": header or {}})
        self._to_stop = path is None

    def cue(self, sample: int, name: str, values: Sequence[Any]) -> None:
        """Writes a cue into the log of the recorded session. Raises EngineError when the recorder is too busy."""
        self._ask({"do": "cue", "sample": max(0, sample), "cue": name, "values": list(values)})

    @property
    def recording(self) -> bool:
        """Whether the output is recorded, as the recorder reports it."""
        return bool(self._words[HeaderWord.TAPPING] & OUTPUT)

    @property
    def keeping(self) -> bool:
        return bool(self._words[HeaderWord.TAPPING] & SESSION) and not self._to_stop

    @property
    def keeping_tracks(self) -> bool:
        return bool(self._words[HeaderWord.TAPPING] & TRACKS) and not self._tracks_to_stop

    def _send(self, message: dict[str, Any]) -> str:
        """Sends to the loader. Returns why the message can never be sent, or "" when it was sent or may be later."""
        data = json.dumps(message).encode()
        try:
            self._peer.send(data)
        except OSError as error:
            self._words[HeaderWord.COMMANDS_DROPPED] += 1
            if error.errno == errno.EMSGSIZE:
                return (
                    f"the patch is {len(data) >> 10} KiB as the engine reads it, more than the system sends at once; "
                    "take nodes or long texts out, or raise net.core.wmem_max"
                )
            # any other error: the engine is not running, and gets its plan when it has started
        return ""

    def _ask(self, message: dict[str, Any]) -> None:
        if self._recorder is not None:
            try:
                self._recorder.send(json.dumps(message).encode())
            except OSError as error:
                raise EngineError("the recorder is busy; try again in a moment") from error

    # ---- reports
    def filenos(self) -> tuple[int, int]:
        """The descriptors that are readable when there are reports."""
        return self._wake, self._peer.fileno()

    def reports(self) -> list[Report]:
        result: list[Report] = [*self._refused]
        self._refused.clear()
        try:
            hear(self._wake)
        except (BlockingIOError, OSError):
            pass  # there are no new reports in the ring
        while True:
            try:
                data = self._peer.recv(MAX_MESSAGE)
            except (BlockingIOError, ConnectionError):
                break
            if not data:
                break
            result.append(convert(json.loads(data), LoaderReport))
        for kind, where, number, channel, sample, _, token, _ in self._reports.drain(4096):
            node, cell = where >> 16, (where & 0xFFFF) - 1
            match REPORT_KINDS[kind]:
                case "synced":
                    result.append(Synced(token))
                case "late":
                    result.append(Late(node, cell, number))
                case "running":
                    result.append(NodeState(node, "running"))
                case "loaded":
                    result.append(PlanLoaded(token, int(number), node))
                case "beat":
                    result.append(BeatPassed(token))
                case "reported":
                    result.append(Reported(node, cell, number))
                case "played":
                    event = Event(EVENT_KINDS[token], 0, cell, number, int(channel))
                    result.append(Play(node, event, Sample(sample)))
        return result

    # ---- clocks, counters, meters
    def clock(self) -> tuple[int, int, float]:
        """(sample, its time of CLOCK_MONOTONIC in ns, ns per sample) as the engine last published them."""
        words = self._words
        for _ in range(1000):
            before = words[HeaderWord.CLOCK_SEQUENCE]
            sample, at = words[HeaderWord.CLOCK_SAMPLE], words[HeaderWord.CLOCK_NS]
            step = self._floats[HeaderWord.CLOCK_NS_PER_SAMPLE]
            if before % 2 == 0 and words[HeaderWord.CLOCK_SEQUENCE] == before:
                break
        return sample, at, step or 1e9 / words[HeaderWord.RATE]

    def sample_at(self, monotonic_ns: int) -> float:
        """The engine's sample, fractional, at a time of CLOCK_MONOTONIC in ns, by the delay-locked loop."""
        sample, at, step = self.clock()
        if at == 0:
            return 0.0
        return sample + (monotonic_ns - at) / step

    def beat_at(self, sample: float) -> float:
        """The beat at a sample, extrapolated from the last block's beat and tempo."""
        place, beat, bpm, playing = self._beat()
        if not playing:
            return beat
        return beat + (sample - place) / self._words[HeaderWord.RATE] * bpm / 60.0

    def tempo_now(self) -> tuple[float, float, bool]:
        """(beat, bpm, playing) of the transport at the engine's last block."""
        return self._beat()[1:]

    @property
    def leader(self) -> int:
        """Number of the node that steers the clock, 0 for none."""
        return self._words[HeaderWord.LEADER]

    def _beat(self) -> tuple[int, float, float, bool]:
        """(sample, the beat there, bpm, playing) as the engine last published them."""
        words, floats = self._words, self._floats
        for _ in range(1000):
            before = words[HeaderWord.BEAT_SEQUENCE]
            place, playing = words[HeaderWord.BEAT_SAMPLE], bool(words[HeaderWord.PLAYING])
            beat, bpm = floats[HeaderWord.BEAT], floats[HeaderWord.TEMPO] or 120.0
            if before % 2 == 0 and words[HeaderWord.BEAT_SEQUENCE] == before:
                break
        return place, beat, bpm, playing

    def counters(self) -> EngineCounters:
        return EngineCounters(*(self._words[word] for word in _COUNTERS))

    def status(self) -> EngineStatus:
        w, f = self._words, self._floats
        # a killed engine leaves its last state in the mapping until the supervisor has noticed
        state = STATES[w[HeaderWord.ENGINE_STATE]] if start_time(w[HeaderWord.ENGINE_PID]) else "starting"
        return EngineStatus(
            w[HeaderWord.ENGINE_PID],
            state,
            w[HeaderWord.RESTARTS],
            DRIVERS[w[HeaderWord.DRIVER]],
            w[HeaderWord.RATE],
            w[HeaderWord.BLOCK],
            w[HeaderWord.CHANNELS],
            w[HeaderWord.LATENCY_DRIVER],
            w[HeaderWord.LATENCY_RING],
            w[HeaderWord.LATENCY_GRAPH],
            f[HeaderWord.LOAD_MEAN],
            f[HeaderWord.LOAD_PEAK],
            w[HeaderWord.WAKE_LATE_NS],
            w[HeaderWord.DEVICE_RATE],
            w[HeaderWord.DEVICE_BLOCK],
        )

    def meters(self) -> dict[int, tuple[float, float]]:
        """(peak, rms) of a recent block of each node's output, by node number; 0 is the master output, -1 the input."""
        view = self._shared.meters
        ends = {OUT_NUMBER: (view[1], view[2]), IN_NUMBER: (view[5], view[6])}
        return ends | {number: (peak, rms) for number, peak, rms, _ in self._node_meters()}

    def node_loads(self) -> dict[int, float]:
        """Mean load of each node's processor in the engine, as a share of a block, by node number."""
        return {number: load for number, _, _, load in self._node_meters()}

    def _node_meters(self) -> Iterator[tuple[int, float, float, float]]:
        """Number, peak, RMS and load of each node."""
        view = self._shared.meters
        for row in range(8, 4 * METERS, 4):
            if not view[row]:
                return
            yield int(view[row]), view[row + 1], view[row + 2], view[row + 3]
