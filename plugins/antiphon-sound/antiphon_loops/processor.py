"""Processor `loops`: plays a library of loops on the clock. It has no input; all sound is prepared material."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from antiphon.api import (
    AUDIO_OUT,
    IO,
    AntiphonError,
    FileUse,
    Param,
    PluginError,
    Processor,
    ProcessorPart,
    Samples,
    Step,
    StreamSpec,
)
from antiphon.api.backends.workers import convert_channels, current_pool
from antiphon.api.kernels import fill_sound
from antiphon_loops.arrange import KEYS, LoopChoice, LoopRequest, parse_instrument_roles
from antiphon_loops.live import ArrangementWorker
from antiphon_loops.maker import LoopMaterial, MaterialMaker
from antiphon_loops.player import JUMP_BEATS, LATCH_BEATS, BarPart, BarWord, LoopPlayer, loops_block, loops_go_on
from antiphon_loops.record import MOODS, ROLES

# ---- Source of a node's material: computed inline on files, by a separate process live, by the log in a replay

FIRST_DECISION = -1_000_000
"""Decision index of the first request. Later ones have five a bar: one a beat, and one at the next bar's latch.
"""
_LIVE = 0


class MaterialSource(ProcessorPart):
    """Accepts requests and returns material. All methods but `close` may be called on the block path.

    `maker`: computes material in place, on files; None live.
    """

    def __init__(self, library: str, rate: int, *, live: bool) -> None:
        """Opens a library; with `live` material is computed in a separate process.

        Raises FileError: there is no such folder, or no loop in it.
        """
        from antiphon_loops.library import empty_error, folder_of, ready, sound_files

        self._folder: Path = folder_of(library)
        self._rate = rate
        self.maker: MaterialMaker | None = None
        self._preparer: ArrangementWorker | None = None
        self._count = 0
        self.playing = False
        self._requested: LoopRequest | None = None
        self.reset()
        if live:
            if next(iter(sound_files(self._folder)), None) is None:
                raise empty_error(self._folder)
            self._preparer = ArrangementWorker(self._folder, rate)
        else:
            loops, rules = ready(self._folder)
            self._count = len(loops)
            self.maker = MaterialMaker(self._folder, loops, rules, rate)

    def reset(self) -> None:
        """Clears the requests and the log's records."""
        self._seen: LoopRequest | None = None
        self._requests: dict[int, LoopRequest] = {}
        self._swaps: list[int] = []
        self._scripted = False

    @property
    def count(self) -> int:
        """Number of loops analysed so far."""
        return self._preparer.count if self._preparer is not None else self._count

    @property
    def busy(self) -> bool:
        """True while a request is pending."""
        return self._preparer is not None and self._preparer.busy

    @property
    def problem(self) -> str:
        """Reason why the newest request failed, "" otherwise."""
        return self._preparer.problem if self._preparer is not None else ""

    def begin(self, request: LoopRequest, io: IO) -> None:
        """Submits the first block's request."""
        if self._preparer is not None and not self._scripted:
            io.mark("live", _LIVE)
        self._send_request(FIRST_DECISION, request)
        self._requests[FIRST_DECISION] = request

    def update(self, place: int, request: LoopRequest) -> None:
        """Submits a request live, if it differs from the last.

        `place`: decision index, five per bar. During a tempo ramp only one request per bar is submitted, since results
        for an outdated tempo are discarded.
        """
        requested, seen = self._requested, self._seen
        self._seen = request
        if self._scripted:
            self._requests[place] = request
        elif place % 5 == 4 or requested is None or request.bpm == requested.bpm or request == seen:
            self._send_request(place, request)

    def _send_request(self, place: int, request: LoopRequest) -> None:
        if self._preparer is not None and request != self._requested:
            self._preparer.ask(place, request)
            self._requested = request

    def take(self, request: LoopRequest, coming: LoopMaterial | None, io: IO) -> LoopMaterial | None:
        """Returns the material of the next bar: new, else `coming`, or None to keep the present one."""
        if self._scripted:
            return self._make(self._requests.get(self._swaps.pop(0), request)) if self._swaps else coming
        if self._preparer is not None:
            done = self._preparer.take()
            if done is None:
                return coming
            io.mark("swap", done[0])
            return done[1]
        if request == self._requested:
            return coming
        self._requested = request
        return self._make(request)

    def _make(self, request: LoopRequest) -> LoopMaterial | None:
        """Computes material in this process; only for files."""
        if self.maker is None:
            from antiphon_loops.library import ready

            self.maker = MaterialMaker(self._folder, *ready(self._folder), self._rate)
        return self.maker.make(request)

    def retry(self) -> None:
        """Restarts the process after it failed."""
        if self._preparer is not None and self._preparer.problem:
            self._preparer.restart()
            self._requested = None

    def recall(self, kind: str, number: int) -> None:
        """Stores a `live` or `swap` record of a log: material then changes at the session's positions."""
        if kind == "live":
            self._scripted = True
        elif kind == "swap":
            self._swaps.append(number)

    def standing(self) -> list[tuple[str, int]]:
        """Records of the current state: that the node is live, and whether the first material plays."""
        if self._preparer is None:
            return []
        return [("live", _LIVE), ("swap", FIRST_DECISION)] if self.playing else [("live", _LIVE)]

    def close(self) -> None:
        if self._preparer is not None:
            self._preparer.close()
            self._preparer = None


