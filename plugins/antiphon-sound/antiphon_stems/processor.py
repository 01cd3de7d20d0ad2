"""Processor `stems`: separates a sound hop by hop."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import reduce
from typing import ClassVar, NamedTuple

import numpy as np

from antiphon.api import F32, IO, FileUse, Param, Port, Processor, Step, StreamSpec, WorkerError
from antiphon.api.backends.models import ModelClient, say_instead, usable
from antiphon.api.backends.signal import C64, LOW_FADE, SampleHistory, Spectra, grid
from antiphon.api.kernels import Audio, HopPlace, f32, f32p, i64, i64p, kernel
from antiphon_stems.grids import LIVE, LIVE_MODEL, STEMS
from antiphon_stems.hpss import Medians

log = logging.getLogger("antiphon.stems")
MASKS = len(STEMS) - 1
DEFAULT_SEPARATOR = "spleeter"
"""Default voice separator of files."""
FLOOR = 60.0
"""Floor of the levels, dB below full scale."""
RELEASE = 0.15
"""Release time in seconds for a fall of 20 dB of a level."""
SOLO_FADE = 0.005
"""Fade time in seconds when `solo` selects a stem."""
MEDIANS_TEXT = "It works by medians and a low band instead, which know nothing of voices"
"""Suffix of a warning about the median filter."""


@kernel
def stems_unit_powers(
    spectrum: f32p, channels: i64, bins: i64, used: i64, first: i64p, units: i64, unit: f32, out: f32p
) -> None:
    """out `[2, units]` ← mean power of the channels in each unit, and of the difference of the first two.

    `spectrum`: complex `[channels, bins]`. `first`: `[units]`, the first bin of each.
    """
    for u in range(units):
        last = used
        if u + 1 < units:
            last = first[u + 1]
        total = f32(0.0)
        apart = f32(0.0)
        for k in range(first[u], last):
            for c in range(channels):
                re = spectrum[2 * (c * bins + k)]
                im = spectrum[2 * (c * bins + k) + 1]
                total = total + re * re + im * im
            if channels > 1:
                re = spectrum[2 * k] - spectrum[2 * (bins + k)]
                im = spectrum[2 * k + 1] - spectrum[2 * (bins + k) + 1]
                apart = apart + re * re + im * im
        width = f32(last - first[u])
        out[u] = total * unit / (width * f32(channels))
        out[units + u] = apart * unit / (width * f32(2.0))


@kernel
def stems_expand_unit_shares(shares: f32p, unit: i64p, bins: i64, gain: f32p) -> None:
    """gain `[bins]` ← the share of each bin's unit."""
    for k in range(bins):
        gain[k] = shares[unit[k]]


class StemsReady(NamedTuple):
    """Ring of separated sound, and current gains."""

    place: i64p  # `HopPlace.words`
    ready: f32p
    hop: i64
    state: f32p
    levels: f32p  # at the hop's beginning and end
    ramp: f32p


@kernel
def stems_play(s: StemsReady, at: i64, frames: i64, gain: f32p, to: f32, step: f32, y: Audio, level: f32p) -> None:
    """y[at : at + frames] ← one stem from the place in the hop on, times its gain and its `solo` fade.

    The fade moves towards `to`, 0 or 1, by `step` per frame. level[at : at + frames] ← the ramp between its levels.
    """
    now = s.state[0]
    place = s.place[0]
    for n in range(frames):
        now = min(max(to, now - step), now + step)
        for c in range(y.channels):
            y[c, at + n] = s.ready[c * s.hop + place + n] * gain[at + n] * now
        level[at + n] = s.ramp[place + n] * (s.levels[1] - s.levels[0]) + s.levels[0]
    s.state[0] = now


