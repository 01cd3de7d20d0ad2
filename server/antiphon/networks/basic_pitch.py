"""Polyphonic notes: the network of Basic Pitch (Bittner et al., ICASSP 2022) in numpy, for a whole sound and live.

A pitch's window reaches at most `AHEAD` beyond the frame, and as far before it as a constant-Q window does, up to
`MAX_WINDOW`. The layers see `FEATURE_COUNT` frames on either side; frames after the newest are taken as silent, as at
the end of a file.
"""

import numpy as np
from numpy.typing import NDArray

from antiphon.kernel.contract.block import F32, Samples
from antiphon.networks import model_files
from antiphon.networks.array_network import Weights, logistic

MODEL = "hum-chords"
"""Name of the weights."""
RATE, HOP = 22050, 256
"""Sample rate in Hz, and samples between frames."""
LOWEST, PITCHES = 21, 88
"""MIDI number of the first pitch, and number of pitches."""
OCTAVE, BINS = 36, 309
"""Bins per octave of the constant-Q spectrum, and in all."""
WIDE = 264
"""Bins of the network's layers, three a semitone."""
SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
"""Bins from a pitch to its half, to itself and to its harmonics 2 to 7."""
STRIDE = 3
LEAST_POWER = 1e-10
HERTZ = 27.5 * 2.0 ** (np.arange(BINS) / OCTAVE)
PERIODS = 1.0 / (2.0 ** (1.0 / OCTAVE) - 1.0)
"""Periods of a bin's frequency in its window."""
SIZE = 256
"""Length in samples of every octave's kernels, and of the filter before the next lower octave."""


def decibels(power: F32) -> F32:
    """Levels of a spectrum's power in dB, with a floor."""
    return np.asarray(10.0 * np.log10(power + np.float32(LEAST_POWER)), np.float32)


def kernels() -> NDArray[np.complex64]:
    """Windowed complex exponentials of the highest 36 bins, `[36, 256]`; lower octaves use them at lower rates."""
    made = np.zeros((OCTAVE, SIZE), np.complex64)
    for row, hertz in zip(made, HERTZ[-OCTAVE:], strict=True):
        count = int(np.ceil(PERIODS * RATE / hertz))
        first, n = (SIZE - count) // 2, np.arange(count)
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * n / count)
        row[first : first + count] = window / window.sum() * np.exp(2j * np.pi * hertz / RATE * n)
    return made


