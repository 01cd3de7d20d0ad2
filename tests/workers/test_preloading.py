"""What a stream needs is loaded while the worker's other streams play on."""

from pathlib import Path

import numpy as np
from tests.waiting import until
from tests.workers.rig import PATIENCE, Rig, hops, pid, through, words
from tests.workers.steppers import spec

from antiphon.kernel.workers.arena import WorkerWord


def test_streams_play_on_while_another_is_loaded(rig: Rig, tmp_path: Path) -> None:
    first, x = rig.open(spec("Slow")), hops(30)
    worker = pid(first)
    late = rig.pool.open(spec("Slow"), str(tmp_path / "late"))
    for n in range(3):
        np.testing.assert_array_equal(np.stack(through(rig, first, 10 * n, x[10 * n :][:10])), x[10 * n :][:10])
    assert not late.runs()
    (tmp_path / "late").touch()
    until(rig.pool.settled, PATIENCE, "the stream is loaded")
    np.testing.assert_array_equal(np.stack(through(rig, late, 0, x)), 2.0 * x)
    assert pid(late) == worker == pid(first)
    assert first.misses == late.misses == 0


def test_two_streams_are_loaded_one_after_the_other(rig: Rig, tmp_path: Path) -> None:
    rig.open(spec("Slow"))
    names = [str(tmp_path / name) for name in ("a", "b")]
    late = [rig.pool.open(spec("Slow"), name) for name in names]
    for name in reversed(names):
        Path(name).touch()
    until(rig.pool.settled, PATIENCE, "both are loaded")
    for stream in late:
        np.testing.assert_array_equal(np.stack(through(rig, stream, 0, hops(3))), 2.0 * hops(3))


def test_a_stream_that_is_closed_meanwhile_is_not_opened(rig: Rig, tmp_path: Path) -> None:
    first, x = rig.open(spec("Slow")), hops(4)
    gone = rig.pool.open(spec("Slow"), str(tmp_path / "late"))
    gone.close()
    other = rig.open(spec("Slow"))
    (tmp_path / "late").touch()
    for stream in (first, other):
        np.testing.assert_array_equal(np.stack(through(rig, stream, 0, x)), x)


def test_an_error_of_the_loading_ends_the_worker_as_one_of_open_does(rig: Rig, tmp_path: Path) -> None:
    first = rig.open(spec("Slow"))
    (tmp_path / "bad").touch()
    rig.pool.open(spec("Slow"), str(tmp_path / "bad"))
    until(lambda: words(first)[WorkerWord.RESTARTS] > 0, PATIENCE, "the worker has ended")
    assert "that file is bad" in first.entry.reason


def test_what_is_wanted_at_the_start_is_loaded_before_it_is_ready(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "early").touch()
    stream, x = rig.open(spec("Slow"), str(tmp_path / "early")), hops(4)
    np.testing.assert_array_equal(np.stack(through(rig, stream, 0, x)), x)
