"""Live, a torch worker that dies is heard as the gate taking over: without a click, and back when it is there again.

On CUDA the network is in a worker; here the same, on the CPU.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig, kill, runs

from antiphon.api import StreamSpec
from antiphon.networks.lockstep import spawn
from antiphon.testing import use_pool
from antiphon_denoise.processor import MODELS, Denoise
from antiphon_denoise.tests.running import run

pytest.importorskip("torch")
pytest.importorskip("antiphon_models")  # which has the network as a module of torch
RATE, BLOCK = 48000, 256
SPEC = StreamSpec(RATE, BLOCK, 1)


class TorchRig(Rig):
    """Its zygote has torch."""

    def start(self) -> None:
        self.zygote, self.lifeline = spawn("torch", self.arena, self.bells)


@pytest.fixture
def rig() -> Iterator[TorchRig]:
    made = TorchRig(hang=30_000_000_000)
    use_pool(made.pool)
    yield made
    use_pool(None)
    made.close()


def test_killing_the_worker_does_not_click(rig, monkeypatch):
    monkeypatch.setitem(MODELS, "learned", replace(MODELS["learned"], array_network=""))
    processor = Denoise()
    processor.settings["mode"] = "learned"
    processor.prepare(SPEC)
    until(rig.pool.is_settled, PATIENCE, "the worker is ready")
    waiting = processor._delayed
    assert waiting is not None
    t = np.arange(2 * RATE) / RATE
    noise = 0.01 * np.random.default_rng(1).standard_normal(len(t))
    sound = (0.3 * np.sin(2 * np.pi * 220.0 * t) + noise).astype(np.float32)[None]
    blocks = sound.shape[1] // BLOCK
    made, answered = [], []
    (stream,) = waiting.client.streams
    for n in range(blocks):
        if n == blocks // 3:
            kill(stream, signal.SIGKILL)
        if n == 2 * blocks // 3:
            runs(stream)
        # far longer than a hop takes: what is missing is missing because the worker is
        rig.pool.until_ns = time.monotonic_ns() + 2_000_000_000
        part = sound[:, n * BLOCK : (n + 1) * BLOCK]
        made.append(run(processor, part, SPEC))
        rig.pool.flush()
        answered.append(waiting.answered)
    processor.close()
    heard = np.concatenate(made, axis=1)[0]
    third = blocks // 3
    assert all(answered[20 : third - 5])
    assert not any(answered[third + 5 : third + 10])
    assert all(answered[-20:])
    # the tone's own largest step and the noise's; a hole in a tone of 0.3 would step by that
    steps = np.abs(np.diff(heard))[RATE // 2 :]
    assert steps.max() < 0.3 * 2 * np.pi * 220 / RATE + 0.06
    rows = heard[RATE // 2 :][: 140 * 480].reshape(-1, 480)
    assert np.sqrt(np.mean(rows**2, axis=1)).min() > 0.15
