"""Performs scripts in virtual time: tracks and loops produce events beat by beat, reproducible by seed.

It reads no clock: events are requested up to a beat, all of them for a file, or live a little ahead of the engine's
beat.
"""

import heapq
from collections.abc import Callable, Container, Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from antiphon.kernel.errors import UsageError
from antiphon.kernel.graph.clock import TempoMap
from antiphon.live.faults import fault
from antiphon.live.notes import clip_velocity, is_silent, to_commands, to_macros
from antiphon.live.patterns.dialects import begin_dialect, track_seed
from antiphon.live.patterns.harmony import note_number
from antiphon.live.patterns.queries import stream_of
from antiphon.live.patterns.spans import CycleEvent, exact, mark
from antiphon.live.records import PLAY, SET, TEMPO, LiveEvent, LiveNote, ScriptError, ScriptTooLong, SoundingNotes
from antiphon.live.stage import CueWait, LiveScript, LiveTrack, LoopStage, LoopState, StopLoop, on_stage, voice_key
from antiphon.live.transitions import start_transitions

Foreseen: TypeAlias = tuple[float, float, str, str | float]
"""A future event: beat, length, track, and the sound's name or the note's number."""
MAX_FORESEEN = 400


def foresee_events(
    spans: Iterable[tuple[LiveTrack, Fraction, Fraction]], seed: int, enough: Callable[[], bool]
) -> list[Foreseen]:
    """Finds the first `MAX_FORESEEN` events of tracks, each between two beats.

    Failing tracks are skipped: the error is reported at playback. `seed`: the script's; `enough`: stops the search.
    """
    found: list[Foreseen] = []
    for track, begin, end in spans:
        while begin < end and not track.sets and not enough():
            until = min((begin // track.beats + 1) * track.beats, end)
            try:
                for event in _query(track, begin, until, seed):
                    if event.begins and event.whole is not None and not {"s", "note"}.isdisjoint(event.value):
                        what = event.value["s"] if "s" in event.value else note_number(event.value["note"])
                        span = event.whole.begin * track.beats, event.whole.end * track.beats
                        found.append((float(span[0]), float(span[1] - span[0]), track.name, what))
            except Exception:
                break
            begin = until
    return found[:MAX_FORESEEN]


def _query(track: LiveTrack, begin: Fraction, end: Fraction, seed: int) -> list[CycleEvent[Any]]:
    """A track's events between two beats; what a change builds meanwhile is of the script's dialect."""
    seed = track_seed(seed, stream_of(track.name))
    begin_dialect(min(seed, 0))
    try:
        return track.pattern.query(begin / track.beats, end / track.beats, seed)
    finally:
        begin_dialect(0)


MAX_EVENTS = 8192
"""Maximum events per beat, and notes queued ahead: the engine holds 65,536 at once."""
MAX_RUNS = 10_000
"""Maximum loop runs on one beat: loops that cue one another would never end."""
MIN_WAIT_BEATS = Fraction(1, 1024)
"""Minimum wait of a loop, in beats."""
MAX_WAIT_BEATS = 1_000_000
"""Maximum wait of a loop, in beats."""
_RATE = 48_000
"""Sample rate of the tempo map, used only for the lengths of ramps: half a sample of it is negligible."""
_Item = tuple[Fraction, int, int, LiveEvent | LiveNote]
"""Beat, order on one beat, number, and the event."""


class Performance:
    """Performs a script in virtual time.

    `runs`: number of loop runs so far, which does not depend on how often or in what steps events are requested.
    `before`: called before the script's code, with the number of the loop's run, from 1, or, for a track's events, the
    track's number, -1 for the first; then the name of either, and its line.
    """

    def __init__(
        self, script: LiveScript, tempo: float = 120.0, *, at: Fraction = Fraction(0),
        report: Callable[[ScriptError], None] | None = None,
    ) -> None:  # fmt: skip
        """Starts a performance at a beat; tracks are at their position of that beat, loops begin.

        `report` receives failures; the rest plays on. From the next bar on, a failed loop falls back to its last
        version with a complete pass, or to the version that waits for its end; a failed track to the one it replaced;
        without one it ends. Without `report`, `until` raises failures.
        """
        self._report = report
        self._good: dict[str, LiveTrack] = {}
        self._before: dict[str, LiveTrack] = {}
        self._tracks = start_transitions(script.tracks, {}, at)
        self.script = script
        self.beat = at
        self.loops: dict[str, LoopState] = {}
        self.runs = 0
        self.before: Callable[[int, str, int], None] = _nothing
        self.awaited: set[str] = set()
        self._struck: dict[int, BaseException] = {}
        self._skipped: dict[str, Fraction] = {}  # beats before which tracks play nothing
        self._now = at
        self._map = TempoMap(_RATE, tempo, end_bpm=tempo)
        self._count = 0
        self._places = 0
        self._due: list[tuple[Fraction, int, str]] = []
        self._items: list[_Item] = []
        self._notes = SoundingNotes()
        self._cues: dict[str, tuple[Fraction, int, object]] = {}
        self._next: tuple[Fraction, LiveScript] | None = None
        self._settings(script.settings)
        self._begin(script)

    def until(self, beat: Fraction) -> list[LiveEvent]:
        """Returns the events from the end of the last call to before a beat.

        They are in order; on one beat note-offs come first, then the tempo, settings and note-ons.

        Raises ScriptError: a loop or a pattern failed, with the line.
        """
        events: list[LiveEvent] = []
        while self._next is not None and self._next[0] < beat:
            at, script = self._next
            self._play(at, events)
            self._next = None
            before = {(event.address, event.args) for event in self.script.settings}
            self.script = script
            self._tracks = start_transitions(script.tracks, self._tracks, self.beat)
            self._now = self.beat
            self._settings([event for event in script.settings if (event.address, event.args) not in before])
            self._begin(script)
        self._play(beat, events)
        return events

    def ends(self) -> list[LiveEvent]:
        """Note-offs of the sounding notes, for the end of playback."""
        events: list[LiveEvent] = []
        self._notes.end(Fraction(2 * MAX_WAIT_BEATS), events)
        return events

    def coming(self, beats: Fraction, enough: Callable[[], bool]) -> list[Foreseen]:
        """Look-ahead of tracks' events over `beats` if nothing changes, until `enough`; see `foresee_events`."""
        end = self.beat + beats
        at, after = self._next or (end, self.script)
        spans = [(track, self.beat, min(at, end)) for track in self._tracks.values()]
        spans += [(track, at, end) for track in after.tracks.values()]
        return foresee_events(spans, self.script.seed, enough)

    def swap(self, script: LiveScript, beat: Fraction) -> None:
        """Switches to another version of the script at a beat.

        Patterns change at that beat. A loop of the same name keeps memory, position and count, and runs its new
        function from its next pass on; a missing loop ends. Only changed settings are applied.

        `script`: the new version; `beat`: not before `beat`; a later call replaces a pending one.
        """
        self._next = max(beat, self.beat), script

    def cue(self, name: str, value: object = None) -> None:
        """Wakes the loops that wait for the cue `name`, at the current beat."""
        self._count += 1
        self._cues[name] = self._now, self._count, value
        woken = set[str]()
        for state in self.loops.values():
            if state.waits_for == name and state.loop.name not in woken:  # of several voices of a loop the first
                self._wake(state, self._count, value)
                woken.add(state.loop.name)

    def strike(self, run: int, error: BaseException) -> None:
        """Makes call number `run`, as counted by `before`, fail at once, because it would never end."""
        self._struck[run] = error

    def skip(self, beat: Fraction, names: Container[str] | None = None) -> None:
        """Skips the events of the tracks and loops of these names (None: of all) from the current beat to `beat`.

        A loop continues from its position, delayed by whole passes if they divide the bar, else by whole bars.
        """
        for name in self._tracks if names is None else [name for name in self._tracks if name in names]:
            self._skipped[name] = beat
        for state in self.loops.values():
            late = beat - state.beat
            if late <= 0 or state.ended or state.waits_for or not (names is None or state.loop.name in names):
                continue
            bar = self.script.bar
            unit = state.length if state.length and bar % state.length == 0 else bar
            moved = -(-late // unit) * unit
            state.beat, state.begun = state.beat + moved, state.begun + moved
            heapq.heappush(self._due, (state.beat, state.place, state.key))

    def node_of(self, track: LiveTrack) -> str:
        """Node of a new version's track: a transition that names none keeps the node of the playing track."""
        played = self._tracks.get(track.name) if track.change is not None else None
        return track.on if track.on or played is None else played.on

    @property
    def sounding(self) -> set[tuple[str, int, int]]:
        """Sounding notes: node, channel and number."""
        return self._notes.keys

    def put(self, event: LiveEvent | LiveNote, rank: int) -> None:
        """Queues an event at its beat."""
        if len(self._items) >= MAX_EVENTS * 2:
            raise UsageError(f"more than {MAX_EVENTS * 2} notes were played ahead; play fewer, or nearer")
        self._count += 1
        heapq.heappush(self._items, (event.beat, rank, self._count, event))

    def seconds(self, beats: Fraction) -> float:
        """Length in seconds of a number of beats from now."""
        first, last = (self._map.sample_at(float(at)) for at in (self._now, self._now + beats))
        return (last - first) / _RATE

    def _settings(self, settings: list[LiveEvent]) -> None:
        for event in settings:
            rank = TEMPO if event.address in ("/tempo", "/swing") else PLAY if event.address.endswith("/play") else SET
            at = self.beat + event.beat
            self.put(replace(event, beat=at), rank)
            if event.address == "/tempo":
                self._tempo(event, at)

    def _begin(self, script: LiveScript) -> None:
        self._newest = dict(self._tracks)
        voices = {voice_key(name, k): (loop, k) for name, loop in script.loops.items() for k in range(loop.voices)}
        for key, (loop, number) in voices.items():
            state = self.loops.get(key)
            if state is not None and not state.ended:
                state.loop = loop
                continue
            self._places += 1
            first = self.loops.get(loop.name)
            made = LoopState(loop, self._places, self.beat, self.beat, key=key)
            if first is not None:
                made.memory = first.memory
            if number and first is not None:
                made.taken, made.passes = first.taken, first.passes
            self.loops[key] = made
            heapq.heappush(self._due, (self.beat, self._places, key))
        for key in [key for key in self.loops if key not in voices]:
            state = self.loops.pop(key)
            if state.pass_ is not None:
                state.pass_.close()

    def _play(self, beat: Fraction, events: list[LiveEvent]) -> None:
        if beat <= self.beat:
            return
        runs = 0
        while self._due and self._due[0][0] < beat:
            at, place, name = heapq.heappop(self._due)
            runs = runs + 1 if at == self._now else 0
            if runs > MAX_RUNS:
                line = self.loops[name].loop.line if name in self.loops else 0
                raise fault(self.script, UsageError(f"the loop {name} runs without end on one beat"), line)
            state = self.loops.get(name)
            if state is not None and state.place == place and state.beat == at and not state.ended:
                self._now = at
                self._run(state)
        for track in list(self._tracks.values()):
            self._track(track, beat)
        most = len(events) + MAX_EVENTS * max(1, int(beat - self.beat))
        while self._items and self._items[0][0] < beat:
            item = heapq.heappop(self._items)[3]
            self._notes.end(item.beat, events, through=True)
            if isinstance(item, LiveNote):
                self._notes.begin(item, events)
            else:
                events.append(item)
            if len(events) > most:
                raise fault(self.script, UsageError(f"it plays more than {MAX_EVENTS} events a beat"), item.line)
        self._notes.end(beat, events)
        self.beat = self._now = beat

    def _track(self, track: LiveTrack, beat: Fraction) -> None:
        try:
            self._call(-1 - list(self.script.tracks).index(track.name), track.name, track.line)
            found = list(self._events(track, beat))
        except (Exception, ScriptTooLong) as error:
            self._failed(fault(self.script, error, track.line), newest=self._newest.get(track.name) is track)
            if self._good.get(track.name) is track:
                self._good.pop(track.name)
                if track.name in self._before:
                    self._good[track.name] = self._before.pop(track.name)
            before = self._good.get(track.name)
            if before is None:
                del self._tracks[track.name]
            else:
                self._tracks[track.name] = before
                self._track(before, beat)
            return
        good = self._good.get(track.name)
        if good is not None and good is not track:
            self._before[track.name] = good
        self._good[track.name] = track
        try:
            for event in found:
                if isinstance(event, LiveEvent) and event.address == "/tempo":
                    self._tempo(event, event.beat)
                    self.put(event, TEMPO)
                    continue
                macro = isinstance(event, LiveEvent) and event.address.startswith("/macro/")
                self.put(event, SET if track.sets or macro else PLAY)
        except UsageError as error:
            raise fault(self.script, error, track.line) from error

    def _events(self, track: LiveTrack, beat: Fraction) -> Iterator[LiveEvent | LiveNote]:
        begin = max(self.beat, self._skipped.get(track.name, self.beat))
        if begin >= beat:
            return
        for event in _query(track, begin, beat, self.script.seed):
            if not event.begins or event.whole is None or (not track.sets and is_silent(event.value)):
                continue
            at = event.whole.begin * track.beats
            length = (event.whole.end - event.whole.begin) * track.beats
            if not track.sets:
                values = clip_velocity(event.value)
                if "nudge" in values:  # in seconds
                    at = self._later(at, values["nudge"])
                    values = {name: value for name, value in values.items() if name != "nudge"}
                yield from to_macros(values, at, track.on, track.name, track.line)
                yield to_commands(values, at, length, track.on, track.name, track.line, event.places, track.beats)
                continue
            self._now = at
            for name, value in event.value.items():
                args = (value, self.seconds(length)) if track.glide else value if isinstance(value, tuple) else (value,)
                lit = mark(event.places, length)
                to = f"/node/{track.on}/{name}" if name else track.on  # without a name it is sent outside
                yield LiveEvent(at, to, args, track.name, track.line, lit)

    def _later(self, beat: Fraction, seconds: object) -> Fraction:
        """Beat shifted later by `seconds`; not before events already returned."""
        moved = self._map.beat_at(round(self._map.sample_at(float(beat)) + float(exact(seconds, "nudge")) * _RATE))  # type: ignore[arg-type]
        return max(exact(moved), self.beat)

    def _call(self, number: int, name: str, line: int) -> None:
        """Marks the start of a script call; raises the exception that `strike` set for it."""
        self.before(number, name, line)
        struck = self._struck.pop(number, None)
        if struck is not None:
            raise struck

    def _run(self, state: LoopState) -> None:
        """Runs a loop up to its next wait, also through the end of a pass that takes no time."""
        self.runs += 1
        state.running = state.loop if state.pass_ is None else state.running
        before = self._count
        try:
            self._call(self.runs, state.loop.name, state.loop.line)
            with on_stage(LoopStage(self, state)):
                wait = self._resume(state)
            if wait is not None:
                self._wait(state, wait)
        except StopLoop:
            state.ended, state.pass_ = True, None
        except (Exception, ScriptTooLong) as error:
            ran = state.running or state.loop
            if state.good is not state.running:  # nothing of what is refused sounds
                self._items = [item for item in self._items if item[1] != PLAY or item[2] <= before]
                heapq.heapify(self._items)
            self._failed(fault(self.script, error, ran.line), newest=self.script.loops.get(ran.name) is ran)
            self._rewind_tracks(state)

    def _failed(self, error: ScriptError, *, newest: bool) -> None:
        error.before = not newest or self._next is not None
        if self._report is None:
            raise error
        self._report(error)

    def _rewind_tracks(self, state: LoopState) -> None:
        state.pass_, state.waits_for = None, ""
        if state.good is state.running:
            state.good, state.before = state.before, None
        if state.loop is state.running:  # else another version waits for the end of this pass
            if state.good is None:
                state.ended = True
                return
            state.loop = state.good
        state.beat = (self._now // self.script.bar + 1) * self.script.bar
        heapq.heappush(self._due, (state.beat, state.place, state.key))

    def _resume(self, state: LoopState) -> object:
        """Resumes a loop; returns its wait request, or None at the end of its pass."""
        if state.pass_ is None:
            state.begun, state.draws, state.synced = state.beat, 0, False
            if state.key == state.loop.name:
                self.cue(state.loop.name, state.turn)
            result: object = state.loop.body()
            if not isinstance(result, Generator):
                self._end_pass(state)
                return None
            state.pass_, state.answer = result, None
        answer, state.answer = state.answer, None
        try:
            wait: object = state.pass_.send(answer)
        except StopIteration:
            self._end_pass(state)
            return None
        if wait is None:
            raise UsageError("yield takes beats, as in yield 1, or a cue, as in yield sync('drop')")
        return wait

    def _end_pass(self, state: LoopState) -> None:
        """Handles the end of a pass: the next begins at once, or by `every`."""
        state.pass_ = None
        every = state.loop.every
        if every is not None:
            passes = max(1, -((state.begun - state.beat) // every))
            state.beat = max(state.begun + passes * every, state.beat)
        elif state.beat == state.begun and not state.synced:
            raise UsageError(
                f"the loop {state.loop.name} takes no time: yield beats in it, as in yield 1, or write @loop(every=4)"
            )
        if state.good is not state.running:
            state.before, state.good = state.good, state.running
        state.length = state.beat - state.begun
        state.turn += 1
        heapq.heappush(self._due, (state.beat, state.place, state.key))

    def _wait(self, state: LoopState, wait: object) -> None:
        if isinstance(wait, CueWait):
            state.synced = True
            self.awaited.add(wait.name)
            at, number, value = self._cues.get(wait.name, (Fraction(-1), 0, None))
            state.waits_for = wait.name
            if at == state.beat and state.taken.get(wait.name) != number and wait.name != state.loop.name:
                self._wake(state, number, value)
            return
        beats = exact(wait, "yield")  # type: ignore[arg-type]
        if not MIN_WAIT_BEATS <= beats <= MAX_WAIT_BEATS:
            limits = f"{float(MIN_WAIT_BEATS):.3g} to {MAX_WAIT_BEATS:g}"
            raise UsageError(f"yield takes {limits} beats, not {float(beats):g}")
        state.beat += beats
        heapq.heappush(self._due, (state.beat, state.place, state.key))

    def _wake(self, state: LoopState, number: int, value: object) -> None:
        if state.loop.voices > 1:  # the voices of a loop count their runs together
            state.turn = state.passes[0]
            state.passes[0] += 1
        state.taken[state.waits_for] = number
        state.waits_for, state.answer = "", value
        state.beat = self._now
        heapq.heappush(self._due, (state.beat, state.place, state.key))

    def _tempo(self, event: LiveEvent, at: Fraction) -> None:
        bpm, *over = (float(value) for value in event.args)
        self._map.set_tempo(round(self._map.sample_at(float(at))), bpm, *over)


def _nothing(run: int, name: str, line: int) -> None:
    pass
