"""A model's client: with a network in numpy it computes at once, without a worker; on a GPU a worker does."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from antiphon.api.backends.models import Weights, find_array
from antiphon.kernel.contract.block import Samples
from antiphon.kernel.contract.processor import IO, BlockTime
from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers import devices
from antiphon.kernel.workers.pool import use as use_pool
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec
from antiphon.networks import lockstep, model_client, model_files
from antiphon.networks.array_network import build
from antiphon.networks.info import ModelInfo
from antiphon.networks.model_client import ModelClient, worker_of
from antiphon_hum.learned import PITCH_MODEL

HOP = 4


class Adder:
    """Adds all it has had to a weight; a hop of 7 makes it give NaN."""

    def __init__(self, weights: Weights) -> None:
        self._offset = float(find_array(weights, "offset", 1)[0])
        self.start()

    def start(self) -> None:
        self._sum = 0.0

    def step(self, x: Samples, y: Samples) -> None:
        self._sum += float(x.sum())
        y[...] = np.nan if x[0, 0] == 7.0 else self._sum + self._offset


class Broken(Adder):
    def step(self, x: Samples, y: Samples) -> None:
        y[...] = np.inf


@pytest.fixture
def info(tmp_path: Path) -> ModelInfo:
    model_files.write("adder", {"offset": np.array([100.0], np.float32)}, tmp_path, {})
    name = f"{__name__}:Adder"
    return ModelInfo(
        "adder", "antiphon.nowhere:Net", "adder", "test", hop=HOP, folder=str(tmp_path), array_network=name
    )


@pytest.fixture
def pool() -> Iterator[lockstep.Lockstep]:
    """That of a command on files, without a zygote until a worker is wanted."""
    made = lockstep.Lockstep()
    use_pool(made)
    yield made
    use_pool(None)
    made.shut()


@pytest.fixture
def live(pool: lockstep.Lockstep) -> Iterator[None]:
    yield
    assert not pool._lifelines, "a zygote was started"


def io() -> IO:
    return IO((), (), {}, BlockTime())


def hop(value: float, lanes: int = 1) -> Samples:
    return np.full((lanes, 1, HOP), value, np.float32)


def test_a_hop_is_answered_at_once_and_by_no_worker(info: ModelInfo, live: None) -> None:
    client = ModelClient(info, 2, HOP, 256, 1)
    assert (client.lead, client.there, client.streams) == (0, True, [])
    client.begin(5)
    both = np.concatenate([hop(1.0), hop(2.0)])
    for n in (5, 6):
        client.send(n, both, io())
        answer = client.take(n, io())
        assert answer is not None
        assert answer[:, 0, 0].tolist() == [100.0 + 4.0 * (n - 4), 100.0 + 8.0 * (n - 4)]
    client.reset()
    client.begin(7)
    client.send(7, both, io())
    assert client.take(7, io())[:, 0, 0].tolist() == [104.0, 108.0]  # type: ignore[index]


def test_in_blocks_far_shorter_than_a_hop_a_worker_computes(info: ModelInfo, pool: lockstep.Lockstep) -> None:
    """The engine has no time for it there; the worker needs no torch."""
    client = ModelClient(replace(info, network="antiphon.nowhere:Net"), 1, 480, 64, 1)
    client.begin(0)
    assert client.lead == 1
    assert list(pool._lifelines) == ["none"]
    client.send(0, hop(1.0), io())
    pool.flush()
    assert client.take(0, io())[0, 0].tolist() == [104.0] * HOP  # type: ignore[index]
    client.close()


def test_it_is_computed_where_a_node_is_weighed_and_not_where_it_is_only_checked(info: ModelInfo) -> None:
    for device, there in ((None, False), ("cuda", False), ("cpu", True)):
        with devices.without_workers(device):  # type: ignore[arg-type]
            client = ModelClient(info, 1, HOP, 256, 1)
            client.begin(0)
            client.send(0, hop(1.0), io())
            assert (client.take(0, io()) is not None) == there == client.there


def test_what_is_no_number_is_no_answer_and_the_past_is_forgotten(info: ModelInfo, live: None) -> None:
    client = ModelClient(info, 1, HOP, 256, 1)
    client.begin(0)
    for n, (value, want) in enumerate([(1.0, 104.0), (7.0, None), (1.0, 104.0)]):
        client.send(n, hop(value), io())
        answer = client.take(n, io())
        assert (None if answer is None else answer[0, 0, 0]) == want


def test_weights_that_do_not_fit_are_refused_as_a_worker_is(info: ModelInfo, live: None, tmp_path: Path) -> None:
    for offset, why in ((np.zeros(2), r"offset is \[2\] and should be \[1\]"), (np.array([np.nan]), "NaN")):
        model_files.write("adder", {"offset": offset.astype(np.float32)}, tmp_path, {})
        with pytest.raises(WorkerError, match=why):
            ModelClient(info, 1, HOP, 256, 1)
    model_files.write("adder", {"offset": np.zeros(1, np.float32)}, tmp_path, {})
    with pytest.raises(WorkerError, match="gives NaN or infinity for silence"):
        ModelClient(replace(info, array_network=f"{__name__}:Broken"), 1, HOP, 256, 1)
    with pytest.raises(WorkerError, match="is not there"):
        ModelClient(replace(info, array_network=f"{__name__}:Nobody"), 1, HOP, 256, 1)


def test_a_worker_takes_numpy_on_the_cpu_and_torch_on_a_card(info: ModelInfo, pool: lockstep.Lockstep) -> None:
    cpu, cuda, torch = info.worker("cpu"), info.worker("cuda"), info.torch_worker("cpu")
    assert (cpu.zygote, cpu.settings["network"]) == ("none", info.array_network)
    assert (cuda.zygote, cuda.settings["network"]) == ("torch", "antiphon.nowhere:Net")
    assert (torch.zygote, torch.settings["network"]) == ("torch", "antiphon.nowhere:Net")
    assert replace(info, array_network="").worker("cpu") == torch
    pool.device = "cuda"
    assert worker_of(info).device == "cuda"
    assert not info.plays_arrays("cuda")
    assert replace(info, devices=("cpu",)).plays_arrays("cuda")


def test_without_the_package_of_its_torch_network_numpy_plays_on_a_server_with_a_card(info: ModelInfo) -> None:
    absent = replace(info, network="not_installed.networks:Net")
    assert absent.plays_arrays("cuda")
    assert absent.worker("cuda") == absent.worker("cpu") == info.worker("cpu")
    with pytest.raises(WorkerError, match="adder runs on cpu, not on 'cuda'"):
        replace(absent, devices=("cpu",)).worker("cuda")


def test_the_worker_computes_each_slot_by_itself(info: ModelInfo) -> None:
    stepper = build(replace(info, slots=3).worker("cpu"))
    stepper.warm()
    y = np.zeros((3, 1, HOP), np.float32)
    x = np.concatenate([hop(1.0), hop(2.0), hop(3.0)])
    for hops in ([0, 0, -1], [1, -1, 0]):
        stepper.step(np.array(hops), x, y)
    assert y[:, 0, 0].tolist() == [108.0, 108.0, 112.0]
    stepper.open(0, "")
    stepper.step(np.array([2, -1, -1]), x, y)
    assert y[0, 0, 0] == 104.0


INFO = ModelInfo("tiny", "somewhere:Tiny", "tiny-weights", "test", 44100, 128, 2, 3, slots=5)


def test_the_cpu_gets_few_slots_and_the_card_many() -> None:
    cpu, cuda = INFO.worker("cpu"), INFO.worker("cuda")
    assert (cpu.slots, cuda.slots) == (5, MAX_SLOTS)
    assert (cpu.factory, cuda.factory) == ("antiphon.networks.torch_network:build", "antiphon.networks.cuda:build")
    assert (cpu.inputs, cpu.outputs, cpu.hop, cpu.rate, cpu.device) == ((2, 128), (3, 128), 128, 44100, "cpu")
    assert cpu.settings == {"network": "somewhere:Tiny", "weights": "tiny-weights"}
    assert WorkerSpec.from_json(cuda.to_json()) == cuda


def test_its_own_folder_of_weights_goes_along() -> None:
    assert replace(INFO, folder="beside/it").worker("cpu").settings["folder"] == "beside/it"


@pytest.mark.parametrize("device", ["cuda", "tpu", "auto"])
def test_a_device_it_does_not_run_on_is_refused(device: str) -> None:
    with pytest.raises(WorkerError, match=f"tiny runs on cpu, not on '{device}'"):
        replace(INFO, devices=("cpu",)).worker(device)


def test_without_torch_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "installed_torch", lambda: None)
    said = model_client.usable(replace(PITCH_MODEL, array_network=""))
    assert said == "the model hum-learned needs torch, which is not installed; `make models` installs it"

    assert model_client.usable(PITCH_MODEL) == ""


def test_it_is_said_once_and_never_of_what_is_only_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(model_client, "_LOGGED_FALLBACKS", set())
    log = logging.getLogger("antiphon.hum")
    with devices.without_workers():
        model_client.say_instead(log, "hum does without")
    assert caplog.messages == []
    for _ in range(3):
        model_client.say_instead(log, "hum does without")
    assert caplog.messages == ["hum does without"]
    model_client.say_instead(logging.getLogger("antiphon.denoise"), "denoise does without")
    assert caplog.messages == ["hum does without", "denoise does without"]
