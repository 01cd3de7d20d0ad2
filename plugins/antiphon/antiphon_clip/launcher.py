"""Clips: a launcher that loops clips on the beat, from bar to bar, and records one at a time; its OSC addresses."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from antiphon.api.backends.runtime import instead
from antiphon.api.backends.transports import (
    NOW,
    Arg,
    ClearSchedule,
    Double,
    EngineEffect,
    NudgeBeat,
    OscRequest,
    Panic,
    RequestError,
    SetTransport,
    Transport,
    TransportServer,
)
from antiphon.kernel.graph.clips import PatchClip, clip_room
from antiphon_clip.take import ClipRun, Message, Take, due_messages

POLL_SECONDS = 0.04
"""Seconds between two polls of the beat."""
SEND_AHEAD = 0.4
"""Seconds before their beat at which messages are sent."""
BAR_MARGIN = 0.1
"""Minimum seconds before a bar line at which events on it can still be sent in time."""
SETTLE_SECONDS = 0.15
"""Seconds after a take's end until all its input has arrived."""
JUMP_BEATS = 0.5
"""Deviation in beats from the elapsed time between two polls that counts as a jump."""
MAX_BARS = 64
BEAT_STEPS = 1 / 64, 16.0
"""Minimum and maximum step in beats."""
COLUMNS = 4
PLACES = 16
SOURCE = "clip"

_open: list[Launcher] = []


def launcher_of(request: OscRequest) -> Launcher:
    """Launcher of the server that received a message: each transport and each plugin has its own interface object."""
    for one in _open:
        if one.server.folder == request.server.folder:
            return one
    raise RequestError("clips are not played now: the server starts or ends")


class ClipTransport(Transport):
    """Transport that runs in every server."""

    def start(self, server: TransportServer) -> None:
        Launcher(server).install()


