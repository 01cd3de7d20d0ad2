"""Plays versions of a script on a server: `antiphon live`, and the performer of `serve --live`."""

import math
import os
import re
import select
import signal
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from antiphon.client.starting import StartedServer
from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import suggest_parameters
from antiphon.kernel.errors import AntiphonError, EngineError
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.io_nodes import ENDS, declaration
from antiphon.kernel.graph.names import MACRO
from antiphon.kernel.graph.patch import file_name, find as find_patch
from antiphon.kernel.plugins.loader import declared_catalog
from antiphon.kernel.runtime import paths
from antiphon.kernel.runtime.shortening import escape_unprintable
from antiphon.kernel.runtime.suggestion import instead
from antiphon.kernel.wire.osc import Message
from antiphon.live.listening import missing
from antiphon.live.records import MIDI, OUTSIDE
from antiphon.performer.branch import BranchProcesses
from antiphon.performer.outgoing import Display, SentEvent, show_failure
from antiphon.performer.pair import SEND_AHEAD
from antiphon.performer.player import Player
from antiphon.performer.scripts import ON_THE_BAR, Begin, ScriptFile, ScriptSource
from antiphon.performer.wire import BeatClock, Handover, OutsidePrograms, ServerConnection, to_midi

TICK_SECONDS = 0.01
"""Maximum interval between steps of the player, in seconds."""
BEAT_QUERY_SECONDS = 0.02
"""Interval in seconds between queries of the beat."""
TELL_SECONDS = 0.25
"""Minimum interval in seconds between states of the set sent to pages."""
RECONNECT_SECONDS = 0.05
"""Interval in seconds between connection attempts."""
PATCH_TIMEOUT = 60.0
"""Timeout in seconds for a server to load a patch."""
MAX_LINES = 50
"""Maximum displayed lines of script output per second."""
_LAST_LINES = 6
_LONGEST = 8000
"""Maximum lines of script output that pages show, and characters of each."""
_REASONS = 64
"""Reasons given by the server that are shown only once."""
FOREIGN = "the server on this OSC port does not have your token: no script is taken from it"
UNPROVED = "a script came by OSC that does not prove your token; it is not performed"
_QUIETEST = 1e-6
_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")
"""Matches a number in a sentence."""


