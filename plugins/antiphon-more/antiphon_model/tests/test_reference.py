"""The reference model passes its input to the bit, with its weights and its state at work."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.sources import PYTHONPATH

from antiphon.api.backends.models import manifest_entry, models_folder, read_weights

ROOT = Path(__file__).resolve().parents[3]
HOP = 480


@pytest.fixture
def arrays():
    """A warm stepper of the reference in numpy."""
    from antiphon.networks.array_network import build
    from antiphon_model.spec import reference

    stepper = build(reference().worker("cpu"))
    stepper.warm()
    return stepper


@pytest.fixture
def reference():
    """A warm stepper of the reference in torch, and torch as it was afterwards."""
    pytest.importorskip("antiphon_models", reason="networks in torch are of the lab")
    torch = pytest.importorskip("torch")
    from antiphon.networks.torch_network import build
    from antiphon_model.spec import reference

    threads = torch.get_num_threads()
    stepper = build(reference().torch_worker("cpu"))
    stepper.warm()
    yield stepper
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def sounds() -> np.ndarray:
    """Hops `[hops, 4, 1, HOP]`: noise, silence, full scale, over it, the tiniest numbers, both zeros."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 4, 1, HOP)).astype(np.float32)
    x[10:14] = 0.0
    x[14:16] = -0.0
    x[16:20] *= np.float32(1e6)
    x[20:24] *= np.float32(1e-40)
    x[24:28] = np.sign(x[24:28])
    return x


@pytest.mark.parametrize("kind", ["arrays", "reference"])
def test_the_sound_passes_bit_for_bit(kind, request) -> None:
    stepper = request.getfixturevalue(kind)
    y = np.zeros((4, 1, HOP), np.float32)
    for n, x in enumerate(sounds()):
        stepper.step(np.full(4, n), x, y)
        assert y.tobytes() == x.tobytes(), n


def test_the_state_in_numpy_is_that_in_torch(arrays, reference) -> None:
    y = np.zeros((4, 1, HOP), np.float32)
    for n, x in enumerate(sounds()[:16]):
        hops = np.array([n, -1, n, n])
        arrays.step(hops, x, y)
        reference.step(hops, x, y)
    own = np.stack([network._cell.state for network in arrays._networks])
    assert np.abs(own - reference._state[0].numpy()).max() < 1e-5
    assert not own[1].any()
    arrays._networks[2]._cell.state[0] = np.nan
    arrays.step(np.full(4, 16), sounds()[16], y)
    assert np.isnan(y[2]).all()
    assert np.isfinite(y[[0, 1, 3]]).all()


def test_the_weights_are_those_the_script_makes(tmp_path: Path) -> None:
    pytest.importorskip("antiphon_models", reason="what makes the weights is of the lab")
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-m", "antiphon_models.model.network", str(tmp_path)],
        env={"PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    shipped, again = manifest_entry("reference"), manifest_entry("reference", tmp_path)
    assert again == shipped
    data = (models_folder() / shipped["file"]).read_bytes()
    assert len(data) < 300_000
    assert hashlib.sha256(data).hexdigest() == again["sha256"]
    assert shipped["parameters"] == sum(array.size for array in read_weights("reference").values())
