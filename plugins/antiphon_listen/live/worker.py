"""Worker of `listen`: one stream per slot, analysed every half second."""

import numpy as np
import soxr

from antiphon.api import F32, Samples
from antiphon.api.backends.analysis import ListeningMix
from antiphon.api.backends.workers import ReportingStepper
from antiphon_listen import tables
from antiphon_listen.chords.chord_network import chord_network
from antiphon_listen.live.level import LiveLoudness
from antiphon_listen.live.spec import CHORD, INTEGRATED, KEY, METER, MOMENTARY, NEXT, PLACE, SHORT_TERM, TEMPO
from antiphon_listen.live.window import RATE, CurveWindow, LiveGrid, LiveHarmony

ANALYSIS_SECONDS = 0.5
"""Seconds between two analyses of the window."""
_WAKE_PEAK = 1e-3
"""Peak threshold that activates the analysis, -60 dB of full scale."""
SHORT_TERM_SECONDS = 3.0
_SILENT = -60.0
"""Short-term loudness in LUFS below which everything but the loudness is reset."""


class Listener:
    """Analysis of one stream. `rate`: its frames per second; `channels`: its channels."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self.loudness = LiveLoudness(rate, channels)
        self._active, self._mix = False, ListeningMix.live(rate)
        self._begin()

    def _begin(self) -> None:
        self._resampler = soxr.ResampleStream(self._rate, RATE, 1, dtype="float32", quality="HQ")
        self._window, self.grid, self.harmony = CurveWindow(), LiveGrid(tables.load()), LiveHarmony(tables.load())
        self._frames, self._looked = 0, 0

    def step(self, hop: int, sound: Samples, into: Samples) -> None:
        """Processes the next hop, and writes the estimates `spec.FIELDS` at its end."""
        self.feed(sound)
        self.answer(into)

    def feed(self, sound: F32) -> None:
        """Processes the next frames, `[channels, n]`."""
        self.loudness.feed(sound)
        if not self._active:
            if float(np.abs(sound).max()) < _WAKE_PEAK:
                return
            self._active = True
            self._begin()
        self._frames += sound.shape[1]
        self._window.feed(self._resampler.resample_chunk(self._mix.take(sound)))
        if self._frames - self._looked >= ANALYSIS_SECONDS * self._rate:
            self._looked = self._frames
            self._active = self.loudness.short_term >= _SILENT or self._frames < SHORT_TERM_SECONDS * self._rate
            self._look()

    def _look(self) -> None:
        if not self._active:
            self._begin()
            return
        curves = self._window.curves()
        if curves is not None:
            self.grid.update(curves, self._window.start)
            network = chord_network()
            odds = None if network is None else network(self._window.spectrum())
            self.harmony.update(curves, self._window.start, self.grid.grid, odds)

    def answer(self, into: Samples) -> None:
        """Writes the estimates at the end of the sound so far, `[FIELDS]`."""
        grid, loudness = self.grid, self.loudness
        into.fill(0.0)
        into[METER] = grid.meter
        if grid.sure:
            now = self._frames / self._rate
            at = grid.next_beat(now)
            into[TEMPO], into[NEXT], into[PLACE] = 60.0 / grid.period, at - now, grid.place(at)
        into[KEY], into[CHORD] = self.harmony.key, self.harmony.chord
        into[MOMENTARY], into[SHORT_TERM], into[INTEGRATED] = (
            round(loudness.momentary, 1),
            round(loudness.short_term, 1),
            round(loudness.integrated, 1),
        )


class ListenStepper(ReportingStepper[Listener]):
    """`Stepper` with one stream per slot."""

    def stream(self, config: str) -> Listener:
        return Listener(self.spec.rate, self.spec.inputs[0])

    def warm(self) -> None:
        """Compiles the kernels and analyses a window once."""
        rate, (channels, hop) = self.spec.rate, self.spec.inputs
        noise = np.random.default_rng(1).uniform(-0.1, 0.1, (channels, 4 * rate)).astype(np.float32)
        listener = Listener(rate, channels)
        for first in range(0, noise.shape[1] - hop, hop):
            listener.feed(noise[:, first : first + hop])
