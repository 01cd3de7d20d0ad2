"""musicnn's vectors as frames: a stream has those of the whole sound, whatever the blocks; settings are its own."""

from dataclasses import replace

import numpy as np
import pytest

from antiphon.api.backends.analysis import MelSettings
from antiphon_classify.features import DIMENSIONS, FEATURES, HOP, MUSICNN, REPEATED, extractor, fault, stream

SETTINGS = MelSettings(features=MUSICNN, **FEATURES[MUSICNN])  # type: ignore[arg-type]


def noise(samples: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return (rng.normal(0.0, 0.1, samples) * np.linspace(0.1, 1.0, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "frames"), [(900, 1), (HOP + 5, 1), (5 * HOP, 5), (8 * HOP, 8), (13 * HOP - 1, 12)]
)
def test_a_stream_has_the_frames_of_the_whole_sound(samples: int, frames: int) -> None:
    sound = noise(samples)
    whole = extractor(SETTINGS).compute(sound)
    assert whole.shape == (frames, DIMENSIONS)
    assert (whole[: min(frames, REPEATED)] == whole[0]).all()
    if samples >= HOP:
        going = stream(SETTINGS)
        parts = [going.push(sound[start : start + 3001]) for start in range(0, samples, 3001)]
        np.testing.assert_array_equal(np.concatenate([*parts, going.end()]), whole)


def test_silence_has_frames_too() -> None:
    assert not extractor(SETTINGS).compute(np.zeros(3 * HOP, np.float32)).any()


def test_its_settings_are_its_own() -> None:
    assert fault(SETTINGS) == ""
    assert fault(replace(SETTINGS, bands=32)) == "bands 32; it has 64 alone"
    assert fault(MelSettings()) == ""
