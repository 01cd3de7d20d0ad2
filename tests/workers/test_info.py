"""A registered model as a worker."""

from dataclasses import replace

import pytest

from antiphon.kernel.errors import WorkerError
from antiphon.kernel.workers.spec import MAX_SLOTS, WorkerSpec
from antiphon.networks.info import ModelInfo

INFO = ModelInfo("tiny", "somewhere:Tiny", "tiny-weights", "test", 44100, 128, 2, 3, slots=5)


def test_the_cpu_gets_few_slots_and_the_card_many() -> None:
    cpu, cuda = INFO.worker("cpu"), INFO.worker("cuda")
    assert (cpu.slots, cuda.slots) == (5, MAX_SLOTS)
    assert (cpu.factory, cuda.factory) == (
        "antiphon.networks.torch_network:build",
        "antiphon.networks.cuda:build",
    )
    assert (cpu.inputs, cpu.outputs, cpu.hop, cpu.rate, cpu.device) == ((2, 128), (3, 128), 128, 44100, "cpu")
    assert cpu.settings == {"network": "somewhere:Tiny", "weights": "tiny-weights"}
    assert WorkerSpec.from_json(cuda.to_json()) == cuda


def test_its_own_folder_of_weights_goes_along() -> None:
    assert replace(INFO, folder="beside/it").worker("cpu").settings["folder"] == "beside/it"


@pytest.mark.parametrize("device", ["cuda", "tpu", "auto"])
def test_a_device_it_does_not_run_on_is_refused(device: str) -> None:
    with pytest.raises(WorkerError, match=f"tiny runs on cpu, not on '{device}'"):
        replace(INFO, devices=("cpu",)).worker(device)
