"""The card's stepper with its capture exchanged for plain steps: masking, counts, buffers. A card is not needed."""

import importlib.machinery
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers import devices

torch = pytest.importorskip("torch")

from tests.workers.networks import HOP, as_it_was, noise, play, spec

from antiphon.networks import cuda
from antiphon.networks.torch_network import TorchStepper, load

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _torch_as_it_was():
    with as_it_was():
        yield


class Noted(cuda.Capture):
    """Capture, and it notes what it is asked for; a hop is not on the host before it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[object] = []
        self.ran: list[int] = []
        self.made = 0
        self.marks: list[int] = []

    def host(self, *shape, dtype=torch.float32):
        self.made += 1
        return super().host(*shape, dtype=dtype)

    def record(self, step):
        number = len(self.recorded)
        self.recorded.append(step)
        return partial(self._replay, number)

    def _replay(self, number: int) -> None:
        self.ran.append(number)
        self.recorded[number]()

    def mark(self, buffer: int) -> None:
        self.marks.append(buffer)

    def wait(self, buffer: int) -> None:
        assert buffer in self.marks, "waited for what was never sent"
        self.marks.remove(buffer)


def both(slots: int, network: str = "Leaky") -> tuple[TorchStepper, cuda.GraphStepper, Noted]:
    asked = spec(network, slots)
    capture = Noted()
    plain, graph = TorchStepper(load(asked, CPU), slots), cuda.GraphStepper(load(asked, CPU), slots, capture)
    graph.warm()
    capture.ran.clear()
    return plain, graph, capture


@pytest.mark.parametrize("slots", [1, 4, 6, 8])
def test_it_gives_what_the_plain_stepper_gives(slots: int) -> None:
    plain, graph, _ = both(slots)
    x = noise(slots, 2, 20 * HOP)
    for at in ({0: 0}, {n: n for n in range(slots)}, {n: slots - 1 - n for n in range(slots)}):
        for slot in at.values():
            plain.open(slot, "")
            graph.open(slot, "")
        said = [play(stepper, x[: len(at)], slots, at) for stepper in (plain, graph)]
        assert np.array_equal(*said)
        for slot in at.values():
            graph.close(slot)


def test_the_smallest_count_that_holds_the_highest_open_slot_is_run() -> None:
    _, graph, capture = both(16, "Through")
    assert graph.counts == (1, 2, 4, 8, 16)
    x = noise(1, 1, HOP)
    for slot, count in ((0, 1), (1, 2), (3, 4), (2, 4), (8, 16)):
        graph.open(slot, "")
        capture.ran.clear()
        play(graph, x, 16, {0: slot}, outputs=1)
        assert capture.ran == [(1, 2, 4, 8, 16).index(count)], slot
        graph.close(slot)
    graph.open(1, "")
    graph.open(15, "")
    graph.close(15)
    capture.ran.clear()
    play(graph, x, 16, {0: 1}, outputs=1)
    assert capture.ran == [1]


def test_a_count_that_gives_other_bits_is_not_used() -> None:
    plain, graph, _ = both(8, "Sized")
    assert graph.counts == (1, 4, 8)
    x = noise(1, 1, 8 * HOP)
    graph.open(1, "")
    plain.open(1, "")
    assert np.array_equal(*(play(stepper, x, 8, {0: 1}, outputs=1) for stepper in (graph, plain)))


def test_slots_that_idle_stay_and_an_opened_one_is_fresh() -> None:
    plain, graph, _ = both(4)
    x = noise(2, 2, 24 * HOP)
    parts = np.split(x, 3, axis=2)
    said = []
    for stepper in (plain, graph):
        stepper.open(0, "")
        stepper.open(3, "")
        first = play(stepper, parts[0], 4, {0: 0, 1: 3})
        alone = play(stepper, parts[1][1:], 4, {0: 3})
        stepper.open(3, "")
        after = play(stepper, parts[2], 4, {0: 0, 1: 3})
        said.append((first, alone, after))
    for got, want in zip(said[1], said[0], strict=True):
        assert np.array_equal(got, want)
    whole = cuda.GraphStepper(load(spec(), CPU), 4, cuda.Capture())
    whole.open(0, "")
    want = play(whole, np.concatenate((parts[0], parts[2]), axis=2)[:1], 4, {0: 0})
    assert np.array_equal(np.concatenate((said[1][0], said[1][2]), axis=2)[:1], want)


def test_two_hops_may_be_under_way_and_not_three() -> None:
    plain, graph, _ = both(2)
    x = noise(3, 2, 2, HOP)[:, :, :, :]
    hops = np.zeros(2, np.int64)
    for stepper in (plain, graph):
        for slot in (0, 1):
            stepper.open(slot, "")
    want = np.zeros((3, 2, 3, HOP), np.float32)
    for n in range(3):
        plain.step(hops, x[n], want[n])
    got = np.zeros_like(want)
    graph.post(hops, x[0])
    graph.post(hops, x[1])
    with pytest.raises(WorkerError, match="2 hops are on their way"):
        graph.post(hops, x[2])
    graph.take(got[0])
    graph.post(hops, x[2])
    graph.take(got[1])
    graph.take(got[2])
    assert np.array_equal(got, want)


def test_nothing_is_made_or_recorded_after_the_warm_up() -> None:
    _, graph, capture = both(4)
    made, recorded = capture.made, len(capture.recorded)
    held = [t.data_ptr() for t in (*graph._state, graph._x, graph._y, graph._going)]
    for slot in range(4):
        graph.open(slot, "")
        play(graph, noise(1, 2, 50 * HOP), 4, {0: slot})
    assert (capture.made, len(capture.recorded)) == (made, recorded) == (3 * cuda.BUFFERS, 3)
    assert held == [t.data_ptr() for t in (*graph._state, graph._x, graph._y, graph._going)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_the_worker_says_so() -> None:
    with pytest.raises(WorkerError, match="finds no card; use --device cpu"):
        cuda.build(spec())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no card here")
def test_on_a_card_the_graph_gives_what_the_cpu_gives() -> None:
    plain, graph = TorchStepper(load(spec(slots=8), CPU), 8), cuda.build(spec(slots=8, device="cuda"))
    graph.warm()
    x = noise(8, 2, 100 * HOP)
    for stepper in (plain, graph):
        for slot in range(8):
            stepper.open(slot, "")
    said = [play(stepper, x, 8, {n: n for n in range(8)}) for stepper in (plain, graph)]
    np.testing.assert_allclose(said[1], said[0], atol=1e-4)
    held = torch.cuda.memory_allocated()
    play(graph, x, 8, {n: n for n in range(8)})
    assert torch.cuda.memory_allocated() == held


ROOT = Path(__file__).parents[2]
CPU_BUILD = "from typing import Optional\n__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\n"
CUDA_BUILD = "__version__ = '2.13.0+cu129'\ndebug = False\ncuda: Optional[str] = '12.9'\ngit_version = 'abc'\n"
OLD_BUILD = "__version__ = '2.1.0'\ncuda = '12.1'\n"
CASES = [
    # torch's version file, nodes, auto, what cuda says
    (None, ["nvidia0"], "cpu", "not installed"),
    (CPU_BUILD, ["nvidia0"], "cpu", r"torch 2.13.0\+cpu is none"),
    (CUDA_BUILD, [], "cpu", "no node"),
    (CUDA_BUILD, ["nvidiactl", "nvidia-uvm"], "cpu", "no node"),
    (CUDA_BUILD, ["nvidia0"], "cuda", ""),
    (OLD_BUILD, ["nvidia3"], "cuda", ""),
    (CUDA_BUILD, ["dxg"], "cuda", ""),
    ("", ["nvidia0"], "cpu", "torch of an unknown version is none"),
]


@pytest.mark.parametrize(("version", "nodes", "auto", "refused"), CASES)
def test_auto_takes_what_is_there_and_cuda_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, nodes: list[str], auto: str, refused: str
) -> None:
    found = None
    if version is not None:
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch" / "version.py").write_text(version)
        found = importlib.machinery.ModuleSpec("torch", None, origin=str(tmp_path / "torch" / "__init__.py"))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: found)
    dev = tmp_path / "dev"
    dev.mkdir()
    for node in nodes:
        (dev / node).touch()
    assert devices.resolve("auto", dev) == auto
    assert devices.resolve("cpu", dev) == "cpu"
    if refused:
        with pytest.raises(WorkerError, match=f"{refused}.*, or use --device cpu$"):
            devices.resolve("cuda", dev)
    else:
        assert devices.resolve("cuda", dev) == "cuda"


def test_a_device_there_is_not_is_refused() -> None:
    with pytest.raises(WorkerError, match="'tpu' is no device; there are: auto, cpu, cuda"):
        devices.resolve("tpu")


def test_asking_imports_no_torch_and_tells_the_truth() -> None:
    run = (
        "import sys; from antiphon.kernel.workers import devices; print(devices.resolve('auto'));"
        "build = devices.installed_torch(); assert 'torch' not in sys.modules;"
        "import torch; assert build == devices.TorchBuild(torch.__version__, torch.version.cuda or '')"
    )
    pytest.importorskip("torch")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "server")}
    done = subprocess.run([sys.executable, "-c", run], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("cpu", "cuda")
