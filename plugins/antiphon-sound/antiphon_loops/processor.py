"""Processor `loops`: plays a library of loops on the clock. It has no input; all sound is prepared material."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from antiphon.api import AUDIO_OUT, IO, AntiphonError, FileUse, Param, PluginError, Processor, Samples, Step, StreamSpec
from antiphon.api.backends.workers import convert_channels, current_pool
from antiphon.api.kernels import fill_sound
from antiphon_loops.arrangement.arrange import KEYS, LoopChoice, LoopRequest, roles_of
from antiphon_loops.arrangement.maker import LoopMaterial
from antiphon_loops.player import BarPart, LoopPlayer
from antiphon_loops.record import MOODS, ROLES
from antiphon_loops.source import FIRST_DECISION, MaterialSource

LATCH_BEATS = 0.125
"""Beats before the bar line at which the next bar's material and intensity are fixed."""
SLOWEST, FASTEST = 30.0, 300.0
"""Tempo range of material, bpm; beyond it the material is resampled."""
_JUMP_BEATS = 0.02
_OPEN, _SHUT = 0.001, 0.005
"""Fade-in in seconds after a start or jump, and fade-out at a stop."""


class Loops(Processor):
    """Plays rounds of `bars` bars. Changes of key, mood, seed, instruments and intensity take effect at a bar line.

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
        Param("library", "file", "", doc="A folder of loops; over the network, the name of one in the library."),
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
            self._roles = roles_of(str(self.settings["instruments"]))
        except AntiphonError as error:
            raise PluginError(str(error)) from None
        self._style = str(self.settings["style"])
        self._scratch = np.zeros((2, spec.block), np.float32)
        self._scratch2 = np.zeros((2, spec.block), np.float32)
        self._gate = np.zeros(spec.block, np.float32)
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
        self._own = self._expected = self._tempo = 0.0
        self._previous_intensity = -1.0
        self._fading: _FadingOut | None = None
        self._opened = 0
        self._tail = 0
        self._sample = -1
        self._begun = False
        if self._source is not None:
            self._source.reset()

    def step(self, io: IO) -> Step | None:
        """Step of silence where no library is loaded, else None."""
        return None if self._source is not None else fill_sound.step(io.audio_out[0], 0.0)

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
        if not self._begun:
            self._begin(io, source, tempo)
        beat = self._beat(io, own, tempo)
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
        self._sample = t.sample + frames
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
            if self._tail <= 0 or abs(beat - self._expected) > _JUMP_BEATS:
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
        """Adds 5 ms of fading-out sound from before a jump, up to its bar line."""
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
                    self._latch(io, source, bar, tempo)
                edge = 4.0
            elif self._looked != 5 * bar + whole:
                self._looked = 5 * bar + whole
                source.update(self._looked, self._request(io, tempo))
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
            self._latch(io, source, bar - 1, tempo)
            self._intensity = -1.0
        self._previous_intensity = self._intensity
        if self._coming is not None:
            self._now, self._coming, self._previous_intensity = self._coming, None, -1.0
        self._intensity, self.bar = self._next_intensity, bar

    def _latch(self, io: IO, source: MaterialSource, bar: int, tempo: float) -> None:
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
    def nothing(self) -> bool:
        """True if the library has no loop for the request."""
        return self._now is not None and not self._now.tracks


@dataclass(slots=True)
class _FadingOut:
    """Fading-out material after a jump."""

    material: LoopMaterial
    bar: int  # its bar
    beat: float  # beat of the next frame
    tempo: float  # bpm
    before: float  # intensity of the bar before
    now: float  # intensity of the bar
    gone: int = 0  # frames of the fade done
