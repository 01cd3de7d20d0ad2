"""The node `model` with a file: exact streams, latents as control wires, and workers that end without harm."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig

from antiphon.api import PluginError, StreamSpec, WorkerError
from antiphon.api.backends.rendering import load_plugins
from antiphon.kernel.workers.arena import State, WorkerWord
from antiphon.kernel.workers.pool import HopStart
from antiphon.kernel.workers.status import workers
from antiphon.networks import lockstep
from antiphon.testing import noise, render, run_processor, without_workers
from antiphon_model import model_file
from antiphon_model.processor import REACH, ModelNode
from antiphon_model.tests import exports
from antiphon_utilities.tests.conftest import play

RATE = 48000
SPEC = StreamSpec(RATE, 256, 2)


@pytest.fixture
def home(antiphon_home: Path) -> Path:
    library = antiphon_home / "data" / "library"
    library.mkdir(parents=True)
    return library


@pytest.fixture(autouse=True)
def closed_streams() -> Iterator[None]:
    """Every file is a worker of its own here, and a pool has room for few: what tests left open is closed."""
    close_streams()
    yield
    close_streams()


def close_streams() -> None:
    current = lockstep.current()
    assert current is not None
    for stream in list(current.streams):
        stream.close()


@pytest.fixture
def codec(home: Path) -> str:
    pytest.importorskip("torch")
    return str(exports.known(exports.saved(home / "codec.ts", exports.torch_codec())))


def stereo(frames: int) -> np.ndarray:
    return noise(2 * frames, seed=3).reshape(2, frames)


def filtered(x: np.ndarray) -> np.ndarray:
    return np.stack([np.convolve(row, exports.TAPS)[: x.shape[1] + exports.PEAK] for row in x])[:, exports.PEAK :]


def check_convolution(path: Path, hop: int) -> None:
    x = stereo(9000)
    node = ModelNode()
    y = run_processor(node, SPEC, x, {"file": str(path)}, blocks=[256, 1, 100, 31])
    assert node.latency == 2 * hop + exports.PEAK
    want = filtered(x)[:, : 9000 - node.latency]
    np.testing.assert_allclose(y[:, node.latency :], want, atol=1e-6)
    # the first frames of the filter come before its peak, and nothing before them
    assert not y[:, : 2 * hop].any()
    again = run_processor(ModelNode(), SPEC, x, {"file": str(path)})
    np.testing.assert_array_equal(again, y)


def test_a_streaming_convolution_of_torch_is_the_offline_one(home: Path) -> None:
    pytest.importorskip("torch")
    check_convolution(exports.known(exports.saved(home / "c.ts", exports.torch_convolution())), 512)


def test_a_file_plays_on_a_card_as_on_the_cpu_and_one_that_mixes_devices_on_the_cpu(home: Path) -> None:
    """On a machine without a card both are the CPU."""
    torch = pytest.importorskip("torch")

    class Mixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("gain", torch.tensor(0.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.gain * (x + torch.ones(x.shape[2], device=torch.device("cpu")))

    x, pooled = stereo(6000), lockstep.current()
    assert pooled is not None
    files = {
        exports.saved(home / "c.ts", exports.torch_convolution()): filtered(x),
        exports.saved(home / "mixed.ts", exports.scripted(Mixed())): 0.5 * (x + 1.0),
    }
    for path, want in files.items():
        node = ModelNode()
        y = run_processor(node, SPEC, x, {"file": str(exports.known(path))})
        status = workers(pooled.arena)[-1]
        assert (status.name, status.device) == (path.name, "cpu" if path.stem == "mixed" else pooled.device)
        np.testing.assert_allclose(y[:, node.latency :], want[:, : 6000 - node.latency], atol=1e-5)
        close_streams()


def test_a_streaming_convolution_of_onnx_is_the_offline_one(home: Path) -> None:
    exports.needs_onnx()
    check_convolution(exports.known(exports.saved(home / "c.onnx", exports.onnx_convolution(480))), 480)


def test_without_a_file_it_passes_its_input() -> None:
    pytest.importorskip("torch")
    x = stereo(4000)
    node = ModelNode()
    y = run_processor(node, SPEC, x)
    np.testing.assert_array_equal(y[:, node.latency :], x[:, : 4000 - node.latency])


def test_an_attribute_is_set_and_a_wrong_one_refused(codec: str) -> None:
    x = stereo(3000)
    node = ModelNode()
    y = run_processor(node, SPEC, x, {"file": codec, "attributes": "gain=0.25"})
    np.testing.assert_allclose(y[:, node.latency :], 0.25 * x[:, : 3000 - node.latency], rtol=1e-6)
    for wrong, said in (("loud=1", "has: gain"), ("gain=a", "takes float"), ("gain=-1", "refuses")):
        with pytest.raises(WorkerError, match=said):
            run_processor(ModelNode(), SPEC, x, {"file": codec, "attributes": wrong})


def test_a_method_that_is_not_there_is_refused(codec: str) -> None:
    with pytest.raises(PluginError, match=r"codec.ts has no method 'dream'; it has: encode, decode, forward"):
        run_processor(ModelNode(), SPEC, stereo(10), {"file": codec, "method": "dream"})


def test_encode_gives_a_control_for_each_latent(codec: str) -> None:
    x = np.zeros((2, 6144), np.float32)
    x[:, 1024:2048] = 0.5
    x[:, 3072:] = -0.25
    node = ModelNode()
    sound, *latents = render(node, SPEC, x, {"file": codec, "method": "encode"}).audio
    assert not sound.any()
    late = node.latency
    mean, peak = (latents[n][0, late:] * 2.0 * REACH for n in (0, 1))
    np.testing.assert_allclose(mean[:4096], x[0, :4096], atol=1e-6)
    np.testing.assert_allclose(peak[:4096], np.abs(x[0, :4096]), atol=1e-6)
    assert not any(z.any() for z in latents[2:])


def pitch(y: np.ndarray) -> float:
    """Hz, by the crossings of zero upwards."""
    at = np.flatnonzero((y[:-1] < 0.0) & (y[1:] >= 0.0))
    exact = at - y[at] / (y[at + 1] - y[at])
    return RATE * (len(exact) - 1) / (exact[-1] - exact[0])


def test_decode_plays_what_its_parameters_say(codec: str) -> None:
    node = ModelNode()
    settings = {"file": codec, "method": "decode", "z1": 1.0, "z2": 0.5}
    y = render(node, SPEC, np.zeros((2, 48128), np.float32), settings, [(24000, "z1", 2.0)]).audio[0]
    first, second = y[0, node.latency + 1024 : 20000], y[0, 24000 + node.latency + 1024 :]
    assert abs(pitch(first) - 440.0) < 0.1
    assert abs(pitch(second) - 880.0) < 0.1
    assert abs(np.abs(first).max() - 0.5) < 1e-3
    np.testing.assert_array_equal(y[0], y[1])


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory):
    return load_plugins(tmp_path_factory.mktemp("none"), check=False)


def test_wires_play_a_decoder(plugins, codec: str) -> None:
    """An lfo moves the pitch: half of its turn up, half down. A wire carries the peak of the input to the level."""
    text = """