class Performing:
    """One performance of a changing script."""

    def __init__(
        self,
        path: str,
        show: Display,
        *,
        osc_port: int,
        patch: str = "",
        begin: Begin = ON_THE_BAR,
        serve: Sequence[str] | None = (),
        source: ScriptSource | None = None,
    ) -> None:
        """Starts the processes; `run` plays.

        `patch`: replaces the script's patch, or "". `begin`: start rule of versions that do not state one. `serve`:
        options of `antiphon serve`, with which a server is started if none answers; None to start none. `source`:
        source of the versions; None for the file and `/live/eval`. Raises UsageError: there is no such file.
        """
        self._path, self._show, self._patch, self._serve = path, show, patch, serve
        self._by_osc, self._handover = source is None, Handover(paths.config())
        self._source = ScriptFile(path, show) if source is None else source
        self.wire, self._clock = ServerConnection(osc_port), BeatClock()
        self._outside = OutsidePrograms()
        self._processes = BranchProcesses()
        self.player = Player(path, self._processes, show, begin)
        self._server: StartedServer | None = None
        self._begun_with = ""
        self.ending = False  # set to end `run`
        self._asked = self._opened = 0.0
        self._lost = self._met = self._still = False
        self._plays: str | None = None
        self._title = ""  # of the patch that the last version has, once it is known
        self._loading: tuple[str, float] | None = None
        self._checking = False  # the server was asked for its nodes, which the next version names
        self._catalog: Catalog | None = None
        self._lines: dict[str, tuple[int, float]] = {}  # of the last event of an address, and its beat
        self._heard = 0
        self._nameless = 0  # version that named no patch when a server was to be started
        self._reasons: deque[str] = deque(maxlen=_REASONS)
        self._printed: tuple[int, int] = (0, 0)
        self._rest = b""
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._told: tuple[str, ...] | None = ()
        self._telling = 0.0  # when pages may be told again

    def run(self) -> None:
        """Plays until `ending` is set. Raises `EngineError` if the started server ends, or none can be started."""
        try:
            while not self.ending:
                self.turn()
        finally:
            self.end()

    def turn(self) -> None:
        """Waits for input, at most `TICK_SECONDS`, then runs one step."""
        self._wait()
        self.step(time.monotonic())

    def beat(self) -> float:
        """Current beat of the server."""
        return self._clock.beat_at(time.monotonic())

    def end(self) -> None:
        """Ends the script's notes, its processes, and a started server."""
        try:
            # ends the script's notes, after events already sent
            for event in self.player.out.ends():
                self._send(event)
            until = time.monotonic() + 2 * SEND_AHEAD
            while self.wire.connected and time.monotonic() < until:
                self.wire.flush()
                time.sleep(TICK_SECONDS)
        finally:
            self.player.close()
            self._processes.close()
            self.wire.close()
            if self._server is not None:
                self._server.end()

    def step(self, now: float) -> None:
        """One step, at a time in seconds of the monotonic clock."""
        version = self._source.look(now)
        if version is not None:
            self.player.save(*version)
        self._print(now)
        if not self.wire.connected:
            self._open(now)
        for message in self.wire.messages():
            self._take(message, now)
        if self.wire.connected and now - self._asked >= BEAT_QUERY_SECONDS:
            self._asked = now
            self.wire.send("/beat")
            if now >= self._telling:
                self._tell(now)
        if not self._clock.running:
            return
        bpm = self._clock.bpm()
        if bpm == 0.0 and not self._still:
            self._show("the server's beat stands still; /transport/play starts it, or your playing where it waits")
        self._still = bpm == 0.0
        self.player.checks = self.wire.connected
        for event in self.player.tick(self._clock.beat_at(now), bpm):
            self._send(event)
        if self.player.unchecked and not (self.player.wanted or self._checking):
            self._checking = True
            self.wire.send("/node/list")
        if self._heard != self.player.swaps:
            self._heard = self.player.swaps
            if self.player.listens:
                self.wire.send("/node/list")
        self._load(now)

    def _open(self, now: float) -> None:
        if now - self._opened < RECONNECT_SECONDS:
            return
        self._opened = now
        self._clock.forget()
        if self._server is not None and self._server.ended:
            raise EngineError("the server has ended; what it said stands above")
        if self.wire.open():
            self.wire.send("/tempo")
            self.wire.send("/patch/hint")
            if self._by_osc and (asked := self._handover.begin()):
                self.wire.send("/live/join", asked)
            self._plays, self._met, self._told, self._checking = None, True, (), False
            if self._lost:
                self._show("connected again")
            self._lost = False
        elif self._server is None and self._serve is not None and not self._met:
            wanted = self._patch_to_start()
            if wanted is not None and self._patch_exists(wanted):
                self._show("no server answers: one is started")
                self._server, self._begun_with = StartedServer((*self._serve, "--patch", wanted), shown=True), wanted
                self.wire.port = self._server.ports[0]
                self._show(self._server.ready)
        elif not self._lost:
            self._lost = True
            self._show("the server does not answer; the script goes on when it does", fault=True)

    def _patch_to_start(self) -> str | None:
        """Patch for the server to be started; None until the script was read."""
        for event in self.player.tick(0.0, 120.0):
            self._send(event)
        if self.player.wanted:
            return self._wanted()
        if self._nameless == self.player.swaps:
            return None
        self._nameless = self.player.swaps
        if self._patch:
            return self._wanted()
        name = self._path.rpartition("/")[2]
        how = 'write patch("pads") in it, give --patch, or start `antiphon serve --patch NAME`'
        self._show(f"no server answers, and {name} names no patch to start one with; {how}", fault=True)
        return None

    def _patch_exists(self, wanted: str) -> bool:
        """Whether the patch exists, checked before a server is started with it; otherwise the version is refused."""
        try:
            if os.sep not in wanted:
                find_patch(wanted)
        except AntiphonError as error:
            self.player.refuse(str(error))
            return False
        return True

    def _wanted(self) -> str:
        name = self._patch or self.player.wanted
        beside = Path(self._path).parent / name
        return str(beside.absolute()) if beside.is_file() else name

    def _load(self, now: float) -> None:
        """Loads the patch of the version read last, on the server."""
        if not self.player.wanted or self._plays is None:
            return
        wanted = self._wanted()
        if self._loading is None:
            started = self._server is not None and wanted == self._begun_with and not self.player.playing
            if started or file_name(Path(wanted).stem) == file_name(self._plays):
                self._title = self._plays
                self.player.confirm_patch()
            elif os.sep in wanted:
                self.player.refuse(
                    f"{escape_unprintable(wanted)} is a file, and a server that runs loads patches by their names: put "
                    "it among those that `antiphon patches` lists"
                )
            else:
                self._loading, self._title = (wanted, now), ""
                self.wire.send("/patch/load", wanted)
        elif now - self._loading[1] > PATCH_TIMEOUT:
            self._loading = None
            self.player.refuse(f"the server has not loaded the patch {wanted} within {PATCH_TIMEOUT:g} s")

    def _take(self, message: Message, now: float) -> None:
        address, args = message.address.decode("utf-8", "replace"), message.args
        match address, args:
            case "/beat", (float(beat),):
                self._clock.answer(beat, now)
            case "/tempo", (float(bpm),):
                self._clock.tempo(bpm)
            case "/patch/hint.reply", (str(name), *_):
                self._plays = name
            case "/patch/loaded", (str(name), *_):
                self._plays = name
                if self._loading is None and self._title not in ("", name):
                    self.player.patch = ""  # somebody chose another; the next version has its own again
                self._title = name
            case "/done", ("/live/perform", *_):
                self._told = ()  # what was told before the proof was refused
            case "/done", ("/patch/load", *_) if self._loading is not None:
                self._plays, self._loading = self._loading[0], None
                self.player.confirm_patch()
            case "/fail", ("/patch/load", reason) if self._loading is not None:
                self._loading = None
                self.player.refuse(escape_unprintable(str(reason)))
            case "/fail", ("/live/join" | "/live/perform" | "/live/plays", *_):
                pass  # the server evaluates nothing
            case "/fail", (str(what), reason):
                self._refused(what, str(reason))
            case "/remark", (_, str(sentence)) if sentence not in self._reasons:
                self._reasons.append(sentence)
                self._show(escape_unprintable(sentence))
            case "/node/list.reply", _:
                if self._checking and not self.player.wanted:
                    self._check(dict(zip(map(str, args[::2]), map(str, args[1::2]), strict=False)))
                self._checking = False
                for line, sentence in missing(self.player.listens, [str(name) for name in args[::2]]):
                    self._show(
                        f"{os.path.basename(self._path)} line {line}: {escape_unprintable(sentence)}", fault=True
                    )
            case "/panic", _:
                self.player.panic()
            case "/live/challenge", (str(given), proof) if self._by_osc:
                if answer := self._handover.answer(self.wire.port, given, proof):
                    self.wire.send("/live/perform", answer)
                else:
                    self._fault(FOREIGN)
            case "/live/eval", (str(text), int(number), proof) if self._handover.takes(text, number, proof):
                self.player.save(text)
            case "/live/eval", _ if self._by_osc:
                self._fault(UNPROVED)
            case "/cue", (str(name), *value):
                self.player.cue(name, value[0] if value else None)
            case "/note/on", (note, velocity, channel, str(node)):
                self.player.cue(f"{node}:note", [note, velocity, channel])
            case "/meter", (str(node), float(), float(rms)):
                self.player.level(node, 20.0 * math.log10(max(rms, _QUIETEST)))
            case _, (float() | int() | str() as value,) if address.startswith("/node/") and address.count("/") == 3:
                _, _, node, param = address.split("/")
                self.player.cue(f"{node}.{param}", value)

    def _check(self, nodes: dict[str, str]) -> None:
        """Rejects the read version for a node or parameter that the server lacks; `nodes`: type by name."""
        if self._catalog is None:
            self._catalog = declared_catalog()
        infos = [(name, declaration(NodeSpec(name, kind), self._catalog)) for name, kind in nodes.items()]
        params = {name: info.by_name for name, info in infos if info is not None}

        def wrong(node: str, param: str) -> str:
            if node in (MACRO, *ENDS):
                return ""
            if node not in nodes:
                return f"there is no node {node!r}{instead(node, nodes)}"
            if param and param not in params.get(node, {param: None}):
                return f"{node} has no parameter {param!r}{suggest_parameters(param, params[node].values())}"
            return ""

        self.player.check(wrong)

    def _tell(self, now: float) -> None:
        """Reports a file's set to the server if it has changed, for the server's pages."""
        told: tuple[str, ...] = ()
        if self._by_osc and self.player.playing:
            tracks = [f"{name} {on or 'loop' * loop}".strip() for name, on, loop in self.player.tracks]
            lines = ("\n".join(some)[:_LONGEST] or "\n" for some in (tracks, self._last_lines))
            told = os.path.basename(self._path)[-80:], *lines
        if told != self._told:
            self._told, self._telling = told, now + TELL_SECONDS
            self.wire.send("/live/plays", *told)

    def _refused(self, what: str, reason: str) -> None:
        line, beat = self._lines.get(what, (0, math.inf))
        name = os.path.basename(self._path)
        sentence = f"{name} line {line}: {reason}" if line else f"{name}: {what}: {reason}"
        before = beat < self.player.begins
        # a signal beyond a range is refused for each of its values: one of them says it
        plain = _NUMBER.sub("", reason)
        place = f"{what} {line} {self.player.swaps - before} {plain}" if line else sentence
        self._fault(sentence, place, before=before)

    def _fault(self, sentence: str, place: str = "", *, before: bool = False) -> None:
        """Shows a fault once. `place`: its position and kind; of each kind one fault is shown."""
        if (place or sentence) not in self._reasons:
            self._reasons.append(place or sentence)
            show_failure(self._show, escape_unprintable(sentence), before=before)

    def _send(self, event: SentEvent) -> None:
        if len(self._lines) > 4096:
            self._lines.clear()
        if event.address.startswith(MIDI):
            event = to_midi(event)
        self._lines[event.address] = event.line, event.beat
        if event.address.startswith(OUTSIDE):
            beats = event.beat - self._clock.beat_at(time.monotonic())
            self._outside.send(event.address, event.args, 60.0 * beats / (self._clock.bpm() or 120.0))
            return
        self.wire.play(event)

    # ---- what the script prints

    def _print(self, now: float) -> None:
        """Shows script output, at a limited rate."""
        while True:
            try:
                part = os.read(self._processes.output.fileno(), 1 << 16)
            except BlockingIOError:
                return
            if not part:
                return
            *lines, self._rest = (self._rest + part)[-(1 << 16) :].split(b"\n")
            second, count = self._printed
            if int(now) != second:
                if count > MAX_LINES:
                    self._show(f"… and {count - MAX_LINES} lines more")
                count = 0
            for line in lines:
                count += 1
                if count <= MAX_LINES:
                    self._last_lines.append(escape_unprintable(line[:400].decode("utf-8", "replace")))
                    self._show(self._last_lines[-1])
            self._printed = int(now), count

    def _wait(self) -> None:
        """Waits for input, at most `TICK_SECONDS`."""
        watched: list[Any] = [*self.player.branches(), self._processes.first]
        if self.wire.connected:
            watched.append(self.wire)
        poll = select.poll()
        for one in watched:
            if one.fileno() >= 0:
                poll.register(one, select.POLLIN)
        poll.poll(1000.0 * TICK_SECONDS)


def ended_by_signals(performing: Performing) -> None:
    """Ends the performance at Ctrl-C, SIGTERM and SIGHUP, after its note-offs."""

    def end(_number: int, _frame: object) -> None:
        performing.ending = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