class ConvolutionLayer:
    """A convolution over frames and bins. `[n, bins, channels]` becomes `[n - reach, bins // stride, …]`.

    The bins are padded with zeros. `reach`: number of frames by which the output is shorter. `size`: output channels.
    """

    def __init__(self, weights: Weights, name: str, stride: int = 1) -> None:
        kernel = np.asarray(weights[f"{name}.weight"], np.float32)
        out, channels, high, wide = kernel.shape
        self._taps = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0).reshape(high, wide * channels, out))
        self._all_taps = np.ascontiguousarray(self._taps.transpose(1, 0, 2).reshape(wide * channels, -1))
        self._points = np.ascontiguousarray(kernel[0].reshape(channels, -1).T)
        self._single, self._narrow = out == 1, channels == 1
        self._bias = np.asarray(weights[f"{name}.bias"], np.float32)
        self._wide, self._stride, self._sides = wide, stride, (wide - stride) // 2
        self.reach, self.size = high - 1, out

    def __call__(self, x: F32) -> F32:
        count, padded = len(x) - self.reach, self._padded(x)
        if self._single:
            return self._one_channel(padded, count, x.shape[1])
        if self._narrow:
            return self.sum_parts(padded)
        rows = self._rows(padded)
        found = self._bias + rows[:count] @ self._taps[0]
        for tap in range(1, self.reach + 1):
            found += rows[tap : tap + count] @ self._taps[tap]
        return np.asarray(found)

    def parts(self, x: F32) -> F32:
        """Contributions of each frame to the `reach + 1` around it, last first: `[n, bins // stride, reach + 1, …]`.

        Of one channel that is more than the frame itself, which is then returned with its zeros.
        """
        if self._narrow:
            return self._padded(x)
        found = self._rows(self._padded(x)) @ self._all_taps
        return found.reshape(*found.shape[:2], self.reach + 1, -1)

    def sum_parts(self, parts: F32) -> F32:
        """Sums the contributions of `n` frames to the results `[n - reach, bins // stride, …]`."""
        count = len(parts) - self.reach
        if self._narrow:
            frame, point, _ = parts.strides
            points = (parts.shape[1] - self._wide) // self._stride + 1
            shape, steps = (count, points, self.reach + 1, self._wide), (frame, point * self._stride, frame, point)
            rows = np.ndarray(shape, np.float32, parts, 0, steps).reshape(count, points, -1)
            return np.asarray(rows @ self._taps.reshape(-1, self.size) + self._bias)
        found = self._bias + parts[:count, :, 0]
        for tap in range(1, self.reach + 1):
            found += parts[tap : tap + count, :, tap]
        return np.asarray(found)

    def _padded(self, x: F32) -> F32:
        padded = np.zeros((len(x), x.shape[1] + 2 * self._sides, x.shape[2]), np.float32)
        padded[:, self._sides : self._sides + x.shape[1]] = x
        return padded

    def _rows(self, padded: F32) -> F32:
        """The inputs that each result uses of each frame, `[n, bins // stride, wide * channels]`."""
        count, bins, channels = padded.shape
        frame, point, value = padded.strides
        shape = count, (bins - self._wide) // self._stride + 1, self._wide * channels
        return np.ndarray(shape, np.float32, padded, 0, (frame, point * self._stride, value)).copy()

    def _one_channel(self, padded: F32, count: int, bins: int) -> F32:
        """Sums the products of each tap with all points, which is faster here than gathering each result's inputs."""
        taps = (self._points @ padded.reshape(-1, padded.shape[2]).T).reshape(-1, self._wide, *padded.shape[:2])
        found = np.full((count, bins), self._bias, np.float32)
        for tap, beside in np.ndindex(*taps.shape[:2]):
            found += taps[tap, beside, tap : tap + count, beside : beside + bins]
        return found[:, :, None]

    def pad_same(self, x: F32) -> F32:
        """Pads with silence before and after, so that the output has as many frames as the input."""
        padded = np.zeros((len(x) + self.reach, *x.shape[1:]), np.float32)
        padded[self.reach // 2 :][: len(x)] = x
        return self(padded)


class ChordLayers:
    """Layers of the network. `weights`: its arrays, under the names of `antiphon_models.hum.basic_pitch`."""

    def __init__(self, weights: Weights) -> None:
        self.attack = ConvolutionLayer(weights, "attack", STRIDE)
        self.body, self.contour = ConvolutionLayer(weights, "body"), ConvolutionLayer(weights, "contour")
        self.wide, self.note = ConvolutionLayer(weights, "wide", STRIDE), ConvolutionLayer(weights, "note")
        self.onset = ConvolutionLayer(weights, "onset")
        self._scale, self._shift = (np.float32(weights[name][0]) for name in ("input.scale", "input.shift"))

    def stack(self, levels: F32) -> F32:
        """`[n, 309]` levels of 0 to 1 to `[n, 264, 8]`: for each bin those of its harmonics."""
        found: F32 = np.zeros((len(levels), WIDE, len(SHIFTS)), np.float32)
        levels = levels * self._scale + self._shift
        for channel, shift in enumerate(SHIFTS):
            first = max(0, -shift)
            part = levels[:, first + shift :][:, : WIDE - first]
            found[:, first : first + part.shape[1], channel] = part
        return found

    def whole_probabilities(self, levels: F32) -> tuple[F32, F32]:
        """Probability that each pitch sounds, and that it begins, in a sound of `[n, 309]` levels; each `[n, 88]`."""
        stack = self.stack(levels)
        contour = logistic(self.contour.pad_same(rectify(self.body.pad_same(stack))))
        notes = logistic(self.note.pad_same(rectify(self.wide.pad_same(contour))))
        begun = np.concatenate([notes, rectify(self.attack.pad_same(stack))], axis=2)
        return notes[:, :, 0], logistic(self.onset.pad_same(begun))[:, :, 0]


def rectify(x: F32) -> F32:
    return np.maximum(x, np.float32(0.0), out=x)


WINDOW = 2 * RATE - HOP
"""Input length in samples, for 172 frames."""
EDGE, FRAMES = 15, 140
"""Frames dropped at a window's start, since they lack context, and the frames used."""
OCTAVES = 9


class OfflineChords:
    """Computes the network's answers to a sound at `RATE`, given piece by piece. `frames`: samples taken so far.

    `size`: kernel length in samples. `whole`: samples that the network processes at once.
    """

    rate, size, whole = RATE, SIZE, WINDOW

    def __init__(self) -> None:
        """Loads the network. Raises `ModelError` if its weights are missing or changed."""
        weights = model_files.weights(MODEL)
        self._layers, self._waves = ChordLayers(weights), kernels().T
        self._halving = np.asarray(weights["halving"], np.float32)
        self._scale = np.ceil(PERIODS * RATE / HERTZ).astype(np.float32)
        # the first window's edge lies before the sound
        self._sound: F32 = np.zeros(EDGE * HOP, np.float32)
        self._answers: list[tuple[F32, F32]] = []
        self.frames = 0

    def feed(self, sound: Samples) -> None:
        """Processes the next float32 `[1, n]` of the sound."""
        self.frames += sound.shape[1]
        self._take(sound[0])

    def end(self) -> tuple[F32, F32]:
        """Ends the sound: probability of each sustained pitch, and of each onset, each `[frames, 88]`."""
        self._take(np.zeros(WINDOW, np.float32))
        sounding, onsets = zip(*self._answers, strict=True)
        used = -(-self.frames // HOP)
        return np.concatenate(sounding)[:used], np.concatenate(onsets)[:used]

    def window(self, sound: F32) -> tuple[F32, F32]:
        """The network's answers to `[WINDOW]` samples, each `[172, 88]`; all zero for silence."""
        level = decibels(self._spectrum(sound))
        span = float(level.max() - level.min())
        return self._layers.whole_probabilities((level - level.min()) / np.float32(span or 1.0))

    def _take(self, sound: F32) -> None:
        self._sound = np.concatenate([self._sound, sound])
        while len(self._sound) >= WINDOW:
            sounding, onsets = (one[EDGE : EDGE + FRAMES] for one in self.window(self._sound[:WINDOW]))
            self._answers.append((sounding, onsets))
            self._sound = self._sound[FRAMES * HOP :]

    def _spectrum(self, sound: F32) -> F32:
        """Power of a constant-Q spectrum `[172, 309]`, octave by octave, at half the rate for each."""
        count, parts = len(sound) // HOP + 1, []
        for octave in range(OCTAVES):
            frames = _overlapping(np.pad(sound, SIZE // 2, mode="reflect"), HOP >> octave)[:count]
            parts.append(np.square(np.abs(frames @ self._waves)))
            sound = _overlapping(np.pad(sound, SIZE // 2 - 1), 2) @ self._halving
        return np.asarray(np.concatenate(parts[::-1], axis=1)[:, -BINS:] * self._scale, np.float32)


def _overlapping(sound: F32, hop: int) -> F32:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(sound, SIZE)[::hop])


AHEAD = 0.06
"""Maximum seconds after a frame's middle that its spectrum reaches."""
MAX_WINDOW = 0.25
"""Seconds of the longest window."""
LATER, BEHIND = 3, 1
"""Frames after the answered one, and median lag in frames of an onset's peak after the strike."""
FEATURE_COUNT = 9
"""Frames before an answered one that affect its notes, not counting the one before that its onset sees."""
SPAN = 172
"""Frames over which levels are scaled between the lowest and the highest: two seconds."""
ANSWER = 2 * PITCHES
"""Values of an answer: probability that each pitch sounds, then that it begins."""
_SIDE, _HELD, _KEPT = 15, 512, 4096
FLOOR, QUIET = -100.0, 50.0
"""Level in dB of silence, and minimum range of levels, so that the noise of a quiet room is not taken for music."""


def half_band() -> F32:
    """A low-pass of 31 taps for halving the rate, 60 dB down where it aliases into the lower half of the band."""
    n = np.arange(-_SIDE, _SIDE + 1)
    taps = np.sinc(n / 2.0) * np.kaiser(2 * _SIDE + 1, 6.5)
    return np.asarray(taps / taps.sum(), np.float32)


class StreamedSpectrum:
    """Power `[309]` of a constant-Q spectrum of the newest sound, hop by hop of 256 samples at `rate`.

    Each octave is computed at twice the rate that it needs, so that the filters before it are short.
    """

    def __init__(self, rate: float) -> None:
        self._taps = half_band()
        self._sounds: list[F32] = [np.zeros(_KEPT, np.float32) for _ in range(OCTAVES - 1)]
        self._near = [
            np.lib.stride_tricks.sliding_window_view(sound[-(HOP >> level) - 2 * _SIDE :], 2 * _SIDE + 1)[1::2]
            for level, sound in enumerate(self._sounds)
        ]
        self._waves: list[F32] = []
        self._power: F32 = np.zeros(BINS, np.float32)
        self._rows: list[slice] = []
        self._skipped: list[int] = []
        for octave in range(OCTAVES):
            last = BINS - octave * OCTAVE
            self._rows.append(slice(max(0, last - OCTAVE), last))
            self._waves.append(self._kernels(octave, rate))

    def _kernels(self, octave: int, rate: float) -> F32:
        """Cosines and sines `[2 * bins, 512]` of an octave, the newest sample last."""
        level = max(0, octave - 1)
        behind = _SIDE * (2**level - 1) / rate
        at, hertz = rate / 2**level, HERTZ[self._rows[octave]]
        late = max(AHEAD - behind, 0.004)
        self._skipped.append(int(late * at) - int(min(PERIODS / hertz[0], MAX_WINDOW, 2.0 * late) / 2.0 * at))
        made = np.zeros((len(hertz), _HELD), np.complex128)
        for row, hz in zip(made, hertz, strict=True):
            whole = min(PERIODS / hz, MAX_WINDOW)
            after = min(whole / 2.0, late) * at
            before = min(whole * at - after, _HELD - 2.0 - after)
            n = np.arange(-int(before), int(after) + 1)
            window = 0.5 + 0.5 * np.cos(np.pi * n / np.where(n <= 0, before + 1.0, after + 1.0))
            end = _HELD + self._skipped[octave] - (int(late * at) - int(after))
            wave = np.exp(2j * np.pi * hz / at * n)
            row[end - len(n) : end] = np.sqrt(PERIODS * rate / hz) * window / window.sum() * wave
        return np.ascontiguousarray(np.concatenate([made.real, made.imag]), np.float32)

    def start(self) -> None:
        for sound in self._sounds:
            sound.fill(0.0)

    def step(self, hop: F32) -> F32:
        """The spectrum with `[256]` more samples; valid until the next step."""
        new = hop
        for sound, near in zip(self._sounds, self._near, strict=True):
            count = len(new)
            sound[:-count] = sound[count:]
            sound[-count:] = new
            new = near @ self._taps
        for octave, (rows, waves) in enumerate(zip(self._rows, self._waves, strict=True)):
            end = _KEPT - self._skipped[octave]
            parts = waves @ self._sounds[max(0, octave - 1)][end - _HELD : end]
            half = len(parts) // 2
            self._power[rows] = np.square(parts[:half]) + np.square(parts[half:])
        return self._power


_STEPS = 16
"""Steps of a streamed layer between shifts of its buffers."""


class StreamedLayer:
    """A layer of a stream whose newest frames may still change: each frame's contribution is computed once.

    `known`: earlier frames that it sees. `fresh`: new frames of a step, of which the first no longer changes. `later`:
    silent frames after them.
    """

    def __init__(self, layer: ConvolutionLayer, known: int, fresh: int, later: int) -> None:
        self._layer, self._known, self._fresh, self._seen = layer, known, fresh, known + fresh + later
        self._parts: F32 = np.zeros(0, np.float32)
        self._at = 0

    def step(self, x: F32) -> F32:
        """The results `[known + fresh + later - reach, …]` of `[fresh, bins, channels]` new frames."""
        found, known = self._layer.parts(x), self._known
        if not len(self._parts):
            self._parts = np.zeros((self._seen + _STEPS, *found.shape[1:]), np.float32)
        if self._at == _STEPS:
            self._parts[:known] = self._parts[_STEPS:][:known]
            self._parts[known:], self._at = 0.0, 0
        parts = self._parts[self._at :][: self._seen]
        parts[known : known + self._fresh] = found
        self._at += 1
        return self._layer.sum_parts(parts)


class StreamedChords:
    """The network of one stream: `[1, hop]` samples in, `[1, answer]` values out, `later` frames behind the newest.

    `model`: name of the weights. `lowest`: MIDI number of the first of the `pitches`. `behind`: frames by which an
    onset's peak lags the strike. `ahead`: seconds that a frame's spectrum reaches beyond it. `levels`: dB of the `bins`
    of the newest frame, `octave` bins per octave.
    """

    model, rate, hop, lowest, pitches = MODEL, 22050.0, HOP, LOWEST, PITCHES
    answer, later, behind, ahead = ANSWER, LATER, BEHIND, AHEAD
    octave, bins = OCTAVE, BINS

    def __init__(self, weights: Weights) -> None:
        self._layers = layers = ChordLayers(weights)
        self._spectrum = StreamedSpectrum(self.rate)
        self._attack, self._body = StreamedLayer(layers.attack, 4, 1, 0), StreamedLayer(layers.body, 2, 1, 1)
        # a body or a contour sees frames after it: the last of each are found anew with every frame
        self._contour, self._wide = StreamedLayer(layers.contour, 4, 2, 2), StreamedLayer(layers.wide, 6, 4, 3)
        self._note = StreamedLayer(layers.note, 1, 7, 1)
        self.start()

    def start(self) -> None:
        """Clears the stream's history."""
        self._spectrum.start()
        self.levels: F32 = np.full(BINS, FLOOR, np.float32)
        self._lows: F32 = np.full(SPAN, FLOOR, np.float32)
        self._highs: F32 = np.full(SPAN, FLOOR, np.float32)
        self._at = 0
        self._attacks: F32 = np.zeros((LATER, PITCHES, self._layers.attack.size), np.float32)
        for _ in range(2 * FEATURE_COUNT):
            self._found(np.zeros((1, BINS), np.float32))

    def step(self, x: Samples, y: Samples) -> None:
        """Processes the next hop: writes to `y` the probability that each pitch sounds, then that each begins."""
        self.levels = level = decibels(self._spectrum.step(x[0]))
        self._lows[self._at], self._highs[self._at] = level.min(), level.max()
        self._at = (self._at + 1) % SPAN
        low, high = float(self._lows.min()), float(self._highs.max())
        notes, begun = self._found((level[None] - np.float32(low)) / np.float32(max(high - low, QUIET)))
        y[0, :PITCHES], y[0, PITCHES:] = notes, begun

    def _found(self, levels: F32) -> tuple[F32, F32]:
        """The answers for the frame `LATER` before `[1, 309]` new levels, `[88]` each."""
        stack = self._layers.stack(levels)
        self._attacks[:-1] = self._attacks[1:]
        self._attacks[-1:] = rectify(self._attack.step(stack))
        contour = logistic(self._contour.step(rectify(self._body.step(stack))))
        # the answered frame, and those beside it: an attack is known two frames after it
        notes = logistic(self._note.step(rectify(self._wide.step(contour))))
        onset = self._layers.onset
        begun = onset.sum_parts(onset.parts(np.concatenate([notes, self._attacks], axis=2)))
        return notes[1, :, 0], logistic(begun)[0, :, 0]