[nodes.lfo]
shape = "square"
beats = 2.0
depth = 0.125

[nodes.listen]
type = "model"
file = "codec.ts"
method = "encode"

[nodes.sing]
type = "model"
file = "codec.ts"
method = "decode"

[wires]
"in" = "listen"
"lfo" = "sing.z1"
"listen.z2" = "sing.z2"
"sing" = "out"
"""
    x = np.full((2, 376 * 256), 0.25, np.float32)
    y = play(plugins, text, x)[0]
    up, down = y[6000:24000], y[54000:72000]
    high, low = y[30000:46000], y[78000:94000]
    assert sorted({round(pitch(part) / 10) for part in (up, down, high, low)}) == [11, 44]
    assert abs(np.abs(down).max() - 0.25) < 1e-3


def test_a_file_plays_at_its_own_rate(plugins, home: Path) -> None:
    pytest.importorskip("torch")
    exports.known(exports.saved(home / "slow.ts", exports.torch_codec(256, 24000)))
    text = """
[nodes.sing]
type = "model"
file = "slow.ts"
method = "decode"
z1 = 1.0
z2 = 0.5

[wires]
"sing" = "out"
"""
    y = play(plugins, text, np.zeros((2, 94 * 256), np.float32))[0]
    assert abs(pitch(y[12000:]) - 440.0) < 0.1


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    # only where a hang is what is tested a worker is taken to hang soon: on a busy machine any answer may take a while
    made = Rig(hang=1_000_000_000 if request.node.callspec.params["trap"] == "hang" else 300_000_000_000)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("trap", "reason"),
    [("hang", "gave no answer"), ("nan", "gave NaN"), ("memory", "a hop failed"), ("", "changed since")],
)
def test_a_file_that_misbehaves_ends_its_worker_alone(home: Path, rig: Rig, trap: str, reason: str) -> None:
    exports.needs_onnx()
    path = exports.known(exports.saved(home / "trap.onnx", exports.onnx_trap(trap or "nan")))
    node = ModelNode()
    node.settings["file"] = str(path)
    spec = replace(node.worker(StreamSpec(RATE, 256, 1)), zygote="none")
    if not trap:
        path.write_bytes(exports.onnx_gain())
        stream = rig.pool.open(spec)
        until(lambda: stream.entry.state == State.REFUSED, PATIENCE, "it is refused")
        assert reason in stream.entry.reason
        return
    stream = rig.open(spec)
    words, sound = stream.entry.words, np.zeros((6, 1, 480), np.float32)
    sound[:, 0, 1] = 0.5
    sound[3, 0, 0] = 1.0
    answers, first = [], words[WorkerWord.GENERATION]
    for hop, x in enumerate(sound):
        if hop == 4:
            until(lambda: reason in stream.entry.reason, PATIENCE, f"{reason}: {stream.entry.reason}")
            until(lambda: words[WorkerWord.GENERATION] > first and stream.runs(), PATIENCE, "another worker runs")
        if stream.start(hop) is not HopStart.NO_WORKER:
            stream.input(hop)[:] = x
            stream.post(hop)
            rig.pool.flush()
        rig.pool.until_ns = time.monotonic_ns() + int((0.05 if hop == 3 else 60.0) * 1e9)
        answer = stream.take(hop)
        answers.append(None if answer is None else answer.copy())
    assert answers[3] is None
    for n in (0, 1, 2, 4, 5):
        np.testing.assert_array_equal(answers[n], sound[n])


class Interrupted(ModelNode):
    """A node whose worker's answers are missing from the fifth hop on."""

    def prepare(self, spec: StreamSpec) -> None:
        super().prepare(spec)
        take = self.client.take
        self.client.take = lambda hop, io: take(hop, io) if hop < 4 else None


