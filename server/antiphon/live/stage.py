"""Stage, the target of a script's words: the script while it is read, the performance while a loop runs."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, Protocol

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.terms import spell_call
from antiphon.live.patterns.controls import ControlPattern
from antiphon.live.patterns.pattern import Pattern
from antiphon.live.patterns.queries import chance, stream_of
from antiphon.live.patterns.spans import ScriptPlaces, recording_places
from antiphon.live.patterns.words.time import CYCLES_PER_MINUTE
from antiphon.live.records import LiveEvent, LiveNote

BEATS = Fraction(4)
"""Default beats of a bar."""


class StopLoop(Exception):
    """Ends the loop in which it is raised."""


@dataclass(frozen=True, slots=True)
class CueWait:
    """A wait for a cue: `yield sync("drop")`. `name`: the cue's name."""

    name: str


@dataclass(frozen=True, slots=True)
class LiveTrack:
    """A playing pattern.

    `change`: (previous pattern, this one, current cycle) → the pattern to play from there on; None plays this one.
    `base`: the pattern without its change, if `change` has replaced it. `keeps`: with a change, a cycle keeps the beats
    of the previous track.
    """

    name: str
    pattern: ControlPattern | Pattern[Any]  # what it plays: notes, or values of parameters of `on`
    on: str  # the node's name; "" for every node that takes notes
    beats: Fraction  # beats of a cycle
    sets: bool = False
    glide: bool = False
    line: int = 0
    change: Callable[[Any, Any, Fraction], Any] | None = None
    base: ControlPattern | Pattern[Any] | None = None
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class LiveLoop:
    """A repeatedly run function.

    `on`: the node that it plays unless it names another. `every`: minimum beats of a pass; None for the sum of its
    waits.
    """

    name: str
    body: Callable[[], Any]
    on: str
    every: Fraction | None
    line: int = 0
    voices: int = 1


@dataclass(slots=True)
class LiveScript:
    """Patterns, loops and settings of a script.

    `levels`: nodes to whose levels it reacts, each with a threshold in dB. `muted`, `soloed`: names of tracks and
    loops, each with its line.
    """

    path: str
    patch: str = ""  # name or path of the patch that it plays; "" where it names none
    seed: int = 0
    bar: Fraction = BEATS  # beats of a bar
    tracks: dict[str, LiveTrack] = field(default_factory=dict)
    loops: dict[str, LiveLoop] = field(default_factory=dict)
    settings: list[LiveEvent] = field(default_factory=list)
    levels: list[tuple[str, float]] = field(default_factory=list)
    patch_line: int = 0  # where it names its patch, from 1
    listens: dict[str, int] = field(default_factory=dict)
    muted: dict[str, int] = field(default_factory=dict)
    soloed: dict[str, int] = field(default_factory=dict)
    hushed: bool = False
    places: ScriptPlaces | None = None  # finds where in it events come from; None where that is not asked for
    sliders: dict[tuple[int, int], float] = field(default_factory=dict)

    def pace(self) -> Fraction:
        """Cycles (bars) per minute at the tempo that the script has set, else at 120 bpm."""
        tempo = next((event.args[0] for event in reversed(self.settings) if event.address == "/tempo"), 120.0)
        return Fraction(float(tempo)) / self.bar

    def sets(self) -> set[str]:
        """Addresses that its tracks set at any beat."""
        names = [name for name, track in self.tracks.items() if track.sets]
        return {name if name.startswith("/") else f"/node/{name.replace('.', '/', 1)}" for name in names}

    def slide(self, version: int, place: int, value: float) -> None:
        """Moves a slider of this version of the script; ignored if there is none at that position."""
        if (version, place) in self.sliders:
            self.sliders[version, place] = value


class Stage(Protocol):
    """Target of a live script's words.

    `source`: name of the running loop; "" while the script is read. `on`: the node to play if none is named. `memory`:
    values that a loop keeps between passes, and between versions of the script. `turn`: number of the pass, from 0.
    """

    script: LiveScript
    beat: Fraction
    source: str
    on: str
    memory: SimpleNamespace
    turn: int

    def send(self, event: LiveEvent | LiveNote, rank: int) -> None:
        """Queues an event at its beat."""
        ...

    def random(self) -> float:
        """Next random number, 0 to below 1."""
        ...

    def cue(self, name: str, value: object) -> None:
        """Wakes the loops that wait for the cue `name`, with its value."""
        ...

    def seconds(self, beats: Fraction) -> float:
        """Length in seconds of a number of beats from now."""
        ...


_current: ContextVar[Stage | None] = ContextVar("stage", default=None)


def stage() -> Stage:
    """Present stage. Raises `UsageError` outside of a script."""
    found = _current.get()
    if found is None:
        example = spell_call("render", "set.py", bars=8, out="set.wav")
        raise UsageError(f"this word acts in a live script only: {example}")
    return found


def performing() -> bool:
    """Whether the current thread runs a script's call."""
    return _current.get() is not None


@contextmanager
def on_stage(on: Stage) -> Iterator[None]:
    """Context manager that makes `on` the target of the words."""
    token, pace = _current.set(on), CYCLES_PER_MINUTE.set(on.script.pace)
    try:
        with recording_places(on.script.places):
            yield
    finally:
        _current.reset(token)
        CYCLES_PER_MINUTE.reset(pace)


@dataclass(slots=True)
class LoopState:
    """State of a running loop. A new version of a script continues it: name, memory, position and count stay.

    `taken`: numbers of the last cues received, by name, shared by the voices of a loop.
    """

    loop: LiveLoop
    place: int  # its order among loops that run on one beat
    beat: Fraction
    begun: Fraction  # beat of its pass
    length: Fraction = Fraction(0)  # of its last complete pass, in beats
    turn: int = 0  # number of its pass, from 0
    draws: int = 0
    memory: SimpleNamespace = field(default_factory=SimpleNamespace)
    pass_: Generator[Any, Any, Any] | None = None  # the pass that waits, or None between two
    waits_for: str = ""  # name of the cue that it waits for, or ""
    synced: bool = False
    taken: dict[str, int] = field(default_factory=dict)
    passes: list[int] = field(default_factory=lambda: [0])
    key: str = ""
    answer: object = None  # what the next `yield` gives it
    ended: bool = False
    running: LiveLoop | None = None
    good: LiveLoop | None = None
    before: LiveLoop | None = None


def voice_key(name: str, voice: int) -> str:
    """Name of a loop's voice; that of the first voice is the loop's."""
    return name if voice == 0 else f"{name}\0{voice}"


class LoopStage:
    """Stage of the words while a loop runs; see `Stage`."""

    def __init__(self, performance: Any, state: LoopState) -> None:
        self._performance, self._state = performance, state
        self.script = performance.script
        self.beat = state.beat
        self.source, self.on = state.loop.name, state.loop.on
        self.memory, self.turn = state.memory, state.turn

    def send(self, event: LiveEvent | LiveNote, rank: int) -> None:
        """Plays an event at its beat."""
        self._performance.put(event, rank)

    def random(self) -> float:
        """Next random number of the loop's pass."""
        state = self._state
        state.draws += 1
        return chance(self.script.seed, stream_of(self.source) + state.draws, Fraction(state.turn))

    def cue(self, name: str, value: object) -> None:
        """Wakes the loops that wait for the cue."""
        self._performance.cue(name, value)

    def seconds(self, beats: Fraction) -> float:
        """Length in seconds of a number of beats from now."""
        return float(self._performance.seconds(beats))
