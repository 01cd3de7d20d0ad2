"""The node passes every bit, and its worker says which catalogued track sounds, and where in it."""

from pathlib import Path

import numpy as np
import pytest

from antiphon.api import StreamSpec
from antiphon.api.backends.workers import WorkerSpec
from antiphon.api.testing import run_processor
from antiphon.kernel.runtime import paths
from antiphon_identify.processor import HOP, Identify
from antiphon_identify.worker import HOLD, Identifier
from antiphon_library.catalogue import Catalogue
from antiphon_library.identification.fingerprints import update_shards as updated_index

from .test_identify import RATE, melody, put

STREAM = StreamSpec(rate=48000, block=256, channels=2)
STEP = round(HOP * RATE)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    folder = paths.library()
    with Catalogue(folder) as catalogue:
        for seed in range(3):
            put(catalogue, str(seed), melody(seed))
        updated_index(catalogue)
    return folder


def answers(*sounds: np.ndarray) -> np.ndarray:
    """What the worker answers to hops of sound, `[hops, 4]`."""
    spec = WorkerSpec("identify", "", hop=STEP, rate=RATE, inputs=(1, STEP), outputs=(1, 4), slots=2)
    stepper = Identifier(spec)
    stepper.warm()
    stepper.open(1, "8")
    rows = []
    sound = np.concatenate(sounds)
    for hop in range(len(sound) // STEP):
        x, y = np.zeros((2, 1, STEP), np.float32), np.zeros((2, 1, 4), np.float32)
        x[1, 0] = sound[hop * STEP : (hop + 1) * STEP]
        stepper.step(np.array([-1, hop]), x, y)
        rows.append(y[1, 0])
    stepper.close(1)
    return np.array(rows)


def test_a_track_is_said_with_its_position_and_the_next_one_follows(library: Path) -> None:
    rows = answers(melody(1)[4 * RATE : 12 * RATE], melody(2)[: 10 * RATE], np.zeros(6 * RATE, np.float32))
    with Catalogue(library) as catalogue:
        numbers = {catalogue.files_of_sound(number)[0]: number for number in (1, 2, 3)}
    hop = 13
    assert rows[hop, 0] == numbers[b"1"]
    assert rows[hop, 1] == pytest.approx(4.0 + (hop + 1) * HOP, abs=0.06)
    assert 0.0 < rows[hop, 2] <= 1.0
    assert rows[hop, 3] == 1.0
    assert rows[34, 0] == numbers[b"2"]
    assert rows[34, 1] == pytest.approx(35 * HOP - 8.0, abs=0.06)
    assert rows[0, 0] == 0.0


def test_after_a_track_there_is_none(library: Path) -> None:
    silence = np.zeros(round((8.0 + 2 * HOLD * HOP + 2.0) * RATE), np.float32)
    rows = answers(melody(1)[: 8 * RATE], silence)
    assert rows[15, 0] != 0.0
    assert tuple(rows[-1]) == (0.0, 0.0, 0.0, 1.0)


def test_without_a_catalogue_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    assert not answers(melody(1)[: 5 * RATE])[:, 0].any()
    assert not list(tmp_path.rglob("*.sqlite"))


def test_the_node_passes_every_bit_without_latency() -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 30000)).astype(np.float32)
    node = Identify()
    np.testing.assert_array_equal(run_processor(node, STREAM, sound), sound)
    assert node.latency == 0
