"""The CPU's stepper: streams are apart, fresh when opened, still when idle; what does not fit is refused."""

import gc
import re
from pathlib import Path

import numpy as np
import pytest
from tests import accepted

torch = pytest.importorskip("torch")

from tests.workers import networks
from tests.workers.networks import HOP, as_it_was, noise, play, spec, write_weights

from antiphon.networks import torch_network
from antiphon.networks.model_files import ModelError
from antiphon.networks.torch_network import build


@pytest.fixture(autouse=True)
def _torch_as_it_was():
    with as_it_was():
        yield


def made(slots: int = 4, **given):
    stepper = build(spec(slots=slots, **given))
    stepper.warm()
    return stepper


def test_streaming_is_offline() -> None:
    x = noise(1, 2, 30 * HOP)
    torch.manual_seed(3)
    with torch.inference_mode():
        want = networks.Leaky().offline(x[0])
    stepper = made()
    stepper.open(2, "")
    np.testing.assert_allclose(play(stepper, x, 4, {0: 2})[0], want, atol=1e-5)


def test_the_same_stream_gives_the_same_bits_in_any_slot_and_company() -> None:
    x = noise(4, 2, 12 * HOP)
    stepper = made()
    for slot in range(4):
        stepper.open(slot, "")
    together = play(stepper, x, 4, {0: 0, 1: 1, 2: 2, 3: 3})
    for slot in range(4):
        stepper.open(slot, "")
        alone = play(stepper, x[1:2], 4, {0: slot})
        assert np.array_equal(alone[0], together[1]), slot


def test_an_idle_slot_stays_as_it_is_whatever_lies_in_it() -> None:
    x = noise(2, 2, 20 * HOP)
    whole = made()
    whole.open(0, "")
    want = play(whole, x[:1], 4, {0: 0})
    stepper = made()
    stepper.open(0, "")
    first = play(stepper, x[:1, :, : 8 * HOP], 4, {0: 0})
    stepper.open(1, "")
    # the other plays; slot 0 holds NaN and has no hop
    play(stepper, x[1:], 4, {0: 1})
    rest = play(stepper, x[:1, :, 8 * HOP :], 4, {0: 0})
    assert np.array_equal(np.concatenate((first, rest), axis=2), want)


def test_a_slot_that_is_opened_has_no_past_and_its_neighbour_keeps_its_own() -> None:
    x = noise(2, 2, 16 * HOP)
    stepper = made()
    for slot in (0, 1):
        stepper.open(slot, "")
    first = play(stepper, x[:, :, : 8 * HOP], 4, {0: 0, 1: 1})
    stepper.close(0)
    stepper.open(0, "")
    again = play(stepper, np.stack((x[0, :, : 8 * HOP], x[1, :, 8 * HOP :])), 4, {0: 0, 1: 1})
    assert np.array_equal(again[0], first[0])
    alone = made()
    alone.open(1, "")
    assert np.array_equal(np.concatenate((first[1:], again[1:]), axis=2), play(alone, x[1:], 4, {0: 1}))


def test_warming_leaves_every_slot_fresh() -> None:
    x = noise(1, 2, 4 * HOP)
    cold, warm = build(spec()), made()
    for slot in range(4):
        assert np.array_equal(play(warm, x, 4, {0: slot}), play(cold, x, 4, {0: slot}))


def test_warming_goes_on_until_steps_are_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    took = iter([*(1.0 / (n + 1) for n in range(60)), *[0.01] * 400])

    def step() -> None:
        now[0] += next(took)

    monkeypatch.setattr(torch_network.time, "perf_counter", lambda: now[0])
    assert 60 < torch_network.repeat_until_steady(step) < 100


def test_nothing_grows_once_it_is_warm() -> None:
    stepper = made()
    hops, x, y = np.zeros(4, np.int64), noise(4, 2, HOP), np.zeros((4, 3, HOP), np.float32)
    for _ in range(200):
        stepper.step(hops, x, y)
    gc.collect()
    objects, grown = len(gc.get_objects()), []
    for _ in range(4):
        before = resident()
        for _ in range(2000):
            stepper.step(hops, x, y)
        grown.append(resident() - before)
    gc.collect()
    # one hop's state kept at each step would be a megabyte in every one of them
    assert min(grown) < 128 << 10, grown
    assert len(gc.get_objects()) - objects < 50


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_torch_has_one_thread_and_takes_tiny_numbers_for_none() -> None:
    made()
    assert torch.get_num_threads() == torch.get_num_interop_threads() == 1
    assert float(torch.full((4,), 1e-39).mul(0.5)[0]) == 0.0


def test_weights_come_from_the_manifest(tmp_path: Path) -> None:
    x = noise(1, 2, 6 * HOP)
    folder = write_weights(tmp_path)
    torch.manual_seed(5)
    with torch.inference_mode():
        want = networks.Leaky().offline(x[0])
    got = play(made(weights="leaky", folder=folder), x, 4, {0: 0})[0]
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert np.abs(got - play(made(), x, 4, {0: 0})[0]).max() > 1e-2, "the weights made no difference"


def without(arrays):
    return {name: array for name, array in arrays.items() if name != "out.bias"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without, "out.bias is missing"),
        (lambda a: {**a, "cell.scale": a["out.bias"]}, "cell.scale is unknown to it"),
        (lambda a: {**a, "out.bias": a["out.bias"][:-1]}, r"out.bias is \[191\] and should be \[192\]"),
        (lambda a: {**a, "out.bias": np.full_like(a["out.bias"], np.nan)}, "out.bias holds NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change, said: str) -> None:
    write_weights(tmp_path, change)
    with pytest.raises(ModelError, match=said) as refused:
        build(spec(weights="leaky", folder=tmp_path))
    one_sentence(refused.value)


def test_a_network_that_is_not_what_it_should_be_is_refused() -> None:
    accepted.compare(__file__, lambda network: accepted.refusal(lambda: build(spec(network))))


@pytest.mark.parametrize("where", ["", "json", "tests.workers.nowhere:Model", ":Model"])
def test_a_network_that_cannot_be_found_is_refused(where: str) -> None:
    asked = spec()
    with pytest.raises(ModelError, match="network") as refused:
        build(type(asked)(**{**vars_of(asked), "settings": {"network": where}}))
    one_sentence(refused.value)


def vars_of(asked):
    return {name: getattr(asked, name) for name in type(asked).__dataclass_fields__}


@pytest.mark.parametrize("wrong", [{"hop": 128}, {"rate": 44100}, {"inputs": (1, HOP)}, {"outputs": (3, 2 * HOP)}])
def test_what_was_declared_otherwise_is_refused(wrong) -> None:
    with pytest.raises(ModelError, match="is declared; correct one"):
        build(spec(**wrong))


def one_sentence(error: Exception) -> None:
    assert not re.search(r"\n|Traceback", str(error))
    assert len(str(error)) < 400