class Launcher:
    """Records and plays the clips of a server.

    `dropped`: number of messages refused during playback; `reason`: why the last one was refused.
    """

    def __init__(self, server: TransportServer) -> None:
        """Creates an idle launcher; `install` starts it."""
        self.server = server
        self.take: Take | None = None
        self.runs: list[ClipRun] = []
        self.dropped, self.reason = 0, ""
        self._read: dict[str, tuple[PatchClip, list[Message]]] = {}
        self._seen: Mapping[str, PatchClip] = {}
        self._told: dict[str, tuple[str, float, PatchClip]] = {}
        self._now, self._ns, self._moves = server.beat_of(NOW), server.now_ns(), False
        self._kept, self._begun = list[tuple[Any, ...]](), False
        self._kept_take = ""

    def install(self) -> None:
        """Starts playing clips; those that an earlier control process played go on, and so does its take."""
        self._kept_take = self.server.kept("take")
        if self._kept_take:
            kept = json.loads(self._kept_take)
            self.take = Take.restore(self.server, lambda *answer: self._answered(answer[0], answer[1:]), kept)
        for name, begin, sent, end, sounding in json.loads(self.server.kept("runs") or "[]"):
            self.runs.append(ClipRun(name, begin, sent, end, sounding={tuple(what): None for what in sounding}))
            if self.take is not None and name == self.take.name and begin >= self.take.end:
                self.runs[-1].take = self.take
        self.server.on_effect(self._effect)
        self.server.status(self._status)
        self.server.service(self._serve)
        _open.append(self)

    def _status(self) -> dict[str, Any]:
        recorded = self.take.name if self.take else ""
        return {"playing": len(self.runs), "recording": recorded, "dropped": self.dropped, "reason": self.reason}

    async def _serve(self) -> None:
        if self not in _open:
            _open.append(self)  # it is served again, after a fault
        try:
            while True:
                if self.runs or self.take or self._kept_take or self.server.clips() is not self._seen:
                    with self.server.turn():
                        self.server.attempt("the clips", self.step)
                self._now, self._ns = self.server.beat_of(NOW), self.server.now_ns()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            _open.remove(self)

    def _effect(self, effect: EngineEffect) -> None:
        # a fault here must not keep the effect from the engine
        self.server.attempt("the clips", lambda: self._follow(effect))

    def _follow(self, effect: EngineEffect) -> None:
        if isinstance(effect, Panic | ClearSchedule):
            self.runs.clear()
            self._keep()
            self._seen = {}  # what clients see has changed
            if isinstance(effect, Panic):
                self._finish()
        elif isinstance(effect, SetTransport | NudgeBeat):
            self._moves |= not isinstance(effect, SetTransport) or effect.beat is not None
        elif self.take is not None:
            self.take.effect(effect)

    def clip(self, name: str) -> PatchClip:
        """Clip by name. Raises `RequestError`: there is none."""
        clips = self.server.clips()
        if name not in clips:
            raise RequestError(f"there is no clip {name!r}{instead(name, clips)}")
        return clips[name]

    def put(self, name: str, clip: PatchClip) -> None:
        """Stores a clip."""
        self.server.keep_clips({**self.server.clips(), name: clip}, "/clip/put")

    def delete(self, name: str) -> None:
        """Deletes a clip."""
        self.clip(name)
        left = {other: clip for other, clip in self.server.clips().items() if other != name}
        self.server.keep_clips(left, "/clip/delete")

    def record(
        self, name: str, bars: int, step: float, of: tuple[str, ...], done: Callable[..., None]
    ) -> list[SetTransport]:
        """Records a clip from the next bar line on.

        Raises `RequestError`: another clip is being recorded, there is no such node, or the grid is full.
        """
        clips, nodes = self.server.clips(), tuple(word for word in of if word != "knobs")
        if self.take is not None:
            raise RequestError(f"{self.take.name} is being recorded; /clip/stop {self.take.name} ends that")
        for node in nodes:
            self.server.param(node, "bypass")
        most, begin, beats = clip_room(clips, name), self._bar_line(self._of(name)), float(bars * self.server.bar())
        self.take = Take(self.server, name, begin, beats, most, step, "knobs" in of, nodes, done)
        self._end(self._of(name), begin)
        return self._started()

    def play(self, name: str) -> list[SetTransport]:
        """Plays a clip from the next bar line on, replacing others of its column."""
        self.clip(name)
        others = self._column(name)
        begin = self._bar_line(others)
        self._end(others, begin)
        self.runs.append(ClipRun(name, begin, begin))
        return self._started()

    def stop(self, name: str = "") -> None:
        """Ends a clip and its take on the next bar line; all without a name."""
        if name and not (self.take is not None and self.take.name == name):
            self.clip(name)
        runs = self._of(name)
        line = self._bar_line(runs)
        self._end(runs, line)
        if self.take is not None and name in ("", self.take.name):
            self.take.beats, self.take.loops = min(self.take.beats, line - self.take.begin), False
            if self.take.beats <= 0.0:
                self._finish()

    def _of(self, name: str) -> list[ClipRun]:
        """Active runs of a clip; all for ""."""
        return [run for run in self.runs if name in ("", run.name) and run.sent < math.inf]

    def _column(self, name: str) -> list[ClipRun]:
        """Active runs of a clip, and of others of its column."""
        place, found = self._place(name), list[ClipRun]()
        for run in self._of(""):
            there = self._place(run.name)
            if run.name == name or (min(place, there) >= 0 and (there - place) % COLUMNS == 0):
                found.append(run)
        return found

    def _end(self, runs: list[ClipRun], line: float) -> None:
        for run in runs:
            run.end = min(run.end, line)

    def _started(self) -> list[SetTransport]:
        return [] if self.server.tempo()[2] else [SetTransport(True)]

    def _bar_line(self, runs: list[ClipRun]) -> float:
        """Next bar line at which the runs can end: no later events have been sent."""
        bar, bpm = self.server.bar(), self.server.tempo()[1]
        soonest = max((run.sent for run in runs), default=0.0), self.server.beat_of(NOW) + BAR_MARGIN * bpm / 60.0
        return math.ceil(max(soonest) / bar - 1e-9) * float(bar)

    def _place(self, name: str) -> int:
        clips = self.server.clips()
        taken = self.take is not None and self.take.name == name  # it gets a place where it had none
        return clips[name].place if name in clips and (clips[name].place >= 0 or not taken) else self._free()

    def _free(self) -> int:
        """Index of a grid place without a clip; -1 for none."""
        taken = {clip.place for clip in self.server.clips().values()}
        return next((place for place in range(PLACES) if place not in taken), -1)

    def step(self) -> None:
        """Sends events due within `SEND_AHEAD` seconds, and reports changes to subscribers."""
        now, (_, bpm, going) = self.server.beat_of(NOW), self.server.tempo()
        ns = self.server.now_ns()
        if not self._begun:
            self._begun = True
            for run in self.runs:  # of an earlier process: what was due meanwhile is not played late
                run.sent = max(run.sent, now)
                self._release(run, run.sent)
            if self.take is not None and now < self.take.begin - 2 * self.server.bar():  # the beat began anew
                self._finish()
        if self._moves and abs(now - self._now - (ns - self._ns) * going * bpm / 6e10) > JUMP_BEATS:
            self._moves = False
            self._handle_jump(now)
        self._now, self._ns = now, ns
        until = now + SEND_AHEAD * bpm / 60.0 if going else now
        take = self.take
        if take is not None and take.loops and until > take.end:
            take.loops = False
            self._end(self._column(take.name), take.end)
            self.runs.append(ClipRun(take.name, take.end, max(take.end, now), take=take))
        for run in self.runs:
            self._send(run, until)
        self.runs = [run for run in self.runs if run.end > now]
        self._keep()
        if take is not None and now > take.end + SETTLE_SECONDS * bpm / 60.0:
            self._finish()
        states = self._states()
        for name, (state, beat, clip) in states.items():
            if self._told.get(name) != (state, beat, clip):
                self.server.event("/clip/state", name, state, Double(beat), clip.beats, clip.place)
        for name in self._told.keys() - states.keys():
            self.server.event("/clip/state", name, "gone", Double(0.0), 0.0, -1)
            self._read.pop(name, None)
        self._told, self._seen = states, self.server.clips()

    def _keep(self) -> None:
        """Keeps what plays and the take for the control process that follows a crash: anew after each note and change.

        A take is kept until its clip is, at the end of the turn before.
        """
        seen = [(run.name, run.begin, run.end, *run.sounding) for run in self.runs]
        if seen != self._kept:
            self._kept = seen
            rows = [(run.name, run.begin, run.sent, run.end, [*run.sounding]) for run in self.runs]
            self.server.keep("runs", json.dumps(rows))
        take = json.dumps(self.take.keep()) if self.take is not None else ""
        if take != self._kept_take:
            self._kept_take = take
            self.server.keep("take", take)

    def _handle_jump(self, now: float) -> None:
        """Handles a jump of the beat: runs continue from the new beat in their phase.

        Waiting runs start, and stopped ones end, at the next bar line; one-shot runs end.
        """
        line = self._bar_line([])
        for run in self.runs:
            self._release(run, None)
            length, waits, ends = self._messages(run)[0], run.begin > self._now, run.end < math.inf
            if run.sent == math.inf or (ends if waits else not length):
                run.end, run.sent = now, math.inf
                continue
            run.begin = line if waits else run.begin + math.floor((now - run.begin) / length) * length
            run.end, run.sent = line if ends else math.inf, max(now, run.begin)
        if self.take is not None and not self.take.begin - self.server.bar() <= now <= self.take.end:
            self._finish()

    def _finish(self) -> None:
        """Stores the take as a clip, and answers the request for it."""
        take, self.take = self.take, None
        if take is None:
            return
        place = self._place(take.name)
        clip = take.clip(self._free() if place < 0 else place)
        try:
            if clip.events:
                self.server.keep_clips({**self.server.clips(), take.name: clip}, "/clip/record")
        except RequestError as error:
            take.done("/fail", "/clip/record", str(error))
            return
        take.done("/done", "/clip/record", take.name, len(clip.events), take.dropped)
        if clip.events and clip.place < 0:
            full = f"the grid is full, and {take.name} is kept beside it: /clip/play {take.name} plays it"
            take.done("/remark", "/clip/record", f"{full}; delete a clip of it before the next take")

    def _messages(self, run: ClipRun) -> tuple[float, list[Message]]:
        """Length and messages of a run: a clip, or a take that has just ended."""
        clip = self.server.clips().get(run.name)
        if run.take is not None and self._plays_current_take(run):
            clip = run.take.clip(-1)
        if clip is None:
            return 0.0, []
        if run.name not in self._read or self._read[run.name][0] is not clip:
            self._read[run.name] = clip, sorted(clip.messages(), key=lambda one: one[0])
        return clip.beats, self._read[run.name][1]

    def _plays_current_take(self, run: ClipRun) -> bool:
        return run.take is not None and run.take is self.take

    def _send(self, run: ClipRun, until: float) -> None:
        length, messages = self._messages(run)
        if messages is not run.messages:
            self._handle_change(run, messages)
        to = min(until, run.end)
        if to > run.sent:
            for beat, address, args in due_messages(messages, run.begin, length, run.sent, to):
                run.note_started(address, args)
                if self._is_file_parameter(address):
                    self._answered("/fail", (address, "a clip chooses no file"))
                else:
                    self.server.message("/at", Double(beat), address, *args, source=SOURCE, reply=self._answered)
            run.sent = to
        if not length and messages and run.sent > run.begin + messages[-1][0]:
            run.end = min(run.end, run.sent)
        if run.sent >= run.end or run.end <= self._now:
            self._release(run, run.end)
            run.sent = math.inf

    def _handle_change(self, run: ClipRun, messages: list[Message]) -> None:
        """Handles changed events or a deleted clip: notes that no longer have an end are ended."""
        run.messages = messages
        if run.name not in self.server.clips() and not self._plays_current_take(run):
            run.end = min(run.end, self._now)
        ends = {args[:1] + args[2:] for _, address, args in messages if address == "/note/off"}
        kept = {what: None for what in run.sounding if what in ends or str(what[0]).startswith("/")}
        for what in kept:
            run.sounding.pop(what)
        self._release(run, run.sent)
        run.sounding = kept

    def _is_file_parameter(self, address: str) -> bool:
        """True for a parameter that control surfaces may not set: they may store clips, which play with all rights."""
        _, root, *words = address.split("/")
        node = self.server.nodes().get(words[0]) if root == "node" and len(words) > 1 else None
        return node is not None and any(param.kind == "file" and param.name == words[1] for param in node.cells)

    def _release(self, run: ClipRun, beat: float | None) -> None:
        """Ends a run's open notes: at a beat, or now."""
        for message in run.release():
            at: tuple[Arg, ...] = () if beat is None else ("/at", Double(beat))
            address, *args = *at, *message
            try:
                self.server.message(str(address), *args, source=SOURCE, reply=self._answered)
            except RequestError as error:
                # its node was removed
                self._answered("/fail", (str(address), str(error)))

    def _answered(self, address: str, args: tuple[Arg, ...]) -> None:
        if address == "/fail":
            self.dropped += 1
            self.reason = " ".join(map(str, args))

    def states(self) -> dict[str, tuple[str, float, float, int]]:
        """State, beat, length and place of each clip, by name."""
        return {name: (state, beat, clip.beats, clip.place) for name, (state, beat, clip) in self._states().items()}

    def _states(self) -> dict[str, tuple[str, float, PatchClip]]:
        clips, now, take = self.server.clips(), self.server.beat_of(NOW), self.take
        states = {name: ("stopped", 0.0, clip) for name, clip in clips.items()}
        for run in self.runs:
            if run.name in clips:
                ends = run.end < math.inf
                state = "ending" if ends else "queued" if now < run.begin else "playing"
                states[run.name] = state, run.end if ends else run.begin, clips[run.name]
        if take is not None:
            clip = clips.get(take.name) or PatchClip(take.beats, (), self._place(take.name))
            states[take.name] = "armed" if now < take.begin else "recording", take.begin, clip
        return states


