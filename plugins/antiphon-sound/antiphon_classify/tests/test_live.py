"""The node passes every bit, and its worker says of a stream what the analysis says of a file with the same seconds."""

import numpy as np
import pytest

from antiphon.api import Processor, StreamSpec
from antiphon.api.backends.workers import Stepper, WorkerSpec
from antiphon.testing import run_processor
from antiphon_classify.instruments import MEL, Instruments
from antiphon_classify.labels import UNKNOWN, labels_mark, live_labels
from antiphon_classify.processor import HOP, Classify
from antiphon_classify.worker import LiveClassifier
from antiphon_identify.processor import Identify

STREAM = StreamSpec(rate=48000, block=256, channels=2)
STEP = round(HOP * MEL.rate)


def plucks(seconds: float) -> np.ndarray:
    """Decaying tones, two a second, at the classifiers' rate."""
    time = np.arange(round(seconds * MEL.rate)) / MEL.rate
    beat = time % 0.5
    pitch = 220.0 * 2.0 ** (np.floor(time * 2.0) % 5 / 6.0)
    tones = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6))
    return (0.2 * tones * np.exp(-6.0 * beat)).astype(np.float32)


def answers_of(stepper: Stepper, spec: WorkerSpec, config: str, sound: np.ndarray) -> np.ndarray:
    """What a worker of two slots answers to hops of sound in the second, `[hops, answers]`."""
    stepper.warm()
    stepper.open(1, config)
    rows = []
    for hop in range(len(sound) // spec.hop):
        x, y = np.zeros((2, 1, spec.hop), np.float32), np.zeros((2, *spec.outputs), np.float32)
        x[1, 0] = sound[hop * spec.hop : (hop + 1) * spec.hop]
        stepper.step(np.array([-1, hop]), x, y)
        rows.append(y[1, 0])
    stepper.close(1)
    return np.array(rows)


def answers(sound: np.ndarray, config: str) -> np.ndarray:
    count = len(Classify.reports)
    spec = WorkerSpec("classify", "", hop=STEP, rate=MEL.rate, inputs=(1, STEP), outputs=(1, count), slots=2)
    return answers_of(LiveClassifier(spec), spec, config, sound)


def test_a_stream_is_classified_as_a_file_is() -> None:
    sound = plucks(8.0)
    live = answers(sound, f"instruments 4 {labels_mark()}")
    run = Instruments().begin(MEL.rate, 1)
    end = (14 + 1) * STEP
    run.feed(sound[None, max(0, end - 4 * MEL.rate - 1) : end])
    labels = run.result()["instruments"]
    assert [live_labels()[round(place)] for place in live[14, [0, 2, 3]]] == [label for label, _ in labels[:3]]
    assert live[14, 1] == pytest.approx(labels[0][1], abs=0.05)


def test_before_there_is_enough_sound_and_in_silence_it_is_unknown() -> None:
    rows = answers(np.concatenate([plucks(5.0), np.zeros(8 * MEL.rate, np.float32)]), f"tags 3 {labels_mark()}")
    assert not rows[:5].any()
    assert rows[8].any()
    assert not rows[-1].any()
    assert live_labels()[0] == UNKNOWN


@pytest.mark.parametrize("kind", [Classify, Identify])
def test_the_node_passes_every_bit_without_latency(kind: type[Processor]) -> None:
    sound = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 30000)).astype(np.float32)
    node = kind()
    np.testing.assert_array_equal(run_processor(node, STREAM, sound), sound)
    assert node.latency == 0
