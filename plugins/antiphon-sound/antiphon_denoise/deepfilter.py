"""Mode `deepfilter`: DeepFilterNet 3 (Schröter et al., 2023) in numpy, for one channel at 48 kHz, in a worker.

The network applies a gain to each of 32 ERB bands, and below 4.8 kHz a filter over five frames to each bin. The part of
the removed sound that exceeds the file's noise, such as speech mistaken for noise, is added back. The host resamples
other rates, and each channel has a separate network. Of the node's parameters, `mode` and `amount` have an effect.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.api import F32, IO, Samples, StreamSpec
from antiphon.api.backends.models import Conv1d, Gru, Linear, ModelInfo, Weights, find_array, sigmoid
from antiphon.api.backends.workers import WorkerProcessor, WorkerSpec

MODEL = "denoise-deepfilter"
RATE, HOP = 48000, 480
SIZE, BINS = 2 * HOP, HOP + 1
C64: TypeAlias = NDArray[np.complex64]
DELAY = 3 * HOP
"""Latency of the output in frames: a hop of overlap, and two frames of look-ahead of the network."""
BANDS, FILTERED, ORDER = 32, 96, 5
"""Number of ERB bands, of filtered bins, and of frames in a filter."""
CHANNELS, UNITS, EMBEDDED = 64, 256, 512
PAST, AHEAD = 3, 2
"""Number of frames that the first layers read, and of frames that the network looks ahead."""
PATH = ("weight", 1, 1), ("bias",)
KEEP = 0.99
"""Weight of the previous frame in the levels by which features are normalised: 1 s."""
MIN_SNR, SNR_RANGE = -15.0, 50.0
"""Minimum and range in dB of the local signal-to-noise ratio."""
QUIET, QUIET_FRAMES = 1e-12, 5
"""Power of a silent hop, and number of silent hops after which the computation stops."""
LEAST_KEPT = 0.05
"""Minimum share of the removed sound that is added back, so that noise falls by 26 dB at most."""
TINY = np.float32(1e-14)


def band_widths() -> list[int]:
    """Returns the number of bins of each ERB band, at least two."""
    scale = 24.7 * 9.265
    top = 9.265 * np.log1p(RATE / 2 / scale)
    edges = np.rint(scale * np.expm1(np.arange(1, BANDS + 1) * top / BANDS / 9.265) * SIZE / RATE).astype(int)
    widths, over, before = [], 0, 0
    for edge in edges.tolist():
        width = edge - before - over
        over = max(0, 2 - width)
        widths.append(max(2, width))
        before = edge
    widths[-1] += BINS - sum(widths)
    return widths


class GroupedLinear:
    """Linear layer of groups with separate inputs."""

    def __init__(self, weight: Samples) -> None:
        """Stores the weights, float32 `[groups, inputs, outputs]`."""
        groups, inputs, outputs = weight.shape
        self._weight = np.ascontiguousarray(weight)
        self._shape = groups, 1, inputs
        self._made: Samples = np.zeros((groups, 1, outputs), np.float32)
        self._outputs = self._made.reshape(-1)

    def __call__(self, x: Samples) -> Samples:
        """Computes one step of float32 `[groups * inputs]`; valid until the next call."""
        np.matmul(x.reshape(self._shape), self._weight, out=self._made)
        return self._outputs


class DeepFilterNetwork:
    """`ArrayNetwork` of one channel: 10 ms of sound to 10 ms without noise, `DELAY` frames late.

    Of the last step: `snr`, the local signal-to-noise ratio in dB; `kept` and `removed`, powers of the bands,
    `[BANDS]`, before sound is added back. `least_kept`: share always added back, `LEAST_KEPT`; in the original 0.
    """

    least_kept = LEAST_KEPT

    def __init__(self, weights: Weights) -> None:
        """Allocates the buffers. Raises `ModelError`: the weights do not fit."""

        def conv(name: str, outputs: int, inputs: int, taps: int, width: int, stride: int = 1) -> Conv1d:
            kernel = find_array(weights, f"{name}.weight", outputs, inputs, taps)
            return Conv1d(kernel, find_array(weights, f"{name}.bias", outputs), width, stride)

        def grouped(name: str, groups: int, inputs: int, outputs: int) -> GroupedLinear:
            return GroupedLinear(find_array(weights, name, groups, inputs, outputs))

        def gru_stack(part: str, layers: int) -> list[Gru]:
            return [Gru.of(weights, f"{part}.gru", UNITS, UNITS, f"_l{n}") for n in range(layers)]

        c, half, quarter = CHANNELS, BANDS // 2, BANDS // 4
        self._encode = [
            conv("encoder.erb_conv0", c, PAST, 3, BANDS),
            conv("encoder.erb_conv1", c, c, 3, BANDS, 2),
            conv("encoder.erb_conv2", c, c, 3, half, 2),
            conv("encoder.erb_conv3", c, c, 3, quarter),
        ]
        self._bins = conv("encoder.df_conv0", c, 2 * PAST, 3, FILTERED)
        self._halved = conv("encoder.df_conv1", c, c, 3, FILTERED, 2)
        self._join = grouped("encoder.df_fc_emb", 32, 96, 16)
        self._enter = grouped("encoder.emb_gru.linear_in", 16, 32, 16)
        self._leave = grouped("encoder.emb_gru.linear_out", 16, 16, 32)
        self._ratio = Linear.of(weights, "encoder.snr", 1, EMBEDDED)

        self._gain_enter = grouped("gains.emb_gru.linear_in", 16, 32, 16)
        self._gain_leave = grouped("gains.emb_gru.linear_out", 16, 16, 32)
        self._decode = [
            conv("gains.conv0_out", 1, c, 3, BANDS),
            conv("gains.convt1", c, c, 3, BANDS),
            conv("gains.convt2", c, c, 3, half),
            conv("gains.convt3", c, c, 3, quarter),
        ]
        self._paths = [
            [find_array(weights, f"gains.conv{n}p.{part}", c, *rest).reshape(c, 1) for part, *rest in PATH]
            for n in range(len(self._decode))
        ]

        self._filter_enter = grouped("filter.df_gru.linear_in", 8, 64, 32)
        self._skip = grouped("filter.df_skip", 16, 32, 16)
        self._out = grouped("filter.df_out", 16, 16, 60)
        self._frames = conv("filter.df_convp", 2 * ORDER, ORDER * c, 1, FILTERED)

        self._grus, self._gain_grus, self._filter_grus = (
            gru_stack("encoder", 1),
            gru_stack("gains", 2),
            gru_stack("filter", 2),
        )
        self._window = np.sin(0.5 * np.pi * np.sin(np.pi * (np.arange(SIZE) + 0.5) / SIZE) ** 2).astype(np.float32)
        self._widths = np.array(band_widths())
        self._first = np.cumsum(self._widths) - self._widths
        self._sound: Samples = np.zeros(SIZE, np.float32)
        self._tail: Samples = np.zeros(HOP, np.float32)
        self._spectra: C64 = np.zeros((ORDER, BINS), np.complex64)
        self._level: Samples = np.zeros(BANDS, np.float32)
        self._size: Samples = np.zeros(FILTERED, np.float32)
        self._nothing: Samples = np.zeros(BANDS, np.float32)
        self.start()

    def start(self) -> None:
        for gru in (*self._grus, *self._gain_grus, *self._filter_grus):
            gru.start()
        for layer in (self._encode[0], self._bins, self._frames):
            layer.inputs.fill(0.0)
        for part in (self._sound, self._tail, self._spectra):
            part.fill(0.0)
        self._level[:] = np.linspace(-60.0, -90.0, BANDS)
        self._size[:] = np.linspace(0.001, 0.0001, FILTERED)
        self._quiet = 0
        self.snr = MIN_SNR
        self.kept = self.removed = self._nothing

    def step(self, x: Samples, y: Samples) -> None:
        """Computes one hop of float32 `[2, HOP]` into `[1, HOP]`.

        `x`: the sound, and in `BANDS` numbers each the power up to which a band is noise, and the certainty, 0 to 1,
        with which the rest is added back.
        """
        sound, noise, certain = x[0], x[1, :BANDS], x[1, BANDS : 2 * BANDS]
        self._quiet = self._quiet + 1 if float(np.mean(np.square(sound))) < QUIET else 0
        if self._quiet > QUIET_FRAMES:
            y.fill(0.0)
            self.kept = self.removed = self._nothing
            return
        self._sound[:HOP] = self._sound[HOP:]
        self._sound[HOP:] = sound
        self._spectra[:-1] = self._spectra[1:]
        self._spectra[-1] = np.fft.rfft(self._sound * self._window) / np.float32(SIZE)
        spectrum = self._denoise_frame()
        rest = self._spectra[-1 - AHEAD] - spectrum
        self.kept, self.removed = self._powers(spectrum), self._powers(rest)
        over = certain * (1.0 - np.sqrt(np.clip(noise / (self.removed + TINY), 0.0, 1.0)))
        spectrum += np.repeat(np.maximum(over, self.least_kept), self._widths) * rest
        made = np.fft.irfft(spectrum, SIZE).astype(np.float32) * (self._window * np.float32(SIZE))
        np.add(made[:HOP], self._tail, out=y[0])
        self._tail[:] = made[HOP:]

    def _powers(self, spectrum: C64) -> Samples:
        """Mean power of the bins of each band."""
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return np.asarray(np.add.reduceat(power, self._first) / self._widths, np.float32)

    def _denoise_frame(self) -> C64:
        """Spectrum `[BINS]` of the frame `AHEAD` before the last, without noise."""
        bands, bins, embedded = self._run_encoder()
        spectrum: C64 = self._spectra[-1 - AHEAD] * np.repeat(self._gains(bands, embedded), self._widths)
        taps = self._taps(bins, embedded)
        np.einsum("fn,nf->f", taps, self._spectra[:, :FILTERED], out=spectrum[:FILTERED])
        return spectrum

    def _run_encoder(self) -> tuple[list[Samples], Samples, Samples]:
        """Returns the encoder's outputs for the bands by layer, its first output for the bins, and its embedding."""
        spectrum = self._spectra[-1]
        level = 10.0 * np.log10(self._powers(spectrum) + np.float32(1e-10))
        self._level += (1.0 - KEEP) * (level - self._level)
        past = self._encode[0].inputs
        past[:-1] = past[1:]
        past[-1] = (level - self._level) / 40.0
        near = spectrum[:FILTERED]
        self._size += (1.0 - KEEP) * (np.abs(near) - self._size)
        near = near / np.sqrt(self._size)
        past = self._bins.inputs
        past[:-2] = past[2:]
        past[-2], past[-1] = near.real, near.imag
        bands = [rectify(self._encode[0]())]
        for layer in self._encode[1:]:
            layer.inputs[:] = bands[-1]
            bands.append(rectify(layer()))
        bins = rectify(self._bins())
        self._halved.inputs[:] = bins
        joined = rectify(self._join(rectify(self._halved()).T.reshape(-1)))
        x = recurrent_output(rectify(self._enter(joined + bands[-1].T.reshape(-1))), self._grus)
        embedded = rectify(self._leave(x))
        self.snr = SNR_RANGE * float(sigmoid(self._ratio(embedded))[0]) + MIN_SNR
        return bands, bins, embedded

    def _gains(self, bands: list[Samples], embedded: Samples) -> Samples:
        x = recurrent_output(rectify(self._gain_enter(embedded)), self._gain_grus)
        y = rectify(self._gain_leave(x)).reshape(-1, CHANNELS).T
        for layer, (scale, bias), seen in reversed(list(zip(self._decode, self._paths, bands, strict=True))):
            y = rectify(seen * scale + bias) + rectify(y)
            # of twice the width where every second place is zero
            layer.inputs[:, :: layer.inputs.shape[1] // y.shape[1]] = y
            y = layer()
        return sigmoid(y[0])

    def _taps(self, bins: Samples, embedded: Samples) -> C64:
        """Taps of the filter of each bin, `[FILTERED, ORDER]`."""
        past = self._frames.inputs
        past[:-CHANNELS] = past[CHANNELS:]
        past[-CHANNELS:] = bins
        x = recurrent_output(rectify(self._filter_enter(embedded)), self._filter_grus) + self._skip(embedded)
        taps = np.tanh(self._out(x)).reshape(FILTERED, 2 * ORDER) + rectify(self._frames()).T
        return np.ascontiguousarray(taps).view(np.complex64)


def rectify(x: Samples) -> Samples:
    """x ← max(x, 0)."""
    return np.maximum(x, np.float32(0.0), out=x)


def recurrent_output(x: Samples, layers: list[Gru]) -> Samples:
    """Runs recurrent layers one after another; returns the output of the last."""
    for layer in layers:
        x = layer(x)
    return x


NETWORK = "antiphon_denoise.deepfilter:DeepFilterNetwork"
DEEPFILTER = ModelInfo(
    name=MODEL,
    network=NETWORK,
    array_network=NETWORK,
    weights=MODEL,
    plugin="denoise",
    rate=RATE,
    hop=HOP,
    inputs=2,
    latency=DELAY,
    slots=2,
    devices=("cpu",),
)


def deepfilter() -> ModelInfo:
    """The model of mode `deepfilter`."""
    return DEEPFILTER


class DeepFilter(WorkerProcessor):
    """Speech enhancement, with a stream for each channel."""

    def worker(self, spec: StreamSpec) -> WorkerSpec:
        self._noise: Samples = np.zeros(2 * BANDS, np.float32)
        self._amount = 1.0
        return DEEPFILTER.worker("cpu")

    def lanes(self, spec: StreamSpec) -> int:
        return spec.channels

    def behind(self, spec: StreamSpec, hop: int) -> int:
        return DELAY

    def heard(self, told: F32 | None) -> None:
        """Sets the noise of a file, `[2, BANDS]`, as found by `floor`."""
        if told is not None:
            self._noise[:] = told.reshape(-1)

    def process(self, io: IO) -> None:
        self._amount = float(io.at("amount", io.frames - 1))
        super().process(io)

    def write(self, hop: int, sound: Samples, into: Samples) -> None:
        into[:, 0] = sound
        into[:, 1, : len(self._noise)] = self._noise

    def read(self, answer: Samples) -> Samples:
        sound: Samples = answer[:, 0]
        return sound

    def load(self, hop: int, out: Samples) -> None:
        """Loads a hop's answer, mixed with the input by `amount`."""
        super().load(hop, out)
        if self._amount < 1.0 and hop >= self.hops.first:
            np.multiply(out, self._amount, out=out)
            np.multiply(self._dry, 1.0 - self._amount, out=self._dry)
            np.add(out, self._dry, out=out)