class Stems(Processor):
    """Drums, bass, voice and other, one output each; with unity gains they sum to the input.

    A causal network, or medians, give shares of a spectrum's power with sum 1, equal for all channels. Hops are counted
    by the clock: any block size gives the same samples.
    """

    outputs = (*(Port(name) for name in STEMS), *(Port(f"{name}_level", "control") for name in STEMS))
    on_files = FileUse("antiphon_stems.jobs:run", splits=STEMS, idle=("latency", "by mode=hpss"))
    params: ClassVar[tuple[Param, ...]] = (
        *(
            Param(name, default=1.0, low=0.0, high=2.0, smooth=0.004, doc=f"Loudness of {what}; 1 is as recorded.")
            for name, what in zip(STEMS, ("the drums", "the bass", "the voice", "the rest"), strict=True)
        ),
        Param("solo", "choice", "none", choices=("none", *STEMS), doc="The one stem that sounds."),
        Param(
            "mode", "choice", "learned", choices=("learned", "hpss"), restart=True,
            doc="learned: by a network; hpss: by what rings and what strikes.",
        ),
        Param(
            "by", "choice", DEFAULT_SEPARATOR, choices=(DEFAULT_SEPARATOR, "own"),
            doc="Of files in mode learned: the voice by Spleeter's network and the rest by ours, or all by ours.",
        ),
        Param(
            "latency", "choice", "normal", choices=("normal", "low"), restart=True,
            doc="low: at most 10 ms, with shares that lag the sound where a worker computes them.",
        ),
        *(
            Param(f"{name}_level", default=0.0, low=0.0, high=1.0, readonly=True,
                  doc="Level before its factor: 0 at -60 dB, 1 at full scale.")
            for name in STEMS
        ),
    )  # fmt: skip

    def prepare(self, spec: StreamSpec) -> None:
        """Allocates every buffer, and opens the worker's stream; without weights `hpss` replaces mode `learned`."""
        learned = self.settings["mode"] == "learned"
        if learned and (reason := usable(LIVE_MODEL)):
            say_instead(log, f"stems has no mode learned here: {reason}. {MEDIANS_TEXT}")
            learned = False
        low = self.settings["latency"] == "low"
        self._grid = grid(spec.rate, LIVE.hop, LOW_FADE if low else 0)
        hop, bins, channels = self._grid.hop, self._grid.bins, spec.channels
        self._client: ModelClient | None = None
        if learned:
            try:
                self._client = ModelClient(LIVE_MODEL, 1, hop, spec.block, self.node)
                self.parts = self._client.parts
            except WorkerError as error:
                log.warning("stems has no mode learned here: %s. %s", error, MEDIANS_TEXT)
        self._lead = self._client.lead if self._client is not None else 0
        self._delay = max(0, self._lead - 1) if low else self._lead
        self.latency = self._grid.lag + self._delay * hop
        self._medians = Medians(LIVE)
        self._history = SampleHistory(self._grid, channels)
        self._spectra = Spectra(self._grid, channels)
        self._ring: C64 = np.zeros((self._delay + 1, channels, bins), np.complex64)
        self._unit = np.minimum(np.arange(bins), LIVE.bins - 1)
        self._unit = LIVE.unit_of_bin[self._unit].astype(np.int64)
        self._sent: F32 = np.zeros((1, 2, LIVE.units), np.float32)
        self._shares: F32 = np.zeros((MASKS, LIVE.units), np.float32)
        self._gain: F32 = np.zeros(bins, np.float32)
        self._frame: F32 = np.zeros((channels, self._grid.lag), np.float32)
        self._tails: F32 = np.zeros((MASKS, channels, self._grid.fade), np.float32)
        self._ready: F32 = np.zeros((len(STEMS), channels, hop), np.float32)
        self._past: F32 = np.zeros((channels, self.latency), np.float32)
        self._open: F32 = np.ones((len(STEMS), 1), np.float32)
        self._levels: F32 = np.zeros((len(STEMS), 2), np.float32)
        self._ramp: F32 = np.linspace(0.0, 1.0, hop + 1, dtype=np.float32)[1:]
        self._fall = np.float32(20.0 / FLOOR * hop / spec.rate / RELEASE)
        self._measure = stems_unit_powers.bind(
            self._spectra.bins,
            channels,
            bins,
            LIVE.bins,
            LIVE.first,
            LIVE.units,
            self._spectra.unit * channels,
            self._sent,
        )
        self._step = 1.0 / (SOLO_FADE * spec.rate)
        self._number, self._place, self._nothing = -1, HopPlace(hop), np.zeros((0, hop), np.float32)
        self.reset()

    def reset(self) -> None:
        """Clears the sound and the network's state."""
        self._history.clear()
        self._medians.start()
        for array in (self._ring, self._shares, self._tails, self._ready, self._past, self._levels):
            array.fill(0.0)
        self._place.clear()
        if self._client is not None:
            self._client.reset()
            self._client.begin(max(0, self._number))

    def process(self, io: IO) -> None:
        sound, hop = io.audio_in[0], self._grid.hop
        if self._number < 0:
            # hops are numbered by the clock, so that those of a replayed session have the same numbers
            self._number = io.time.sample // hop
            if self._client is not None:
                self._client.begin(self._number)
        done, place = 0, self._place
        while done < io.frames:
            count = min(io.frames - done, hop - place.frames)
            solo = io.at("solo", done)
            if io.at("solo", done + count - 1) != solo:
                count = next(n for n in range(1, count) if io.at("solo", done + n) != solo)
            for step in self._plays(io, done, count):
                step.run()
            part = sound[:, : done + count]
            done = place.swap(part, self._history.fresh(), self._nothing, part[:0], done)
            if place.frames == hop:
                self._hop(io)
                self._history.turn()
                place.begin()
        place.until()

    def step(self, io: IO) -> Step:
        """Step of a block within a hop."""
        x = io.audio_in[0]
        within = self._place.step(x, self._history.fresh(), self._nothing, x[:0])
        return reduce(Step.then, (*self._plays(io, 0, io.frames), within))

    def _plays(self, io: IO, at: int, count: int) -> Iterator[Step]:
        """Yields the calls that write frames of the ready hop, and the level outputs."""
        solo = io.at("solo", at)
        for n, name in enumerate(STEMS):
            state = self._ready[n], self._grid.hop, self._open[n], self._levels[n], self._ramp
            to, level = float(solo in ("none", name)), io.audio_out[len(STEMS) + n]
            ready = StemsReady(self._place.words, *state)
            yield stems_play.step(ready, at, count, io.curve(name), to, self._step, io.audio_out[n], level)

    def _hop(self, io: IO) -> None:
        """Analyses the newest hop, and synthesises the due one."""
        spectra, hop, fade = self._spectra, self._grid.hop, self._grid.fade
        fresh = self._history.fresh()
        self._past[:, :-hop] = self._past[:, hop:]
        self._past[:, -hop:] = fresh
        spectra.forward(self._history.frame(self._grid.size))
        self._measure()
        self._ring[self._number % len(self._ring)] = spectra.sound
        spectra.sound[...] = self._ring[(self._number - self._delay) % len(self._ring)]
        self._divide(io)
        rest = self._ready[MASKS]
        rest[...] = self._past[:, :hop]
        for n in range(MASKS):
            stems_expand_unit_shares(self._shares[n], self._unit, self._grid.bins, self._gain)
            spectra.inverse(self._gain, self._frame)
            ready = self._ready[n]
            ready[...] = self._frame[:, :hop]
            np.add(ready[:, :fade], self._tails[n], out=ready[:, :fade])
            self._tails[n] = self._frame[:, hop:]
            np.subtract(rest, ready, out=rest)
        self._follow(io)
        self._number += 1

    def _divide(self, io: IO) -> None:
        """Writes the shares of the due hop; if an answer is missing, the previous hop's."""
        if self._client is None:
            self._medians.step(self._sent[0], self._shares)
            return
        self._client.send(self._number, self._sent, io)
        answer = self._client.take(self._number - self._lead, io)
        if answer is not None:
            self._shares[...] = answer[0]
            np.clip(self._shares, 0.0, 1.0, out=self._shares)

    def _follow(self, io: IO) -> None:
        """Updates and reports the levels of the ready hop."""
        for n, name in enumerate(STEMS):
            ready = self._ready[n]
            power = float(np.vdot(ready, ready)) / ready.size
            level = 1.0 + 10.0 * np.log10(power + 1e-12) / FLOOR
            before = self._levels[n, 1]
            now = min(max(level, before - self._fall, 0.0), 1.0)
            self._levels[n, 0], self._levels[n, 1] = before, now
            io.report(f"{name}_level", float(now))