SLOWEST, FASTEST = 30.0, 300.0
"""Tempo range of material, bpm; beyond it the material is resampled."""
_OPEN, _SHUT = 0.001, 0.005
"""Fade-in in seconds after a start or jump, and fade-out at a stop."""


class Loops(Processor):
    """Plays cycles of `bars` bars. Changes of key, mood, seed, instruments and intensity take effect at a bar line.

    Live, material is prepared in a separate process; until it is ready the old material plays on, resampled after a
    tempo change. On files it is prepared inline, so that every change takes effect at the first possible bar.
    """

    inputs = ()
    outputs = (AUDIO_OUT,)
    on_files = FileUse("antiphon_loops.jobs:run", default_source="loops", stems=ROLES, beside=("analysis",))
    solo = ""
    """The only audible role, "" for all; set before `prepare`."""
    split = True
    params = (
        Param(
            "library",
            "file",
            "",
            holds="a folder of loops",
            doc="A folder of loops; over the network, the name of one in the library.",
        ),
        Param("bars", "int", 32, 1, 512, doc="Bars of a round, which is then played again."),
        Param("bpm", default=0.0, low=0.0, high=300.0, unit="bpm", doc="0 follows the clock; else a tempo of its own."),
        Param("mood", "choice", "any", choices=tuple(MOODS), doc="Prefers loops of this mood."),
        Param("instruments", "text", "", doc="Which of drums, bass, chords, melody; -bass leaves it out."),
        Param("style", "text", "", doc="Prefers loops of this genre, tag or groove, or with this word in their names."),
        Param("intensity", default=0.7, low=0.0, high=1.0, doc="How many loops play at once, from the next bar."),
        Param("seed", "int", 1, 0, 65535, doc="Random seed: each number gives another piece of the same loops."),
        Param("key", "choice", "auto", choices=KEYS, doc="The key all loops are transposed to; auto is the nearest."),
        Param("voice", "switch", True, doc="Whether loops of voices play, those named voice-…, as of a song's voice."),
        Param("loops", "int", 0, 0, 1_000_000, readonly=True, doc="Number of loops in the library."),
        Param("fit", readonly=True, doc="How well the loops of this round go together."),
        Param("layers", "int", 0, 0, 64, readonly=True, doc="Loops that sound in this bar."),
        Param("waiting", "switch", False, readonly=True, doc="Whether material is being prepared."),
    )

    def prepare(self, spec: StreamSpec) -> None:
        self._rate = spec.rate
        try:
            self._roles = parse_instrument_roles(str(self.settings["instruments"]))
        except AntiphonError as error:
            raise PluginError(str(error)) from None
        self._style = str(self.settings["style"])
        self._scratch = np.zeros((2, spec.block), np.float32)
        self._scratch2 = np.zeros((2, spec.block), np.float32)
        self._gate, self._course = np.zeros(spec.block, np.float32), np.zeros(len(BarWord))
        self._player = LoopPlayer(spec.rate, self.solo)
        self._source: MaterialSource | None = None
        here = current_pool()
        # a new text parameter makes a new player, which continues where the old one is
        self._old: Loops | None = here.newest.get(("loops", self.node)) if here is not None and self.node else None
        self.reset()
        self._now: LoopMaterial | None = None
        name = str(self.settings["library"])
        if not name or here is None:
            return
        self._source = MaterialSource(name, spec.rate, live=not here.lockstep)
        self.parts = (self._source,)
        if self.node:
            here.newest["loops", self.node] = self

    def reset(self) -> None:
        self.bar = -1  # number of the playing bar, from 0; -1 before the first
        self._intensity = self._next_intensity = -1.0
        self._coming: LoopMaterial | None = None
        self._latched = -1
        self._looked = FIRST_DECISION
        self._undecided = 0.0, 0.0  # beats between which it decides nothing
        self._tempo = 0.0
        self._course.fill(0.0)
        self._course[BarWord.SAMPLE] = -1.0
        self._previous_intensity = -1.0
        self._fading: _FadingOut | None = None
        self._opened = 0
        self._tail = 0
        self._begun = False
        if self._source is not None:
            self._source.reset()

    def step(self, io: IO) -> Step | None:
        """Step of silence where no library is loaded, else of a block in the midst of a beat of a bar that plays."""
        out, time, tables = io.audio_out[0], io.time, self._player.tables
        if self._source is None or len(out) != 2:
            return None if self._source is not None else fill_sound.step(out, 0.0)
        if self._begun and not self._course[BarWord.RESTS]:
            return None  # it is asked again after each block
        at = tables, self._course, float(io.value("bpm")), time.beat, time.tempo
        return loops_block.step(out, *at, time.sample).provided(loops_go_on.step(*at, time.playing, io.frames))

    def _take_course(self) -> None:
        """Reads where the blocks before ended."""
        course = self._course
        self._own, self._expected = float(course[BarWord.OWN]), float(course[BarWord.EXPECTED])
        self._sample = int(course[BarWord.SAMPLE])

    def process(self, io: IO) -> None:
        t, frames, out = io.time, io.frames, io.audio_out[0]
        source = self._source
        if source is None:
            out.fill(0.0)
            return
        if self._now is None and source.problem:
            raise PluginError(source.problem)
        own = float(io.value("bpm"))
        tempo = own or t.tempo
        self._take_course()
        if not self._begun:
            self._begin(io, source, tempo)
        beat = self._beat(io, own, tempo)
        faded = self._fading is not None  # the player has the layers that faded
        scratch, gate = self._scratch[:, :frames], self._gate[:frames]
        scratch.fill(0.0)
        silent = not t.playing and self._tail <= 0
        if not silent:
            self._blocks(io, source, scratch, beat, tempo)
            self._shape(gate, t.playing)
            np.multiply(scratch, gate, out=scratch)
        if self._fading is not None:
            self._fade_out(scratch, self._fading)
        if own and t.playing:
            self._own = beat + frames * own / (60.0 * self._rate)
        self._sample, player = t.sample + frames, self._player
        opened = t.playing and self._opened >= max(1, round(_OPEN * self._rate))
        rests = opened and not faded and self._now is not None and not source.busy
        where = self._own, self._expected, self._sample, self._tempo, self.bar, *self._undecided
        self._course[:] = rests, *where, player.count, 0.0 if self._now is None else self._now.gain
        convert_channels(scratch, out)
        source.playing = self._now is not None
        io.report("loops", source.count)
        io.report("layers", 0 if silent else len(self.sounding))
        io.report("fit", self.fit or 0.0)
        io.report("waiting", float(source.busy))

    def _beat(self, io: IO, own: float, tempo: float) -> float:
        """Beat of the first frame; sets up fades at starts, stops and jumps."""
        t = io.time
        if t.playing:
            beat = self._own if own else max(0.0, t.beat)
            if self._tail <= 0 or abs(beat - self._expected) > JUMP_BEATS:
                if self._tail > 0 and self._now is not None and self.bar >= 0:
                    self._fading = _FadingOut(
                        self._now, self.bar, self._expected, self._tempo, self._previous_intensity, self._intensity
                    )
                self._opened, self.bar, self._latched = 0, -1, -1
            self._tail = round(_SHUT * self._rate)
        else:
            beat = self._expected
        self._expected, self._tempo = beat + io.frames * tempo / (60.0 * self._rate), tempo
        return beat

    def _fade_out(self, out: Samples, old: _FadingOut) -> None:
        """Adds 5 ms of the sound before a jump, fading out, up to its bar line."""
        size = round(_SHUT * self._rate)
        per_frame = old.tempo / (60.0 * self._rate)
        inside = old.beat - 4.0 * old.bar
        n = min(out.shape[1], size - old.gone, max(0, math.ceil((4.0 - inside) / per_frame - 1e-6)))
        if n > 0:
            scratch, gate = self._scratch2[:, :n], self._gate[:n]
            scratch.fill(0.0)
            part = BarPart(old.material, old.bar, inside, old.tempo, old.before, old.now, old.now)
            self._player.play(scratch, 0, n, part)
            gate[:] = 1.0 - (old.gone + np.arange(n)) / size
            np.multiply(scratch, gate, out=scratch)
            np.add(out[:, :n], scratch, out=out[:, :n])
            old.gone += n
            old.beat += n * per_frame
        if n < out.shape[1] or old.gone >= size:
            self._fading = None

    def _shape(self, gate: Samples, playing: bool) -> None:
        """gate `[frames]` ← 1, except for fades after a start or jump and after a stop."""
        n = len(gate)
        if playing:
            size = max(1, round(_OPEN * self._rate))
            if self._opened < size:
                gate[:] = np.minimum(1.0, (self._opened + np.arange(n)) / size)
                self._opened += n
            else:
                gate.fill(1.0)
            return
        size = round(_SHUT * self._rate)
        gate[:] = np.maximum(0.0, (self._tail - np.arange(n)) / size)
        self._tail -= n

    def _blocks(self, io: IO, source: MaterialSource, out: Samples, beat: float, tempo: float) -> None:
        """Plays the block in parts, split at bar lines and at the latch of the next bar."""
        per_frame, at, frames = tempo / (60.0 * self._rate), 0, io.frames
        while at < frames:
            here = beat + at * per_frame
            bar = math.floor(here / 4.0 + 1e-9)
            inside = max(0.0, here - 4.0 * bar)
            if bar != self.bar:
                self._turn(io, source, bar, tempo)
            whole = math.floor(inside + 1e-9)
            edge = min(whole + 1.0, 4.0 - LATCH_BEATS)
            if inside >= edge - 1e-9:
                if self._latched != bar:
                    self._latch_next_bar(io, source, bar, tempo)
                edge = 4.0
            elif self._looked != 5 * bar + whole:
                self._looked = 5 * bar + whole
                source.update(self._looked, self._request(io, tempo))
            self._undecided = 4.0 * bar + whole, 4.0 * bar + edge
            last = min(frames, at + max(1, math.ceil((edge - inside) / per_frame - 1e-6)))
            if self._now is not None:
                after = -1.0 if self._coming is not None else self._next_intensity
                part = BarPart(self._now, bar, inside, tempo, self._previous_intensity, self._intensity, after)
                self._player.play(out, at, last, part)
            at = last

    def _turn(self, io: IO, source: MaterialSource, bar: int, tempo: float) -> None:
        """Starts a bar with its latched material and intensity."""
        follows = self.bar >= 0 and bar == self.bar + 1 and self._latched == self.bar
        if not follows:
            self._latch_next_bar(io, source, bar - 1, tempo)
            self._intensity = -1.0
        self._previous_intensity = self._intensity
        if self._coming is not None:
            self._now, self._coming, self._previous_intensity = self._coming, None, -1.0
        self._intensity, self.bar = self._next_intensity, bar

    def _latch_next_bar(self, io: IO, source: MaterialSource, bar: int, tempo: float) -> None:
        """Latches the material and intensity of the next bar."""
        self._latched, self._next_intensity = bar, float(io.value("intensity"))
        self._looked, request = 5 * bar + 4, self._request(io, tempo)
        source.update(self._looked, request)
        self._coming = source.take(request, self._coming, io)

    def _begin(self, io: IO, source: MaterialSource, tempo: float) -> None:
        """Handles the first block: takes over the state of a still playing predecessor node."""
        self._begun, old, self._old = True, self._old, None
        self._previous_intensity = -1.0
        source.begin(self._request(io, tempo), io)
        if old is not None:
            old._take_course()
        if old is not None and old._now is not None and old._rate == self._rate and self._plays(old, io):
            self._now, self.bar = old._now, old.bar
            self._intensity = self._next_intensity = old._intensity
            self._previous_intensity = old._previous_intensity if old._sample != io.time.sample else old._intensity
            self._own, self._expected, self._opened, self._tail = old._own, old._expected, old._opened, old._tail
            if old._sample != io.time.sample:
                self._own = self._own - io.frames * float(io.value("bpm")) / (60.0 * self._rate)
                self._expected = self._expected - io.frames * tempo / (60.0 * self._rate)

    def _plays(self, old: Loops, io: IO) -> bool:
        return old._sample in (io.time.sample, io.time.sample + io.frames)

    def _request(self, io: IO, tempo: float) -> LoopRequest:
        bpm = round(min(FASTEST, max(SLOWEST, tempo)), 3)
        key, mood = str(io.value("key")), str(io.value("mood"))
        bars, seed = int(io.value("bars")), int(io.value("seed"))
        return LoopRequest(bpm, bars, key, mood, seed, self._roles, self._style, bool(io.value("voice")))

    @property
    def sounding(self) -> list[LoopChoice]:
        if self._now is None or not self._now.plan.bars:
            return []
        plan = self._now.plan
        layers = plan.bars[self.bar % len(plan.bars)]
        return [plan.choices[x.choice] for x in layers if x.enters <= self._intensity]

    @property
    def key(self) -> str | None:
        """Key of the playing material, None without one."""
        return None if self._now is None else self._now.plan.key

    @property
    def fit(self) -> float | None:
        """Compatibility of the playing loops, 0 to 1; None if unknown."""
        return None if self._now is None else self._now.plan.fit

    def share_material(self, other: Loops) -> None:
        """Shares the material of another player of the same library, on files."""
        if self._source is not None and other._source is not None:
            self._source.maker = other._source.maker

    @property
    def has_no_loop(self) -> bool:
        """Whether the library has no loop for the request."""
        return self._now is not None and not self._now.tracks


@dataclass(slots=True)
class _FadingOut:
    """Material that fades out after a jump."""

    material: LoopMaterial
    bar: int  # its bar
    beat: float  # beat of the next frame
    tempo: float  # bpm
    before: float  # intensity of the bar before
    now: float  # intensity of the bar
    gone: int = 0  # frames of the fade done
