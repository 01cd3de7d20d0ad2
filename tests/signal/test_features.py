"""Features by librosa: as many frames as a log-mel spectrogram, the pitch of a tone, the tempo of clicks."""

import fcntl
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime import extras
from antiphon.signal import features
from antiphon.signal.features import FEATURE_DEFAULTS, feature_extractor, feature_fault, feature_stream
from antiphon.signal.mel import MEL, LogMel, MelSettings

F32 = NDArray[np.float32]
RATE = 22050
A_440 = 9
"""Pitch class."""
BY_LIBROSA = [name for name in FEATURE_DEFAULTS if name != MEL]


def settings_of(name: str) -> MelSettings:
    return replace(MelSettings(features=name), **FEATURE_DEFAULTS[name])  # type: ignore[arg-type]


def tone(hertz: float, seconds: float = 1.0) -> F32:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", BY_LIBROSA)
def test_there_are_as_many_frames_as_of_a_mel_spectrogram(name: str) -> None:
    settings = settings_of(name)
    sound = tone(440.0)
    made = feature_extractor(settings).compute(sound)
    assert made.shape == (len(LogMel(MelSettings()).compute(sound)), settings.bands)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


@pytest.mark.parametrize("name", BY_LIBROSA)
def test_a_stream_in_blocks_gives_the_frames_of_the_whole_sound(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(name)
    sound = tone(300.0)
    stream = feature_stream(settings)
    parts = [stream.push(block) for block in np.split(sound, [1, 700, 9000])]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.end()]), feature_extractor(settings).compute(sound))
    # longer than a piece: its frames come before the end, and none is missing
    monkeypatch.setattr(features, "PIECE_SECONDS", 0.4)
    stream = feature_stream(settings)
    first = stream.push(sound)
    assert len(first) > 0
    assert len(first) + len(stream.end()) == len(feature_extractor(settings).compute(sound))


def test_a_mel_spectrogram_by_librosa_is_ours() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.1, RATE).astype(np.float32)
    ours = LogMel(MelSettings()).compute(noise)
    theirs = feature_extractor(settings_of("melspectrogram")).compute(noise)
    np.testing.assert_allclose(theirs, ours, atol=0.01)


def test_a_tone_is_at_its_semitone_and_pitch_class() -> None:
    cqt = feature_extractor(settings_of("cqt")).compute(tone(440.0))
    assert np.argmax(cqt.mean(axis=0)) == 45  # from C1 to A4
    chroma = feature_extractor(settings_of("chroma")).compute(tone(440.0))
    assert np.argmax(chroma.mean(axis=0)) == A_440


def test_clicks_repeat_at_their_lag() -> None:
    settings = settings_of("tempogram")
    sound = np.zeros(6 * RATE, np.float32)
    sound[:: RATE // 2] = 1.0  # 120 bpm
    found = feature_extractor(settings).compute(sound).mean(axis=0)
    lag = 10 + np.argmax(found[10:30])
    assert lag * settings.hop / RATE == pytest.approx(0.5, abs=settings.hop / RATE)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (replace(settings_of("chroma"), bands=24), "bands 24"),
        (replace(settings_of("cqt"), bands=120), "below half of rate"),
        (replace(settings_of("cqt"), hop=500), "a multiple of 64"),
        (settings_of("cqt"), ""),
        (MelSettings(), ""),
    ],
)
def test_settings_that_fit_no_feature_are_refused(settings: MelSettings, fault: str) -> None:
    assert fault in feature_fault(settings)
    assert bool(fault) == bool(feature_fault(settings))


def test_without_librosa_a_sentence_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"features = 'cqt' needs librosa.*antiphon\[librosa\]"):
        feature_extractor(settings_of("cqt"))


def test_librosa_is_compiled_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once left machine code in numba's cache that crashed whoever loaded it."""
    (tmp_path / "librosa").mkdir()
    for name in ("__init__", "beat"):
        (tmp_path / "librosa" / f"{name}.py").touch()
    for name in [name for name in sys.modules if name.partition(".")[0] == "librosa"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    locked = []

    def flock(file: int, operation: int) -> None:
        locked.append((os.readlink(f"/proc/self/fd/{file}"), operation, "librosa.beat" in sys.modules))

    monkeypatch.setattr(fcntl, "flock", flock)
    try:
        assert features.import_librosa.__wrapped__().beat.__name__ == "librosa.beat"
        assert locked == [(str(tmp_path / "librosa" / "__init__.py"), fcntl.LOCK_EX, False)]
    finally:
        for name in ("librosa", "librosa.beat"):
            sys.modules.pop(name, None)
