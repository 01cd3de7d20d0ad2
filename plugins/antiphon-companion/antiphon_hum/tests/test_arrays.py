"""The network of `hum` in numpy gives what that in torch gives, hop by hop and over a whole sound."""

import subprocess
import sys

import numpy as np
import pytest

from antiphon.api.backends.models import load_arrays
from antiphon_hum import learned

HOPS = 250
MODEL = learned.PITCH_MODEL


def sound() -> np.ndarray:
    """Tones of two partials that slide, with rests between, and noise: float32 `[HOPS, 1, HOP]`."""
    t = np.arange(HOPS * learned.HOP) / learned.RATE
    hertz = 150.0 + 90.0 * t
    tone = 0.2 * np.sin(2 * np.pi * hertz * t) + 0.1 * np.sin(4 * np.pi * hertz * t)
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(t))
    return (tone * (np.sin(2 * np.pi * 1.5 * t) > 0) + noise).astype(np.float32).reshape(HOPS, 1, learned.HOP)


def test_answers_are_those_of_torch_hop_by_hop_and_at_once() -> None:
    pytest.importorskip("antiphon_models", reason="networks in torch are of the lab")
    torch = pytest.importorskip("torch", reason="torch is not installed: there is nothing to compare with")
    from antiphon.networks.torch_network import load as load_network

    theirs = load_network(MODEL.torch_worker("cpu"), torch.device("cpu"))
    ours = load_arrays(MODEL.array_network, MODEL.weights, "", (1, learned.HOP), (1, MODEL.answer))
    x, state, y = sound(), theirs.start(1), np.zeros((1, MODEL.answer), np.float32)
    answers = []
    with torch.inference_mode():
        for hop in x:
            want, state = theirs.step(torch.from_numpy(hop)[None], state)
            ours.step(hop, y)
            assert np.abs(y - want[0].numpy()).max() < 1e-5
            answers.append(y[0].copy())
        whole, _ = theirs.listen(torch.from_numpy(x.reshape(1, -1)), theirs.start(1))
    assert np.ptp(answers) > 0.5
    assert np.abs(np.stack(answers) - whole.reshape(HOPS, -1).numpy()).max() < 1e-5


WITHOUT = """
import sys

sys.modules["torch"] = None  # what import and find_spec then take for missing
import numpy as np
from antiphon.api import StreamSpec
from antiphon.testing import render
from antiphon_hum.processor import Hum
from antiphon_hum.notes import notes_of

t = np.arange(48000) / 48000
tone = sum(np.sin(2 * np.pi * 220.0 * k * t) / k for k in range(1, 6)) * np.minimum(1.0, 20.0 * t)
sound = np.concatenate([np.zeros(24000), 0.2 * tone, np.zeros(24000)]).astype(np.float32)
assert [note.number for note in notes_of(sound, 48000)] == [57]
hum = Hum()
done = render(hum, StreamSpec(48000, 256, 1), sound[None], {})
assert hum.mode == "learned", hum.mode
assert [e.number for e in done.events if e.kind == "on"] == [57]
"""


def test_without_torch_the_learned_mode_plays_files_and_live() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