_STATE = "s:name s:state d:beat f:beats i:place"


def _texts(request: OscRequest) -> list[str]:
    return [arg for arg in request.args if isinstance(arg, str)]


def _numbers(request: OscRequest) -> list[int | float]:
    return [arg for arg in request.args if isinstance(arg, int | float)]


def _record(request: OscRequest) -> list[SetTransport]:
    (name, *of), (bars, step) = _texts(request), (*_numbers(request), 0.0)[:2]
    if not 1 <= bars <= MAX_BARS:
        raise RequestError(f"a clip takes 1 to {MAX_BARS} bars, not {bars}")
    if step and not BEAT_STEPS[0] <= step <= BEAT_STEPS[1]:
        raise RequestError(f"a step takes {BEAT_STEPS[0]:g} to {BEAT_STEPS[1]:g} beats, or 0 for none, not {step:g}")
    return launcher_of(request).record(name, int(bars), step, tuple(of), request.reply)


def _play(request: OscRequest) -> list[SetTransport]:
    return launcher_of(request).play(*_texts(request))


def _stop(request: OscRequest) -> None:
    launcher_of(request).stop(*_texts(request))


def _put(request: OscRequest) -> None:
    (name, *events), (beats, place) = _texts(request), _numbers(request)
    launcher_of(request).put(name, PatchClip(float(beats), tuple(events), int(place)))
    request.reply("/done", "/clip/put", name)


