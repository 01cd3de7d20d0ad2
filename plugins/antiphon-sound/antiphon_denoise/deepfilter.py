"""Mode `deepfilter`: DeepFilterNet 3, a network a channel, in a worker; the host resamples what has another rate.

Of the node's parameters `mode` and `amount` have an effect.
"""

import numpy as np

from antiphon.api import F32, IO, Samples, StreamSpec
from antiphon.api.backends.models import ModelInfo
from antiphon.api.backends.workers import WorkerProcessor, WorkerSpec
from antiphon_denoise.deepfilter_network import BANDS, DELAY, HOP, MODEL, RATE

NETWORK = "antiphon_denoise.deepfilter_network:DeepFilterNetwork"
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
        """Loads a hop's answer, and so much of the input as `amount` leaves."""
        super().load(hop, out)
        if self._amount < 1.0 and hop >= self.hops.first:
            np.multiply(out, self._amount, out=out)
            np.multiply(self._dry, 1.0 - self._amount, out=self._dry)
            np.add(out, self._dry, out=out)
