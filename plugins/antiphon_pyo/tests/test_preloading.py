"""An instrument that a worker has not loaded is computed by another process, the same to the bit."""

import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyo")

from antiphon.api.backends.synths import SynthSettings
from antiphon_pyo import zone_stream
from antiphon_pyo.backend import Pyo
from antiphon_pyo.instruments import sounds
from antiphon_pyo.samples import SamplesError, folder
from antiphon_pyo.tests.playing import RATE, on, play, run


@pytest.mark.parametrize("name", ["bass", "strings", "drums"])
def test_another_process_gives_the_same_zones(name: str) -> None:
    here, there = list(sounds(name, RATE)), list(zone_stream.read(name, RATE))
    assert len(here) == len(there) > 2
    for one, other in zip(here, there, strict=True):
        assert (one.root, one.low, one.high, one.rate, one.cutoffs, one.loop) == (
            other.root,
            other.low,
            other.high,
            other.rate,
            other.cutoffs,
            other.loop,
        )
        np.testing.assert_array_equal(one.left, other.left)
        np.testing.assert_array_equal(one.right, other.right)


def test_what_another_thread_has_loaded_sounds_the_same() -> None:
    expected = play([(100, on(40))], 0.3, "bass")
    # of a folder that is given, instruments are loaded apart; pyo's objects are never freed, as pyo may crash then
    fresh, settings = Pyo(RATE, 256, 1, folder()), SynthSettings("bass")
    work = fresh.preload(settings)
    assert work is not None
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert fresh.preload(settings) is None
    fresh.open(0, settings)
    np.testing.assert_array_equal(run(fresh, [(100, on(40))], 0.3, 256), expected)


def test_nothing_is_loaded_for_what_there_is_not() -> None:
    assert Pyo(RATE, 256, 1).preload(SynthSettings("kazoo")) is None


def test_samples_that_are_not_there_are_an_error_here_too(tmp_path: Path) -> None:
    with pytest.raises(SamplesError, match="the process that loads piano ended before it had"):
        list(zone_stream.read("piano", RATE, tmp_path))