def _delete_clip(request: OscRequest) -> None:
    (name,) = _texts(request)
    launcher_of(request).delete(name)
    request.reply("/done", "/clip/delete", name)


def _get(request: OscRequest) -> None:
    (name,) = _texts(request)
    clip = launcher_of(request).clip(name)
    request.reply("/clip/get.reply", name, clip.beats, clip.place, *clip.events)


def _list(request: OscRequest) -> None:
    words = [
        word
        for name, (state, beat, beats, place) in launcher_of(request).states().items()
        for word in (name, state, Double(beat), float(beats), place)
    ]
    request.reply("/clip/list.reply", *words)


ADDRESSES = (
    ("/clip/record", "s:name i:bars [f:step] [s:of]…", _record,
     "Records what is played by hand from the next bar line on, then plays it in a loop: notes, quantised to `step` "
     "beats (0: not), with the word `knobs` values too; of the nodes that are named, else of all. "
     "Answers `/done /clip/record s:name i:events i:dropped` at its end."),
    ("/clip/play", "s:name", _play,
     "Plays a clip in a loop from the next bar line on, in place of one of its column; starts the transport."),
    ("/clip/stop", "[s:name]", _stop,
     "Ends a clip, or its recording, on the next bar line; without a name all."),
    ("/clip/delete", "s:name", _delete_clip, "Deletes a clip; `/patch/undo` brings it back. Answers `/done`."),
    ("/clip/put", "s:name f:beats i:place [s:event]…", _put,
     "Stores a clip, which repeats after `beats` beats (0: plays once), at a place of the page's grid, or -1. An "
     "event is a text: its beat, then a message, `1.5 /note/on 60 100`. Answers `/done`."),
    ("/clip/get", "s:name", _get, "Answers `/clip/get.reply s:name f:beats i:place s:event…`."),
    ("/clip/list", "", _list,
     f"Answers `/clip/list.reply`, {_STATE} of each clip. Subscribers are sent `/clip/state {_STATE}` when that or its "
     "events change: armed, recording, queued, playing, ending (at that beat), stopped or gone."),
)  # fmt: skip