def test_latents_stay_where_an_answer_is_missing(home: Path) -> None:
    exports.needs_onnx()
    path = exports.known(exports.saved(home / "mean.onnx", exports.onnx_mean()))
    x = np.full((2, 9 * 512), 0.5, np.float32)
    node = Interrupted()
    sound, mean, *_ = render(node, SPEC, x, {"file": str(path)}).audio
    np.testing.assert_allclose(mean[0, node.latency :] * 2.0 * REACH, 0.5, atol=1e-6)
    assert not sound.any()


def test_a_decoder_is_silent_where_an_answer_is_missing(home: Path) -> None:
    """Not its input, which is no dry form of what it plays. A value is the parameter at the last of its frames."""
    exports.needs_onnx()
    path = exports.known(exports.saved(home / "steps.onnx", exports.onnx_steps()))
    x = np.full((2, 9 * 512), 0.5, np.float32)
    node = Interrupted()
    settings = {"file": str(path), "z1": 0.1, "scale": 2.0}
    sound = render(node, SPEC, x, settings, [(700, "z1", 0.3)]).audio[0]
    assert node.latency == 1024
    np.testing.assert_allclose(sound[:, 1024 : 1024 + 512], 0.2, atol=1e-6)
    # 700 is in the frames 512 to 767, whose value is that at 767; the change is smoothed within 240 frames
    assert 0.25 < sound[0, 1536] < 0.4
    assert np.ptp(sound[0, 1536 : 1536 + 256]) == 0.0
    np.testing.assert_allclose(sound[:, 1792 : 1024 + 2048], 0.6, atol=1e-6)
    assert not sound[:, 1024 + 2048 + 512 :].any()


def test_a_wrong_file_is_a_sentence_and_the_patch_is_refused(plugins, home: Path) -> None:
    exports.saved(home / "bad.ts", b"\x80\x04\x95nothing to unpickle")
    text = '[nodes.model]\nfile = "bad.ts"\n[wires]\n"in" = "model"\n"model" = "out"\n'
    with pytest.raises(PluginError, match=r"bad.ts: it is a pickle, which is never loaded here"):
        play(plugins, text, np.zeros((2, 256), np.float32))


def test_a_check_does_not_wait_for_a_file_that_is_new(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's trial of a new node, which may take 8 s in all: the loader, which follows, waits."""
    path = exports.saved(home / "new.ts", b"PK not read yet")
    started = []
    monkeypatch.setattr(model_file, "_start", lambda *given: started.append(given))
    node = ModelNode()
    node.settings["file"] = str(path)
    with without_workers():
        assert node.rate is None
        node.prepare(SPEC)
    assert started
